//! Turns the addition of a constant behind a product into the product's bias, and a product of
//! matrices with a constant into Gemm, which has one.

use macforge_model::onnx::OnnxGraph;

use super::{bias_values, floats, is, only_consumer, set_bias, weights_of};
use crate::PtqError;

/// Conv + Add, Gemm + Add, MatMul (+ Add).
pub(super) fn run(graph: &mut OnnxGraph) -> Result<(), PtqError> {
    let types = graph.infer_types()?;
    for node in &mut graph.nodes {
        let rank = node
            .input(0)
            .and_then(|x| types.get(x))
            .map(|t| t.shape.len());
        let constant = node.input(1).and_then(|w| graph.initializers.get(w));
        let matrix = constant.is_some_and(|w| w.shape.len() == 2 && w.data.as_f32().is_some());
        if is(node, "MatMul") && rank == Some(2) && matrix {
            node.op_type = "Gemm".into();
        }
    }
    let mut index = 0;
    while index < graph.nodes.len() {
        if let Some((add, values)) = addition(graph, index) {
            set_bias(graph, index, values);
            graph.nodes[index].outputs[0] = graph.nodes[add].outputs[0].clone();
            graph.nodes.remove(add);
        } else {
            index += 1;
        }
    }
    Ok(())
}

/// The Add that alone reads node `index` and adds a constant per channel: the bias that results.
fn addition(graph: &OnnxGraph, index: usize) -> Option<(usize, Vec<f32>)> {
    let node = &graph.nodes[index];
    let weights = weights_of(graph, node).filter(|_| !is(node, "MatMul"))?;
    let plain = node.float("beta").unwrap_or(1.0) == 1.0
        && (node.input(2).is_none() || weights.bias.is_some());
    let value = node.output(0)?;
    let add = only_consumer(graph, value).filter(|&a| is(&graph.nodes[a], "Add") && plain)?;
    let mut operands = graph.nodes[add].inputs.iter();
    let other = operands.find(|v| v.as_str() != value)?;
    let (shape, values) = floats(graph, other)?;
    // channels are the second dimension of [N, C, ...], whatever the rank
    let channels = weights.channels();
    let behind = if is(node, "Conv") {
        weights.shape.len() - 2
    } else {
        0
    };
    let at = shape.len().checked_sub(behind + 1)?;
    let others_are_one = shape.iter().enumerate().all(|(i, &d)| i == at || d == 1);
    let fits = others_are_one && shape.len() <= behind + 2;
    if !fits || (shape[at] != channels && shape[at] != 1) {
        return None;
    }
    let bias = bias_values(graph, &weights);
    let sum = |c: usize| bias[c] + values[c % values.len()];
    Some((add, (0..channels).map(sum).collect()))
}
