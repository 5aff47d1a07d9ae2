//! What quantization costs, layer by layer.

use serde::Serialize;

use crate::error_sums::{ErrorSums, Fidelity, Split};
use crate::layers::Layer;
use crate::network::{Decided, Network};
use crate::policy::TensorPolicy;
use crate::prepare::floats;
use crate::scale::Range;
use crate::sensitivity::Sensitivity;

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Model name.
    pub model: String,
    /// Rounding rules of the integer graph.
    pub semantics: String,
    /// Calibration samples.
    pub calibration_samples: usize,
    /// Samples of the accumulated errors.
    pub compared_samples: usize,
    /// Graph inputs, then layers in execution order.
    pub layers: Vec<LayerReport>,
    /// Layers that are left to the host, in float.
    pub outside: Vec<String>,
    /// Accuracy over the evaluation data, with labels.
    pub evaluation: Option<Evaluation>,
}

/// One layer, or a graph input.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// Name, as in the policy.
    pub name: String,
    /// Operators.
    pub op: String,
    /// Its weights.
    pub weights: Option<TensorReport>,
    /// What it gives out.
    pub activations: Option<TensorReport>,
    /// The integer graph's values against the float network's, all errors up to here included.
    pub accumulated: Option<Fidelity>,
    /// What the outputs lose when this layer alone is quantized.
    pub sensitivity: Option<Sensitivity>,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorReport {
    /// Bits.
    pub bits: u32,
    /// `symmetric` or `asymmetric`.
    pub scheme: String,
    /// `tensor`, `channel` or `group of N`.
    pub granularity: String,
    /// Calibrator.
    pub calibrator: String,
    /// Smallest and largest value that occurs.
    pub seen: [f64; 2],
    /// Smallest and largest value that is represented (of the widest channel).
    pub represented: [f64; 2],
    /// Smallest and largest scale.
    pub scale: [f32; 2],
    /// Zero point (of the first channel).
    pub zero_point: i32,
    /// Share of the values further than three deviations from the mean.
    pub outlier_share: f64,
    /// This tensor's own quantization.
    #[serde(flatten)]
    pub fidelity: Fidelity,
    /// Its mean squared error, by cause.
    pub error: Split,
}

/// Accuracy of the integer network on the reference model, and of the float network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Samples.
    pub samples: usize,
    /// Share of right answers in float, with labels.
    pub float_accuracy: Option<f64>,
    /// Share of right answers in integers, with labels.
    pub quantized_accuracy: Option<f64>,
    /// Share of the samples whose largest output is another one than in float.
    pub top1_changed: f64,
    /// The integer network's outputs against the float network's.
    #[serde(flatten)]
    pub outputs: Fidelity,
}

/// Per activation: sums over the calibration data.
pub type ActivationSums = std::collections::BTreeMap<String, ErrorSums>;

/// Graph inputs and layers, without accumulated errors and sensitivity.
pub fn layers(network: &Network, decided: &Decided, sums: &ActivationSums) -> Vec<LayerReport> {
    let inputs = network.graph.inputs.iter().map(|input| LayerReport {
        name: input.name.clone(),
        op: "INPUT".into(),
        weights: None,
        activations: activation(network, decided, sums, &input.name),
        accumulated: None,
        sensitivity: None,
    });
    let inside = network.inside().map(|layer| LayerReport {
        name: layer.name.clone(),
        op: layer.op.clone(),
        weights: weights(network, decided, layer),
        activations: activation(network, decided, sums, &layer.outputs[0]),
        accumulated: None,
        sensitivity: None,
    });
    inputs.chain(inside).collect()
}

fn activation(
    network: &Network,
    decided: &Decided,
    sums: &ActivationSums,
    value: &str,
) -> Option<TensorReport> {
    let a = decided.activations.get(value)?;
    let seen = network.observed.get(value)?;
    let sums = sums.get(value)?;
    let range = seen.moments.range();
    Some(TensorReport {
        seen: [range.lo, range.hi],
        represented: ends(a.grid.range()),
        scale: [a.grid.params.scale; 2],
        zero_point: a.grid.params.zero_point,
        outlier_share: seen.outlier_share(),
        fidelity: sums.fidelity(),
        error: sums.split(),
        ..described(&a.policy)
    })
}

fn weights(network: &Network, decided: &Decided, layer: &Layer) -> Option<TensorReport> {
    let weights = layer.weights.as_ref()?;
    let q = decided.weights.get(&layer.name)?;
    let (_, values) = floats(&network.graph, &weights.name)?;
    let mut moments = crate::calibrate::Moments::default();
    moments.add(values);
    let (mean, bound) = (moments.mean(), 3.0 * moments.deviation());
    let far = values
        .iter()
        .filter(|&&v| (f64::from(v) - mean).abs() > bound);
    let outliers = far.count() as f64 / values.len().max(1) as f64;
    let mut sums = ErrorSums::default();
    for (i, &v) in values.iter().enumerate() {
        sums.add_quantized([v], &q.grids[weights.channel_of(i)]);
    }
    let scales = q.grids.iter().map(|g| g.params.scale);
    let hull = q.grids.iter().map(|g| g.range()).reduce(Range::hull)?;
    Some(TensorReport {
        seen: ends(moments.range()),
        represented: ends(hull),
        scale: [
            scales.clone().fold(f32::INFINITY, f32::min),
            scales.fold(0.0, f32::max),
        ],
        zero_point: q.grids[0].params.zero_point,
        outlier_share: outliers,
        fidelity: sums.fidelity(),
        error: sums.split(),
        ..described(&network.policy.layers[&layer.name].weights)
    })
}

fn ends(range: Range) -> [f64; 2] {
    [range.lo, range.hi]
}

/// What the policy says; the figures are still zero.
fn described(policy: &TensorPolicy) -> TensorReport {
    TensorReport {
        bits: policy.bits,
        scheme: policy.scheme.to_string(),
        granularity: policy.granularity.to_string(),
        calibrator: policy.calibrator.to_string(),
        seen: [0.0; 2],
        represented: [0.0; 2],
        scale: [0.0; 2],
        zero_point: 0,
        outlier_share: 0.0,
        fidelity: ErrorSums::default().fidelity(),
        error: ErrorSums::default().split(),
    }
}
