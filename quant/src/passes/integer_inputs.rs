//! Gives a graph of several inputs the integers themselves as inputs: the Quantize nodes leave, and the
//! tensors behind them take the inputs' names. The host quantizes.

use crate::graph::{QGraph, QOp};

/// Runs the pass. A graph with one input, which the hardware quantizes, stays as it is; so does an
/// input that something else reads as well.
pub fn run(graph: &mut QGraph) {
    if graph.inputs.len() < 2 {
        return;
    }
    for at in 0..graph.inputs.len() {
        let outer = graph.inputs[at];
        let &[reader] = graph.consumers(outer).as_slice() else {
            continue;
        };
        if !matches!(graph.nodes[reader].op, QOp::Quantize) {
            continue;
        }
        let inner = graph.nodes.remove(reader).output;
        graph.inputs[at] = inner;
        let name = std::mem::take(&mut graph.tensors[outer.0].name);
        let other = std::mem::replace(&mut graph.tensors[inner.0].name, name);
        graph.tensors[outer.0].name = other;
    }
    super::remove_dead::run(graph);
}
