//! Recurrent nodes: outputs that nobody reads lose their names, weights belong to one node.

use macforge_model::onnx::OnnxGraph;

use super::identity::used;
use super::is;
use super::own_weights::own_copy;

/// Exporters name all outputs of an LSTM; one that is not read needs no scale, and its cell state has
/// none.
pub(super) fn run(graph: &mut OnnxGraph) {
    for index in 0..graph.nodes.len() {
        if !is(&graph.nodes[index], "LSTM") {
            continue;
        }
        let mut outputs = graph.nodes[index].outputs.clone();
        for output in &mut outputs {
            if !used(graph, output) {
                output.clear();
            }
        }
        while outputs.last().is_some_and(String::is_empty) {
            outputs.pop();
        }
        graph.nodes[index].outputs = outputs;
        for operand in [1, 2] {
            own(graph, index, operand);
        }
    }
}

/// Copies a constant that other operands use, too.
fn own(graph: &mut OnnxGraph, index: usize, operand: usize) {
    let Some(name) = graph.nodes[index].input(operand).map(str::to_string) else {
        return;
    };
    let operands = graph.nodes.iter().flat_map(|n| &n.inputs);
    let shared = operands.filter(|i| **i == name).count() > 1;
    if let (true, Some(tensor)) = (shared, graph.initializers.get(&name).cloned()) {
        own_copy(graph, index, operand, tensor);
    }
}
