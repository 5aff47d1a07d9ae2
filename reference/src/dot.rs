//! The inner product shared by convolution and fully connected layers.

use macforge_numeric::Requantizer;

use crate::error::ReferenceError;
use crate::ops::Context;

/// Products of int8 weights and nine-bit inputs stay below 2^15, so this many fit an int32.
const CHUNK: usize = 1 << 15;

/// `sum(w * x)`, exact. `x` holds inputs less their zero point, -255..=255.
fn dot(weights: &[i8], x: &[i16]) -> i64 {
    weights
        .chunks(CHUNK)
        .zip(x.chunks(CHUNK))
        .map(|(w, x)| {
            let sum: i32 = w
                .iter()
                .zip(x)
                .map(|(&w, &x)| i32::from(w) * i32::from(x))
                .sum();
            i64::from(sum)
        })
        .sum()
}

/// A layer's weights as one row per output channel, with what follows each inner product.
pub(crate) struct Rows<'a> {
    pub weights: &'a [i8],
    pub bias: &'a [i32],
    pub requant: &'a [Requantizer],
    pub lower_is_activation: bool,
}

impl Rows<'_> {
    /// Checks that weights, biases and requantizers are there for `channels` rows of `depth`.
    pub fn check(&self, cx: &Context, channels: usize, depth: usize) -> Result<(), ReferenceError> {
        cx.expect("number of weights", self.weights.len(), channels * depth)?;
        cx.expect("number of biases", self.bias.len(), channels)?;
        cx.expect("number of requantizers", self.requant.len(), channels)
    }

    /// Writes every output channel of one input vector; returns the number of saturations.
    pub fn apply(&self, cx: &Context, x: &[i16], out: &mut [i8]) -> Result<u64, ReferenceError> {
        let mut saturations = 0;
        for (channel, q) in out.iter_mut().enumerate() {
            let row = &self.weights[channel * x.len()..][..x.len()];
            let acc = dot(row, x) + i64::from(self.bias[channel]);
            if i32::try_from(acc).is_err() {
                return Err(ReferenceError::AccumulatorOverflow {
                    node: cx.node.name.clone(),
                    channel,
                    value: acc,
                });
            }
            let requant = &self.requant[channel];
            let y = requant.unclamped(acc);
            *q = requant.clamp.apply(y) as i8;
            saturations += u64::from(requant.clamp.saturates(y, self.lower_is_activation));
        }
        Ok(saturations)
    }
}

#[cfg(test)]
mod tests {
    use super::dot;

    #[test]
    fn the_longest_chunk_of_extremes_does_not_overflow() {
        let n = super::CHUNK + 3;
        assert_eq!(dot(&vec![-128; n], &vec![255; n]), -128 * 255 * n as i64);
    }
}
