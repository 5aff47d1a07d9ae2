//! Folds batch normalization into the weights in front of it.

use macforge_model::onnx::{OnnxGraph, OnnxNode};

use super::{bias_values, floats, is, only_consumer, scale_channels, set_bias, weights_of};

/// `y = (x - mean) * gamma / sqrt(var + eps) + beta` behind a Conv or Gemm becomes part of it.
pub(super) fn run(graph: &mut OnnxGraph) {
    let mut index = 0;
    while index < graph.nodes.len() {
        if let Some(norm) = normalizer(graph, index) {
            fold(graph, index, norm);
        } else {
            index += 1;
        }
    }
}

/// The BatchNormalization that alone reads node `index`, if that has weights.
fn normalizer(graph: &OnnxGraph, index: usize) -> Option<usize> {
    let node = &graph.nodes[index];
    let weights = weights_of(graph, node)?;
    // Gemm's alpha and beta would have to be divided out
    let plain = !is(node, "MatMul")
        && node.float("alpha").unwrap_or(1.0) == 1.0
        && node.float("beta").unwrap_or(1.0) == 1.0
        && (node.input(2).is_none() || weights.bias.is_some());
    let norm = only_consumer(graph, node.output(0)?)?;
    let ok = plain
        && is(&graph.nodes[norm], "BatchNormalization")
        && graph.nodes[norm].input(0) == node.output(0)
        && affine(graph, &graph.nodes[norm])?.0.len() == weights.channels();
    ok.then_some(norm)
}

/// Factor and offset per channel, in float64 from the stored float32.
fn affine(graph: &OnnxGraph, norm: &OnnxNode) -> Option<(Vec<f64>, Vec<f64>)> {
    let vector = |i: usize| floats(graph, norm.input(i)?).map(|(_, v)| v);
    let (gamma, beta, mean, var) = (vector(1)?, vector(2)?, vector(3)?, vector(4)?);
    if [beta, mean, var].iter().any(|v| v.len() != gamma.len()) {
        return None;
    }
    let epsilon = f64::from(norm.float("epsilon").unwrap_or(1e-5));
    let factor = |c: usize| f64::from(gamma[c]) / (f64::from(var[c]) + epsilon).sqrt();
    let factors: Vec<f64> = (0..gamma.len()).map(factor).collect();
    let offset = |c: usize| f64::from(beta[c]) - f64::from(mean[c]) * factors[c];
    let offsets = (0..gamma.len()).map(offset).collect();
    factors
        .iter()
        .all(|f| f.is_finite())
        .then_some((factors, offsets))
}

fn fold(graph: &mut OnnxGraph, index: usize, norm: usize) {
    let weights = weights_of(graph, &graph.nodes[index]).expect("checked");
    let (factors, offsets) = affine(graph, &graph.nodes[norm]).expect("checked");
    let narrow: Vec<f32> = factors.iter().map(|&f| f as f32).collect();
    let bias = bias_values(graph, &weights);
    let folded = (0..bias.len()).map(|c| (f64::from(bias[c]) * factors[c] + offsets[c]) as f32);
    let folded = folded.collect();
    scale_channels(graph, &weights, &narrow);
    set_bias(graph, index, folded);
    let output = graph.nodes[norm].outputs[0].clone();
    graph.nodes[index].outputs[0] = output;
    graph.nodes.remove(norm);
}
