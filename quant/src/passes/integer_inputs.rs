//! Gives a graph the integers themselves at its boundary where the host converts: behind several inputs,
//! and wherever they are int16. The Quantize and Dequantize nodes leave, and the tensors behind or before
//! them take the names of the boundary.

use crate::graph::{DType, QGraph, QOp, TensorId};

/// Runs the pass. The hardware converts a single int8 input or output; an input that something else
/// reads as well stays float32.
pub fn run(graph: &mut QGraph) {
    let several = graph.inputs.len() > 1;
    for at in 0..graph.inputs.len() {
        let outer = graph.inputs[at];
        let &[reader] = graph.consumers(outer).as_slice() else {
            continue;
        };
        let inner = graph.nodes[reader].output;
        let converts = matches!(graph.nodes[reader].op, QOp::Quantize);
        if converts && (several || graph.tensor(inner).dtype == DType::I16) {
            graph.nodes.remove(reader);
            graph.inputs[at] = inner;
            exchange_names(graph, [outer, inner]);
        }
    }
    for at in 0..graph.outputs.len() {
        let outer = graph.outputs[at];
        let Some(writer) = graph.producer(outer) else {
            continue;
        };
        let inner = graph.nodes[writer].inputs[0];
        let converts = matches!(graph.nodes[writer].op, QOp::Dequantize);
        let boundary = graph.inputs.contains(&inner) || graph.outputs.contains(&inner);
        if converts && graph.tensor(inner).dtype == DType::I16 && !boundary {
            graph.nodes.remove(writer);
            graph.outputs[at] = inner;
            exchange_names(graph, [outer, inner]);
        }
    }
    super::remove_dead::run(graph);
}

fn exchange_names(graph: &mut QGraph, [a, b]: [TensorId; 2]) {
    let name = std::mem::take(&mut graph.tensors[a.0].name);
    let other = std::mem::replace(&mut graph.tensors[b.0].name, name);
    graph.tensors[a.0].name = other;
}
