//! Bias correction: the mean error that quantized weights cause goes into the bias (Nagel et al.,
//! "Data-free quantization through weight equalization and bias correction", 2019, empirical form).

use std::collections::BTreeMap;

use macforge_model::onnx::OnnxGraph;

use crate::PtqError;
use crate::data::Dataset;
use crate::layers::Layer;
use crate::monitor::{Monitor, step};
use crate::prepare::{bias_values, edit, set_bias};
use crate::session::Session;
use crate::weights::QuantizedWeights;

/// The graph with the real values that quantized weights stand for.
pub fn with_quantized_weights(
    graph: &OnnxGraph,
    layers: &[Layer],
    quantized: &BTreeMap<String, QuantizedWeights>,
) -> OnnxGraph {
    let mut changed = graph.clone();
    for layer in layers {
        if let (Some(weights), Some(q)) = (&layer.weights, quantized.get(&layer.name)) {
            let values = q.dequantized(weights);
            edit(&mut changed, &weights.name, |i, _| values[i]);
        }
    }
    changed
}

/// Adds to the bias of each of `layers` the mean over data and pixels of what its output loses by
/// quantized weights, per channel, on float inputs.
///
/// # Errors
/// Inference fails; the monitor stops.
pub fn correct(
    graph: &mut OnnxGraph,
    layers: &[&Layer],
    quantized: &Session,
    float: &Session,
    data: &Dataset,
    monitor: &mut dyn Monitor,
) -> Result<(), PtqError> {
    let mut sums: Vec<Vec<f64>> = Vec::new();
    for layer in layers {
        sums.push(vec![
            0.0;
            layer.weights.as_ref().map_or(0, |w| w.channels())
        ]);
    }
    let mut wanted: Vec<&str> = Vec::new();
    for layer in layers {
        let output = graph.nodes[layer.node].outputs[0].as_str();
        wanted.extend([layer.inputs[0].as_str(), output]);
    }
    wanted.sort_unstable();
    wanted.dedup();
    monitor.stage("bias correction", data.samples.len());
    for sample in &data.samples {
        let computed: Vec<&str> = wanted
            .iter()
            .copied()
            .filter(|n| !sample.contains_key(*n))
            .collect();
        let mut values = float.run(sample.iter().map(|(n, v)| (n.as_str(), v)), &computed)?;
        values.extend(sample.clone());
        for (layer, sums) in layers.iter().zip(&mut sums) {
            let input = layer.inputs[0].as_str();
            let output = graph.nodes[layer.node].outputs[0].as_str();
            let mut lossy = quantized.run([(input, &values[input])], &[output])?;
            let lossy = lossy.remove(output).expect("asked for");
            add_channel_means(sums, &values[output], &lossy);
        }
        step(monitor)?;
    }
    for (layer, sums) in layers.iter().zip(sums) {
        let weights = layer
            .weights
            .as_ref()
            .expect("only layers with weights are corrected");
        let bias = bias_values(graph, weights);
        let mean = sums.iter().map(|s| (s / data.samples.len() as f64) as f32);
        let corrected = bias.iter().zip(mean).map(|(b, m)| b + m).collect();
        set_bias(graph, layer.node, corrected);
    }
    Ok(())
}

/// Adds the mean of `a - b` over all but the channels; channels are the second dimension.
fn add_channel_means(sums: &mut [f64], a: &ndarray::ArrayD<f32>, b: &ndarray::ArrayD<f32>) {
    let channels = sums.len();
    let inner: usize = a.shape().iter().skip(2).product();
    let per_channel = (a.len() / channels.max(1)).max(1) as f64;
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        sums[i / inner % channels] += (f64::from(*a) - f64::from(*b)) / per_channel;
    }
}
