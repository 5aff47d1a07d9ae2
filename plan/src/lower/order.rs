//! The order in which nodes are lowered where activation memory is scarce.

use macforge_quant::{QGraph, QOp, TensorId};

/// The nodes in their order, but a convolution on the shortcut of a sum comes right in front of the
/// sum: its input is stored for the other branch anyway, its result would be stored as well.
pub fn late_shortcuts(graph: &QGraph) -> Vec<usize> {
    let maker = |tensor: TensorId| graph.nodes.iter().position(|n| n.output == tensor);
    let readers = |tensor: TensorId| graph.consumers(tensor).len();
    let shortcut = |index: usize, of: usize| {
        let node = &graph.nodes[index];
        matches!(node.op, QOp::Conv2d(_))
            && index + 1 < of
            && readers(node.output) == 1
            && readers(node.inputs[0]) > 1
    };
    let mut order: Vec<usize> = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        if matches!(node.op, QOp::Binary(_)) && node.inputs.len() == 2 {
            let makers: Vec<usize> = node.inputs.iter().filter_map(|&t| maker(t)).collect();
            let late = makers.iter().find(|&&m| shortcut(m, index));
            if let Some(&late) = late {
                order.retain(|&n| n != late);
                order.push(late);
            }
        }
        order.push(index);
    }
    order
}
