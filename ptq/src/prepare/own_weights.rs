//! Gives every node its own copy of weights and bias, so that passes can change them one by one.

use std::collections::BTreeSet;

use macforge_model::onnx::{OnnxGraph, OnnxTensor};

use super::weights_of;

/// Copies constants that an earlier node already uses.
pub(super) fn run(graph: &mut OnnxGraph) {
    let mut taken = BTreeSet::new();
    for index in 0..graph.nodes.len() {
        if weights_of(graph, &graph.nodes[index]).is_none() {
            continue;
        }
        for operand in 1..graph.nodes[index].inputs.len().min(3) {
            let name = graph.nodes[index].inputs[operand].clone();
            let Some(tensor) = graph.initializers.get(&name) else {
                continue;
            };
            if taken.insert(name.clone()) {
                continue;
            }
            let tensor = tensor.clone();
            taken.insert(own_copy(graph, index, operand, tensor));
        }
    }
}

/// Makes an operand of a node a constant that nothing else reads; its name.
pub(super) fn own_copy(
    graph: &mut OnnxGraph,
    index: usize,
    operand: usize,
    tensor: OnnxTensor,
) -> String {
    let copy = graph.fresh_name(&graph.nodes[index].inputs[operand]);
    graph.initializers.insert(copy.clone(), tensor);
    graph.nodes[index].inputs[operand].clone_from(&copy);
    copy
}
