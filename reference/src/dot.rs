//! The inner product shared by convolution and fully connected layers.

use macforge_numeric::{Clamp, Interval, RequantRule, Requantizer};

use crate::error::ReferenceError;
use crate::ops::Context;

/// Products of int8 weights and nine-bit inputs stay below 2^15, so this many fit an int32.
const CHUNK: usize = 1 << 15;

/// `sum(w * x)`, exact, for weights of 8 bits. `x` holds inputs less their zero point, -255..=255.
pub(crate) fn dot<W: Copy + Into<i32>>(weights: &[W], x: &[i16]) -> i64 {
    weights
        .chunks(CHUNK)
        .zip(x.chunks(CHUNK))
        .map(|(w, x)| {
            let sum: i32 = w
                .iter()
                .zip(x)
                .map(|(&w, &x)| w.into() * i32::from(x))
                .sum();
            i64::from(sum)
        })
        .sum()
}

/// The same for weights and inputs of 16 bits.
fn wide_dot(weights: &[i16], x: &[i16]) -> i64 {
    let products = weights.iter().zip(x);
    products.map(|(&w, &x)| i64::from(w) * i64::from(x)).sum()
}

/// A layer's weights as one row per output channel, with what follows each inner product.
pub(crate) struct Rows<'a> {
    pub weights: &'a [i16],
    pub weight_zero_points: &'a [i32],
    pub bias: &'a [i32],
    /// Empty where the accumulators are the result.
    pub requant: &'a [Requantizer],
    pub lower_is_activation: bool,
    /// Limits of the output's type.
    pub limits: Clamp,
}

/// Output elements under construction, row-major.
pub(crate) enum Elements {
    /// Requantized values and the number of saturations among them.
    I8(Vec<i8>, u64),
    /// The same for int16.
    I16(Vec<i16>, u64),
    /// Accumulators.
    I32(Vec<i32>),
}

impl Rows<'_> {
    /// Checks that weights, biases and requantizers are there for `channels` rows of `depth`.
    pub fn check(&self, cx: &Context, channels: usize, depth: usize) -> Result<(), ReferenceError> {
        cx.expect("number of weights", self.weights.len(), channels * depth)?;
        let zero_points = self.weight_zero_points.len();
        cx.expect("number of weight zero points", zero_points, channels)?;
        cx.expect("number of biases", self.bias.len(), channels)?;
        if self.requant.is_empty() {
            return Ok(());
        }
        cx.expect("number of requantizers", self.requant.len(), channels)
    }

    /// Room for `count` results.
    pub fn elements(&self, count: usize) -> Elements {
        if self.requant.is_empty() {
            Elements::I32(Vec::with_capacity(count))
        } else if self.limits == Clamp::INT16 {
            Elements::I16(Vec::with_capacity(count), 0)
        } else {
            Elements::I8(Vec::with_capacity(count), 0)
        }
    }

    /// Inputs or weights may have 16 bits.
    fn is_wide(&self) -> bool {
        let wide = |r: &Requantizer| matches!(r.rule, RequantRule::Wide { .. });
        self.requant.first().is_some_and(wide)
    }

    /// Appends the results of output channels `channels` for one input vector.
    pub fn apply(
        &self,
        cx: &Context,
        x: &[i16],
        channels: std::ops::Range<usize>,
        out: &mut Elements,
    ) -> Result<(), ReferenceError> {
        let mut sum = None;
        let wide = self.is_wide();
        for channel in channels {
            let row = &self.weights[channel * x.len()..][..x.len()];
            let mut acc = if wide { wide_dot(row, x) } else { dot(row, x) };
            let zero_point = self.weight_zero_points[channel];
            if zero_point != 0 {
                let sum = *sum.get_or_insert_with(|| x.iter().map(|&x| i64::from(x)).sum::<i64>());
                acc -= i64::from(zero_point) * sum;
            }
            self.finish(cx, channel, acc, out)?;
        }
        Ok(())
    }

    /// Adds the bias to one sum of products and appends the channel's result.
    pub fn finish(
        &self,
        cx: &Context,
        channel: usize,
        sum: i64,
        out: &mut Elements,
    ) -> Result<(), ReferenceError> {
        let acc = sum + i64::from(self.bias[channel]);
        let requant = self.requant.get(channel);
        let bits = requant.map_or(32, |r| r.rule.accumulator_bits());
        if Interval::point(acc).bits_signed() > bits {
            return Err(ReferenceError::AccumulatorOverflow {
                node: cx.node.name.clone(),
                channel,
                value: acc,
                bits,
            });
        }
        let requantized = || {
            let requant = &self.requant[channel];
            let y = requant.unclamped(acc);
            let saturated = requant
                .clamp
                .saturates_in(self.limits, y, self.lower_is_activation);
            (requant.clamp.apply(y), u64::from(saturated))
        };
        match out {
            Elements::I8(values, saturations) => {
                let (value, saturated) = requantized();
                values.push(value as i8);
                *saturations += saturated;
            }
            Elements::I16(values, saturations) => {
                let (value, saturated) = requantized();
                values.push(value as i16);
                *saturations += saturated;
            }
            Elements::I32(values) => values.push(acc as i32),
        }
        Ok(())
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
