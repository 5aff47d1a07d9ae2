//! Removes nodes that do nothing at inference: Identity, Dropout.

use macforge_model::onnx::OnnxGraph;

use super::is;

/// Readers of the output read the input instead; a node whose output leaves the graph stays, as its
/// name would be lost.
pub(super) fn run(graph: &mut OnnxGraph) {
    let mut index = 0;
    while index < graph.nodes.len() {
        let node = &graph.nodes[index];
        let nothing = is(node, "Identity") || is(node, "Dropout");
        let (Some(from), Some(to)) = (node.input(0), node.output(0)) else {
            index += 1;
            continue;
        };
        let mask_is_read = node.output(1).is_some_and(|mask| used(graph, mask));
        let leaves = graph.outputs.iter().any(|o| o.name == to);
        if !nothing || mask_is_read || leaves {
            index += 1;
            continue;
        }
        let (from, to) = (from.to_string(), to.to_string());
        graph.nodes.remove(index);
        for input in graph.nodes.iter_mut().flat_map(|n| &mut n.inputs) {
            if *input == to {
                input.clone_from(&from);
            }
        }
    }
}

/// Whether a value is read, or leaves the graph.
pub(super) fn used(graph: &OnnxGraph, value: &str) -> bool {
    let read = graph
        .nodes
        .iter()
        .flat_map(|n| &n.inputs)
        .any(|v| v == value);
    read || graph.outputs.iter().any(|o| o.name == value)
}
