//! Quantized weights.

use macforge_model::onnx::OnnxGraph;
use macforge_numeric::NumericError;

use crate::PtqError;
use crate::policy::{Granularity, TensorPolicy};
use crate::prepare::{Weights, bias_values, floats};
use crate::scale::{Grid, Range};

/// What a layer's activations are, as far as its weights depend on them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operands {
    /// Scale of the input.
    pub input_scale: f32,
    /// The input is int16.
    pub wide_input: bool,
    /// The result is int16.
    pub wide_output: bool,
}

/// Bounds of a channel's sums, whatever the activations are. Where bias or weights are too large for them,
/// the weight scale is coarser.
struct Bounds {
    /// Largest bias in accumulator units.
    bias: f64,
    /// Most that bias and products may add up to.
    sum: f64,
    /// Largest activation less its zero point; one in 256 is for the weights' rounding.
    activation: f64,
}

impl Bounds {
    /// The hardware's accumulators have 25 bits, in layers with an int16 operand or result 40; a bias is an
    /// int32.
    fn new(operands: Operands, wide_weights: bool) -> Self {
        let wide = operands.wide_input || operands.wide_output || wide_weights;
        let [bias, sum] = if wide { [30, 39] } else { [22, 24] };
        Bounds {
            bias: f64::from(1u32 << bias),
            sum: (1u64 << sum) as f64,
            // high and low byte reach -128 apart
            activation: if operands.wide_input { 33_100.0 } else { 257.0 },
        }
    }
}

/// Largest 16-bit weight: high and low byte lie within -127..=127.
const MOST_WIDE: i32 = 127 * 256 + 127;

/// Weights on their grids.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights {
    /// Integers, in the order of the float weights.
    pub values: Vec<i16>,
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

/// Quantizes a layer's weights. `operands` bound how fine they may get, see [`Bounds`].
pub fn quantize(
    graph: &OnnxGraph,
    weights: &Weights,
    policy: &TensorPolicy,
    power_of_two: bool,
    operands: Operands,
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
        let bounds = Bounds::new(operands, policy.bits == 16);
        let scale = operands.input_scale;
        let needed = own
            .clone()
            .map(|c| finest(sums[c], bias[c], scale, &bounds));
        let grid = coarser(range, policy, power_of_two, needed.fold(0.0, f64::max));
        ranges.extend(own.clone().map(|_| range));
        grids.extend(own.map(|_| grid));
    }
    let quantized = values.iter().enumerate();
    QuantizedWeights {
        values: quantized
            .map(|(i, &w)| integer(&grids[weights.channel_of(i)], w))
            .collect(),
        per_tensor: policy.granularity == Granularity::Tensor,
        grids,
        ranges,
    }
}

/// The finest scale of a channel's weights, from the sums of its positive and of its negative ones.
fn finest([positive, negative]: [f64; 2], bias: f32, input_scale: f32, bounds: &Bounds) -> f64 {
    let bias = f64::from(bias.abs()) / f64::from(input_scale);
    let sum = bounds.activation * positive.max(negative) + bias;
    (bias / bounds.bias).max(sum / bounds.sum)
}

/// The integer of a weight. One of 16 bits whose low byte would be 128 becomes its neighbour on the
/// weight's side: the hardware multiplies bytes of -127..=127.
fn integer(grid: &Grid, weight: f32) -> i16 {
    let q = grid.quantize(weight);
    let low = q & 255;
    if !grid.is_wide() || low != 128 {
        return q as i16;
    }
    let above = f64::from(weight) > f64::from(grid.params.scale) * f64::from(q);
    (q + if above { 1 } else { -1 }) as i16
}

/// The grid of a policy for `range`; both bytes of 16-bit weights are within -127..=127.
fn cover(range: Range, policy: &TensorPolicy, power_of_two: bool) -> Grid {
    let TensorPolicy { bits, scheme, .. } = *policy;
    if bits < 16 {
        return Grid::cover(range, bits, scheme, power_of_two);
    }
    let room = f64::from(i16::MAX) / f64::from(MOST_WIDE);
    let wider = Range {
        lo: range.lo * room,
        hi: range.hi * room,
    };
    Grid {
        lo: -MOST_WIDE,
        hi: MOST_WIDE,
        ..Grid::cover(wider, bits, scheme, power_of_two)
    }
}

/// The grid for `range`, its scale at least `floor`.
fn coarser(range: Range, policy: &TensorPolicy, power_of_two: bool, floor: f64) -> Grid {
    let grid = cover(range, policy, power_of_two);
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
    cover(widened, policy, power_of_two)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Calibrator;
    use crate::scale::Scheme;

    #[test]
    fn wide_weights_have_two_bytes_of_127_at_most() {
        let policy = TensorPolicy {
            bits: 16,
            scheme: Scheme::Symmetric,
            granularity: Granularity::Channel,
            calibrator: Calibrator::MinMax,
        };
        let most = MOST_WIDE as f32;
        let range = Range {
            lo: -f64::from(most),
            hi: f64::from(most),
        };
        let grid = cover(range, &policy, false);
        assert_eq!((grid.lo, grid.hi), (-32_639, 32_639));
        assert!((grid.params.scale - 1.0).abs() < 1e-6);
        let scale = grid.params.scale;
        for wanted in -32_639..=32_639 {
            let q = i32::from(integer(&grid, wanted as f32 * scale));
            let [high, low] = [(q + 128) >> 8, ((q + 128) & 255) - 128];
            assert!(high.abs() <= 127 && low.abs() <= 127, "{q}");
            assert!(
                (q - wanted).abs() <= i32::from(wanted & 255 == 128),
                "{q} for {wanted}"
            );
        }
        // the neighbour on the weight's side
        assert_eq!(integer(&grid, 384.3 * scale), 385);
        assert_eq!(integer(&grid, 383.7 * scale), 383);
    }
}
