//! Cross-layer equalisation (Nagel et al., "Data-free quantization through weight equalization and
//! bias correction", 2019).

use macforge_model::onnx::OnnxGraph;

use super::{Weights, bias_values, edit, floats, is, only_consumer, set_bias, weights_of};

/// Sweeps over all pairs.
const SWEEPS: usize = 20;

/// Where two weighted nodes follow each other, directly or through a Relu, output channel `c` of
/// the first is divided, and input channel `c` of the second multiplied, by
/// `s = sqrt(r1 * r2) / r2` of their largest weights. Relu is positively homogeneous, so that the
/// product stays. Returns how many pairs there were.
pub fn equalize(graph: &mut OnnxGraph) -> usize {
    let pairs: Vec<(usize, usize)> = (0..graph.nodes.len())
        .filter_map(|first| Some((first, second(graph, first)?)))
        .collect();
    for _ in 0..SWEEPS {
        for &(first, second) in &pairs {
            balance(graph, first, second);
        }
    }
    graph.drop_unused_constants();
    pairs.len()
}

/// The weighted node that alone reads node `first`.
fn second(graph: &OnnxGraph, first: usize) -> Option<usize> {
    let a = weights_of(graph, &graph.nodes[first])?;
    let fixed_bias = graph.nodes[first].input(2).is_some() && a.bias.is_none();
    let mut next = only_consumer(graph, graph.nodes[first].output(0)?)?;
    if is(&graph.nodes[next], "Relu") {
        next = only_consumer(graph, graph.nodes[next].output(0)?)?;
    }
    let b = weights_of(graph, &graph.nodes[next])?;
    let alike = inputs(graph, next, &b)? == a.channels();
    (alike && !fixed_bias).then_some(next)
}

/// Input channels of a node, where they can be scaled one by one: a dense layer or a depthwise one.
fn inputs(graph: &OnnxGraph, index: usize, weights: &Weights) -> Option<usize> {
    let node = &graph.nodes[index];
    if !is(node, "Conv") {
        return Some(weights.shape[1 - weights.axis]);
    }
    match node.int("group").unwrap_or(1) {
        1 => Some(weights.shape[1]),
        g if g as usize == weights.shape[0] && weights.shape[1] == 1 => Some(weights.shape[0]),
        _ => None,
    }
}

/// Input channel of each element of the second node's weights.
fn input_channel(
    graph: &OnnxGraph,
    index: usize,
    weights: &Weights,
) -> impl Fn(usize) -> usize + use<> {
    let depthwise = graph.nodes[index].int("group").unwrap_or(1) > 1;
    let dimension = if depthwise { 0 } else { 1 - weights.axis };
    let inner: usize = weights.shape[dimension + 1..].iter().product();
    let size = weights.shape[dimension];
    move |i| i / inner % size
}

fn balance(graph: &mut OnnxGraph, first: usize, second: usize) {
    let (Some(a), Some(b)) = (
        weights_of(graph, &graph.nodes[first]),
        weights_of(graph, &graph.nodes[second]),
    ) else {
        return;
    };
    let channel = input_channel(graph, second, &b);
    let largest = |name: &str, channel: &dyn Fn(usize) -> usize| {
        let mut largest = vec![0f32; a.channels()];
        let (_, values) = floats(graph, name).expect("weights are float constants");
        for (i, v) in values.iter().enumerate() {
            let entry = &mut largest[channel(i)];
            *entry = entry.max(v.abs());
        }
        largest
    };
    let r1 = largest(&a.name, &|i| a.channel_of(i));
    let r2 = largest(&b.name, &channel);
    let factor = |(&r1, &r2): (&f32, &f32)| {
        let s = (r1 * r2).sqrt() / r2;
        if s.is_finite() && s > 0.0 { s } else { 1.0 }
    };
    let s: Vec<f32> = r1.iter().zip(&r2).map(factor).collect();
    let bias = bias_values(graph, &a);
    let bias: Vec<f32> = bias.iter().zip(&s).map(|(b, s)| b / s).collect();
    edit(graph, &a.name, |i, w| w / s[a.channel_of(i)]);
    edit(graph, &b.name, |i, w| w * s[channel(i)]);
    if a.bias.is_some() {
        set_bias(graph, first, bias);
    }
}
