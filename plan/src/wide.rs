//! int16 values as bytes. A tensor `[H, W, C]` of int16 lies in an area of `[2 H, W, C]` bytes: the high
//! bytes of each row, then the low ones less 128, so that both are int8. A convolution over it is one over
//! the bytes with every kernel row twice, whose sums of even rows count 256 times. Weights of 16 bits are
//! two passes, of which the first one's sums count 256 times.

use crate::layers::{HwLayer, Layers};
use crate::proof::{ACC_BITS, activations};
use macforge_numeric::{Interval, accumulator_interval};

/// Widest accumulators of layers with int16 operands or results.
pub const WIDE_ACC_BITS: u32 = 40;

/// What a byte of a high row or pass counts.
const HIGH: i64 = 256;

/// The low byte of zero, less 128.
const LOW_ZERO: i64 = -128;

/// A byte of int16 results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Byte {
    /// The high one.
    High,
    /// The low one, less 128.
    Low,
}

/// How a layer takes part in int16 values; the default has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wide {
    /// The rule is [`macforge_numeric::RequantRule::Wide`].
    pub rule: bool,
    /// The input's rows are high and low bytes in turn.
    pub row_pairs: bool,
    /// Which byte of its results the layer writes; `None` for int8.
    pub output: Option<Byte>,
}

impl HwLayer {
    /// Rows of a channel's weights, each with what its sums count and with its input's zero.
    fn weight_rows<'a>(&self, weights: &'a [i16]) -> impl Iterator<Item = (&'a [i16], i64, i64)> {
        let rows = if self.wide.row_pairs {
            self.window().kernel[0]
        } else {
            1
        };
        let zero_point = i64::from(self.input_zero_point);
        let pairs = self.wide.row_pairs;
        let row = weights.chunks_exact(weights.len() / rows).enumerate();
        row.map(move |(at, row)| match (pairs, at % 2) {
            (false, _) => (row, 1, zero_point),
            (true, 0) => (row, HIGH, zero_point),
            (true, _) => (row, 1, LOW_ZERO),
        })
    }

    /// The bias of the stored values' sum: `bias - sum(w * zero)`.
    pub fn folded_bias(&self, weights: &[i16], bias: i32) -> i64 {
        let of_row = |(row, factor, zero): (&[i16], i64, i64)| -> i64 {
            let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
            factor * zero * sum
        };
        i64::from(bias) - self.weight_rows(weights).map(of_row).sum::<i64>()
    }

    /// Sums that the stored values can reach; padding is one of them.
    pub fn sums(&self, weights: &[i16]) -> Interval {
        let of_row = |(row, factor, _): (&[i16], i64, i64)| {
            let sum = accumulator_interval(row, activations(), 0, 0, false);
            Interval::new(factor * sum.lo, factor * sum.hi)
        };
        let rows = self.weight_rows(weights).map(of_row);
        rows.fold(Interval::point(0), |all, row| all + row)
    }

    /// Bits that the layer's accumulators may have.
    pub fn most_acc_bits(&self) -> u32 {
        if self.wide.rule {
            WIDE_ACC_BITS
        } else {
            ACC_BITS
        }
    }
}

/// Bits of accumulators and biases that all layers need; what is beyond [`WIDE_ACC_BITS`] is refused where
/// the layer is proved.
pub fn acc_bits(layers: &[HwLayer]) -> u32 {
    let wide = layers.iter().filter(|l| l.wide.rule);
    let of_layer = |layer: &HwLayer| {
        let weighted = layer.weighted().expect("the rule is one of weights");
        (weighted.bias.iter().enumerate())
            .flat_map(|(channel, &bias)| {
                let weights = weighted.of_channel(channel);
                let bias = Interval::point(layer.folded_bias(weights, bias));
                let sums = layer.sums(weights);
                [sums, bias, sums + bias].map(Interval::bits_signed)
            })
            .max()
            .unwrap_or(0)
    };
    let most = wide.map(of_layer).max().unwrap_or(0);
    most.clamp(ACC_BITS, WIDE_ACC_BITS)
}

impl Layers {
    /// Some layer has rows of two bytes, or weights of two.
    pub fn shifts_sums(&self) -> bool {
        (self.layers.iter()).any(|l| l.wide.row_pairs || l.form.bytes)
    }
}
