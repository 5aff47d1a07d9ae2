//! Multi-head attention with int8 queries, keys and values, FP16 scores and exponentials.

use crate::error::Result;
use crate::fp16::{Fp16, Fp16Factor, Fp16Quantizer};

/// The arithmetic of one head and one query, `macforge-fp16-attention`. It is this project's own:
/// what a runtime computes in float32 is computed here from exact integer sums and four roundings.
///
/// ```text
/// s_j = sum((q - zq) (k_j - zk))                  exact, int32
/// x_j = fp16((s_j - max s) * score)               never positive; the largest is zero
/// w_j = round(exp(x_j) * 2^14)                    Fp16::exp; ties to even; 0 to 2^14
/// n   = sum w_j     r = floor(2^e / n)            exact; e such that r has 17 bits
/// c   = fp16(sum(w_j (v_j - zv)) * r / 2^e)       in steps of the value
/// y   = clamp8(round(c * value scale / output scale) + zero point)    ties to even
/// ```
///
/// Two choices differ from the textbook's order. The largest score is subtracted from the integers, as the
/// subtraction of two rounded scores would lose what they share. The sum of the weights divides after
/// the product with the values, so that the weights of a row add up to exactly one, whatever their
/// rounding; a probability of 8 bits is a sixth wrong in a row of 100 equal keys.
///
/// Nothing overflows up to [`Self::MAX_KEYS`] keys and [`Self::MAX_WIDTH`] channels per head: a score is
/// below `2^14 * 255^2`, and so the difference of two is an int32; `n` is at most `2^23` and the sum of
/// products below `2^23 * 255`; a score of minus infinity has weight zero; `|c|` is at most 255, as it
/// is a mean of the values (its rounding included: `r` is rounded down, and 255 is an FP16).
///
/// With `T` keys and values whose largest and smallest differ by `d`, `c` is within
/// [`Self::error_bound`] of real attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionRule {
    /// Product of two scales and the graph's factor (one over the root of the head's width).
    pub score: Fp16Factor,
    /// Steps of the value to the output's int8.
    pub output: Fp16Quantizer,
}

impl AttentionRule {
    /// Most keys.
    pub const MAX_KEYS: usize = 512;
    /// Most channels of a head.
    pub const MAX_WIDTH: usize = 1 << 14;
    /// Fraction bits of a weight: the largest weight of a row is `2^14`.
    pub const WEIGHT_BITS: u32 = 14;

    /// The rule of real scales; `alpha` is what the graph multiplies the scores with.
    ///
    /// # Errors
    /// A product or quotient of scales is out of range ([`Fp16Factor::from_real`]), or the zero point no
    /// int8.
    pub fn new(
        [query, key, value]: [f32; 3],
        alpha: f64,
        output: f32,
        zero_point: i32,
    ) -> Result<Self> {
        let quotient = f64::from(value) / f64::from(output);
        Ok(Self {
            score: Fp16Factor::from_real(f64::from(query) * f64::from(key) * alpha)?,
            output: Fp16Quantizer::of_factor(Fp16Factor::from_real(quotient)?, zero_point)?,
        })
    }

    /// A weight from a score's distance to the row's largest, which is not positive.
    pub fn weight(&self, difference: i64) -> u32 {
        let exp = self.score.dequantize(difference).exp();
        exp.in_units(Self::WEIGHT_BITS)
    }

    /// The weights of a row of scores.
    pub fn weights(&self, scores: &[i64]) -> Vec<u32> {
        let largest = scores.iter().copied().max().unwrap_or(0);
        scores.iter().map(|s| self.weight(s - largest)).collect()
    }

    /// Reciprocal of a sum of weights, which is at least one: 17 bits, rounded down.
    pub fn reciprocal(total: u32) -> Fp16Factor {
        let places = Fp16Factor::BITS - 1 + (total - 1).checked_ilog2().map_or(0, |b| b + 1);
        Fp16Factor {
            multiplier: ((1u64 << places) / u64::from(total)) as u32,
            exponent: -(places as i32),
        }
    }

    /// The context in steps of the value, from the sum of weighted values.
    pub fn context(sum: i64, reciprocal: Fp16Factor) -> Fp16 {
        reciprocal.dequantize(sum)
    }

    /// The output before its clamp.
    pub fn unclamped(&self, sum: i64, reciprocal: Fp16Factor) -> i64 {
        self.output.unclamped(Self::context(sum, reciprocal))
    }

    /// How far a context can be from real attention, in steps of the value; `spread` is the difference
    /// of the largest and the smallest value, `context` the real result.
    ///
    /// A score's rounding moves its weight by `2^-11 |x_j|` of it, and the weighted mean of `|x_j|` is
    /// the row's entropy less that of its largest weight, at most `ln T`. The exponential adds less than
    /// `2^-10`, the weight's own rounding `2^-15` of the largest; the last two roundings
    /// `2^-11 + 2^-16` of the context.
    pub fn error_bound(keys: usize, spread: f64, context: f64) -> f64 {
        let keys = keys as f64;
        let weights = (1.0 + 0.55 * keys.ln()) / 1024.0 + keys / 32768.0;
        spread * weights + context.abs() / 1984.0
    }
}
