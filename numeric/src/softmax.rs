//! TFLite's int8 softmax, in gemmlowp fixed point.

use crate::error::{NumericError, Result};
use crate::fixed::{
    quantize_multiplier, rounding_divide_by_pot, rounding_doubling_high_mul, saturating_mul,
};

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
            exp_on_negative_values(scaled as i32)
        })
    }

    /// Reciprocal of a sum of exponentials in Q12.19, at least 1.0: a Q0.31 `scale` and a number
    /// of bits such that `1 / sum = scale * 2^-bits`.
    pub fn reciprocal(sum: i32) -> (i32, i32) {
        let headroom = sum.leading_zeros();
        let bits = SUM_INTEGER_BITS - headroom as i32;
        let fraction = ((sum as u32) << headroom).wrapping_sub(1 << 31);
        (one_over_one_plus(fraction as i32), bits)
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

/// Factors `exp(-2^k)` in Q0.31 for k = -2..=4, with the bit of a Q5.26 number each belongs to.
const EXP_FACTORS: [(u32, i32); 7] = [
    (24, 1_672_461_947),
    (25, 1_302_514_674),
    (26, 790_015_084),
    (27, 290_630_308),
    (28, 39_332_535),
    (29, 720_401),
    (30, 242),
];

/// gemmlowp `exp_on_negative_values`: `exp(a)` in Q0.31 for `a <= 0` in Q5.26.
///
/// The part below a quarter goes through a polynomial, each higher bit through its own factor.
fn exp_on_negative_values(a: i32) -> i32 {
    if a == 0 {
        return i32::MAX;
    }
    let quarter = 1 << 24;
    let fraction = (a & (quarter - 1)) - quarter;
    let remainder = fraction.wrapping_sub(a);
    EXP_FACTORS
        .iter()
        .filter(|(bit, _)| remainder & (1 << bit) != 0)
        .fold(
            exp_on_last_quarter(fraction << DIFF_INTEGER_BITS),
            |result, &(_, factor)| saturating_mul(result, factor),
        )
}

/// gemmlowp `exp_on_interval_between_negative_one_quarter_and_0_excl`, Q0.31 to Q0.31: a Taylor
/// polynomial of degree four around -1/8.
fn exp_on_last_quarter(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const ONE_THIRD: i32 = 715_827_883;
    let divide = |v: i32, exponent| rounding_divide_by_pot(i64::from(v), exponent) as i32;
    let x = a + (1 << 28);
    let x2 = saturating_mul(x, x);
    let x3 = saturating_mul(x2, x);
    let x4 = saturating_mul(x2, x2);
    let tail = divide(saturating_mul(divide(x4, 2) + x3, ONE_THIRD) + x2, 1);
    EXP_MINUS_EIGHTH + saturating_mul(EXP_MINUS_EIGHTH, x + tail)
}

/// gemmlowp `one_over_one_plus_x_for_x_in_0_1`, Q0.31 to Q0.31: Newton-Raphson for the reciprocal
/// of `(1 + x) / 2`, in Q2.29.
fn one_over_one_plus(x: i32) -> i32 {
    const C48_OVER_17: i32 = 1_515_870_810;
    const MINUS_32_OVER_17: i32 = -1_010_580_540;
    const ONE_Q2: i32 = 1 << 29;
    // Both operands are non-negative, so the rounding half sum is (s + 1) / 2.
    let half_denominator = ((i64::from(x) + i64::from(i32::MAX) + 1) / 2) as i32;
    let mut y = C48_OVER_17 + saturating_mul(half_denominator, MINUS_32_OVER_17);
    for _ in 0..3 {
        let error = ONE_Q2 - saturating_mul(half_denominator, y);
        y += saturating_shl(saturating_mul(y, error), 2);
    }
    saturating_shl(y, 1)
}

/// gemmlowp `SaturatingRoundingMultiplyByPOT` for a positive exponent.
fn saturating_shl(x: i32, exponent: u32) -> i32 {
    (i64::from(x) << exponent).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}
