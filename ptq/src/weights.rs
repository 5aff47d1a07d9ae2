//! Quantized weights.

use macforge_model::onnx::OnnxGraph;
use macforge_numeric::NumericError;

use crate::PtqError;
use crate::policy::{Granularity, TensorPolicy};
use crate::prepare::{Weights, bias_values, floats};
use crate::scale::{Grid, Range};

/// Largest bias in accumulator units; a channel whose bias is larger gets a coarser weight scale.
const MAX_BIAS: f64 = (1 << 22) as f64;

/// Most that bias and products of a channel may add up to, whatever the 8-bit activations are: the
/// hardware's accumulator has 25 bits. Where the weights are many and large, their scale is coarser.
const MAX_SUM: f64 = (1 << 24) as f64;

/// Weights on their grids.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights {
    /// Integers, in the order of the float weights.
    pub values: Vec<i8>,
    /// Grid per output channel.
    pub grids: Vec<Grid>,
    /// Range before quantization, per output channel (of its group).
    pub ranges: Vec<Range>,
    /// One scale for all channels.
    pub per_tensor: bool,
}

impl QuantizedWeights {
    /// The real values that the integers stand for.
    pub fn dequantized(&self, weights: &Weights) -> Vec<f32> {
        let values = self.values.iter().enumerate();
        values
            .map(|(i, &q)| self.grids[weights.channel_of(i)].dequantize(q.into()))
            .collect()
    }
}

/// Quantizes a layer's weights. `input_scale` bounds how fine they may get, see [`MAX_BIAS`] and
/// [`MAX_SUM`].
pub fn quantize(
    graph: &OnnxGraph,
    weights: &Weights,
    policy: &TensorPolicy,
    power_of_two: bool,
    input_scale: f32,
) -> QuantizedWeights {
    let (_, values) = floats(graph, &weights.name).expect("weights are float constants");
    let channels = weights.channels();
    let group = match policy.granularity {
        Granularity::Tensor => channels,
        Granularity::Channel => 1,
        Granularity::Group(size) => size,
    };
    let bias = bias_values(graph, weights);
    let mut members: Vec<Vec<f32>> = vec![Vec::new(); channels.div_ceil(group)];
    // sums of what is positive and of what is negative
    let mut sums = vec![[0f64; 2]; channels];
    for (i, &w) in values.iter().enumerate() {
        let channel = weights.channel_of(i);
        members[channel / group].push(w);
        sums[channel][usize::from(w < 0.0)] += f64::from(w.abs());
    }
    let mut grids = Vec::with_capacity(channels);
    let mut ranges = Vec::with_capacity(channels);
    for (g, members) in members.iter().enumerate() {
        let range = policy
            .calibrator
            .range_of(members, policy.bits, policy.scheme);
        let own = g * group..((g + 1) * group).min(channels);
        let needed = own.clone().map(|c| finest(sums[c], bias[c], input_scale));
        let grid = coarser(range, policy, power_of_two, needed.fold(0.0, f64::max));
        ranges.extend(own.clone().map(|_| range));
        grids.extend(own.map(|_| grid));
    }
    let quantized = values.iter().enumerate();
    QuantizedWeights {
        values: quantized
            .map(|(i, &w)| grids[weights.channel_of(i)].quantize(w) as i8)
            .collect(),
        per_tensor: policy.granularity == Granularity::Tensor,
        grids,
        ranges,
    }
}

/// The finest scale of a channel's weights, from the sums of its positive and of its negative ones.
fn finest([positive, negative]: [f64; 2], bias: f32, input_scale: f32) -> f64 {
    let bias = f64::from(bias.abs()) / f64::from(input_scale);
    // activation less zero point is within -255..=255; one in 256 is for the weights' rounding
    let sum = 257.0 * positive.max(negative) + bias;
    (bias / MAX_BIAS).max(sum / MAX_SUM)
}

/// The grid for `range`, its scale at least `floor`.
fn coarser(range: Range, policy: &TensorPolicy, power_of_two: bool, floor: f64) -> Grid {
    let grid = Grid::cover(range, policy.bits, policy.scheme, power_of_two);
    let scale = f64::from(grid.params.scale);
    let empty = range.lo == 0.0 && range.hi == 0.0;
    if empty && floor == 0.0 || !empty && scale >= floor {
        return grid;
    }
    let wide = floor * f64::from(grid.hi - grid.lo);
    let widened = Range {
        lo: -wide,
        hi: wide,
    };
    Grid::cover(widened, policy.bits, policy.scheme, power_of_two)
}

/// The bias in units of `input scale * weight scale`, rounded half to even.
///
/// # Errors
/// It does not fit an int32.
pub fn quantize_bias(
    layer: &str,
    bias: &[f32],
    input_scale: f32,
    grids: &[Grid],
) -> Result<Vec<i32>, PtqError> {
    let integer = |(&b, grid): (&f32, &Grid)| {
        let unit = f64::from(input_scale * grid.params.scale);
        let q = (f64::from(b) / unit).round_ties_even();
        if q.abs() <= f64::from(i32::MAX) {
            return Ok(q as i32);
        }
        Err(PtqError::Rule {
            at: format!("{layer}: bias {b} in units of {unit}"),
            source: NumericError::BadScale { found: unit },
        })
    };
    bias.iter().zip(grids).map(integer).collect()
}
