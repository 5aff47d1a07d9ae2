//! Gives a graph float32 inputs and outputs: a Quantize node behind every int8 input, a Dequantize
//! node in front of every int8 output, with the tensors' own parameters.

use crate::graph::{DType, QGraph, QNode, QOp, QTensor, TensorId};

/// Runs the pass; boundaries that are float32 already stay as they are.
pub fn run(graph: &mut QGraph) {
    for at in 0..graph.inputs.len() {
        let inner = graph.inputs[at];
        if graph.tensor(inner).dtype == DType::I8 {
            let outer = float_twin(graph, inner, "float");
            graph.inputs[at] = outer;
            let node = boundary_node(graph, QOp::Quantize, "quantize_input", at, outer, inner);
            graph.nodes.insert(at, node);
        }
    }
    for at in 0..graph.outputs.len() {
        let inner = graph.outputs[at];
        if graph.tensor(inner).dtype == DType::I8 {
            let outer = float_twin(graph, inner, "float");
            graph.outputs[at] = outer;
            let node = boundary_node(
                graph,
                QOp::Dequantize,
                "dequantize_output",
                at,
                inner,
                outer,
            );
            graph.nodes.push(node);
        }
    }
}

/// A new float32 tensor of the same shape.
fn float_twin(graph: &mut QGraph, of: TensorId, suffix: &str) -> TensorId {
    let QTensor {
        name,
        shape,
        channels_first,
        ..
    } = graph.tensor(of).clone();
    let mut twin = format!("{name}:{suffix}");
    while graph.tensors.iter().any(|t| t.name == twin) {
        twin.push('_');
    }
    graph.tensors.push(QTensor {
        name: twin,
        shape,
        dtype: DType::F32,
        quant: None,
        unsigned: false,
        channels_first,
    });
    TensorId(graph.tensors.len() - 1)
}

fn boundary_node(
    graph: &QGraph,
    op: QOp,
    kind: &str,
    at: usize,
    input: TensorId,
    output: TensorId,
) -> QNode {
    let mut name = format!("{kind}_{at}");
    while graph.nodes.iter().any(|n| n.name == name) {
        name.push('_');
    }
    QNode {
        source: format!("--io float, {kind} {at}"),
        name,
        inputs: vec![input],
        output,
        op,
    }
}
