//! TFLite's int8 softmax, in gemmlowp fixed point.

use crate::error::{NumericError, Result};
use crate::fixed::{
    quantize_multiplier, rounding_divide_by_pot, rounding_doubling_high_mul, saturating_mul,
};
use crate::transcendental::{exp_on_negative_values, one_over_one_plus};

/// TFLite's int8 softmax (`reference_ops::Softmax`, also TFLite-Micro's): output scale 1/256, zero
/// point -128.
///
/// Differences to the row's maximum become Q5.26 numbers, their exponentials Q0.31, the sum
/// Q12.19; the sum's reciprocal is found by three Newton-Raphson steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftmaxRule {
    /// `beta * input_scale * 2^26` as a TFLite multiplier above one, in `2^30..2^31`.
    pub multiplier: i32,
    /// Its exponent, 1..=31.
    pub left_shift: i32,
    /// Differences below this count as exponential zero; not positive.
    pub diff_min: i32,
}

/// Integer bits of a scaled difference (Q5.26).
const DIFF_INTEGER_BITS: i32 = 5;
/// Integer bits of the sum of exponentials (Q12.19).
const SUM_INTEGER_BITS: i32 = 12;

impl SoftmaxRule {
    /// Longest row: one more could overflow the sum.
    pub const MAX_ELEMENTS: usize = (1 << SUM_INTEGER_BITS) - 1;

    /// The rule that TFLite derives from the input's scale and `beta`.
    ///
    /// # Errors
    /// `beta * input_scale` is not positive, or not above 2^-26.
    pub fn tflite(input_scale: f32, beta: f32) -> Result<Self> {
        let found = f64::from(beta) * f64::from(input_scale);
        let unit = f64::from(1 << (31 - DIFF_INTEGER_BITS));
        let (multiplier, left_shift) =
            quantize_multiplier((found * unit).min(f64::from(i32::MAX)))?;
        if left_shift < 1 {
            return Err(NumericError::MultiplierRange {
                found,
                semantics: "tflite SOFTMAX",
                wanted: "beta * scale above 2^-26",
            });
        }
        let largest = ((1i64 << DIFF_INTEGER_BITS) - 1) << (31 - DIFF_INTEGER_BITS);
        Ok(Self {
            multiplier,
            left_shift,
            diff_min: -((largest >> left_shift) as i32),
        })
    }

    /// `exp(-d * beta * scale)` in Q0.31 for the difference `d = max - q`, 0..=255; 0 where `-d`
    /// is below [`Self::diff_min`].
    pub fn exp_table(&self) -> [i32; 256] {
        std::array::from_fn(|d| {
            let diff = -(d as i64);
            if diff < i64::from(self.diff_min) {
                return 0;
            }
            let scaled = rounding_doubling_high_mul(diff << self.left_shift, self.multiplier);
            exp_on_negative_values::<32>(scaled, DIFF_INTEGER_BITS as u32) as i32
        })
    }

    /// Reciprocal of a sum of exponentials in Q12.19, at least 1.0: a Q0.31 `scale` and a number
    /// of bits such that `1 / sum = scale * 2^-bits`.
    pub fn reciprocal(sum: i32) -> (i32, i32) {
        let headroom = sum.leading_zeros();
        let bits = SUM_INTEGER_BITS - headroom as i32;
        let fraction = ((sum as u32) << headroom).wrapping_sub(1 << 31);
        (
            one_over_one_plus::<32>(i64::from(fraction as i32)) as i32,
            bits,
        )
    }

    /// One exponential's contribution to the sum: Q0.31 to Q12.19.
    pub fn summand(exp: i32) -> i32 {
        rounding_divide_by_pot(i64::from(exp), SUM_INTEGER_BITS as u32) as i32
    }

    /// Output for one exponential, given the reciprocal of the sum. Never above 127.
    pub fn output(exp: i32, (scale, bits): (i32, i32)) -> i8 {
        let product = i64::from(saturating_mul(scale, exp));
        let unsigned = rounding_divide_by_pot(product, (bits + 31 - 8) as u32);
        (unsigned - 128).clamp(-128, 127) as i8
    }

    /// Softmax of one row.
    ///
    /// # Panics
    /// The row is longer than [`Self::MAX_ELEMENTS`]; importers refuse such a layer.
    pub fn apply(&self, row: &[i8]) -> Vec<i8> {
        assert!(row.len() <= Self::MAX_ELEMENTS, "softmax row too long");
        let Some(&max) = row.iter().max() else {
            return Vec::new();
        };
        let table = self.exp_table();
        let exp = |q: i8| table[(i32::from(max) - i32::from(q)) as usize];
        let sum: i32 = row.iter().map(|&q| Self::summand(exp(q))).sum();
        let reciprocal = Self::reciprocal(sum);
        row.iter()
            .map(|&q| Self::output(exp(q), reciprocal))
            .collect()
    }
}
