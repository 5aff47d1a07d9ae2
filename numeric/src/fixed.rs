//! gemmlowp's fixed-point primitives and TFLite's encoding of a real multiplier.

use crate::error::{NumericError, Result};

/// gemmlowp `SaturatingRoundingDoublingHighMul`: `a * b / 2^31`, rounded half up.
///
/// The original rounds with a nudge that depends on the sign and divides with truncation; both
/// signs come out as `floor((a * b + 2^30) / 2^31)`. Its only saturating case, `a == b == -2^31`,
/// needs a negative `b`; see [`saturating_mul`] for the form that keeps it.
pub fn rounding_doubling_high_mul(a: i64, b: i32) -> i64 {
    let product = i128::from(a) * i128::from(b);
    ((product + (1 << 30)) >> 31) as i64
}

/// The same on two int32, saturated to int32: the product of two gemmlowp `FixedPoint` numbers.
pub fn saturating_mul(a: i32, b: i32) -> i32 {
    rounding_doubling_high_mul(i64::from(a), b).min(i64::from(i32::MAX)) as i32
}

/// gemmlowp `RoundingDivideByPOT`: `x / 2^exponent`, rounded half away from zero.
///
/// `exponent` is at most 62.
pub fn rounding_divide_by_pot(x: i64, exponent: u32) -> i64 {
    let mask = (1i64 << exponent) - 1;
    let remainder = x & mask;
    let threshold = (mask >> 1) + i64::from(x < 0);
    (x >> exponent) + i64::from(remainder > threshold)
}

/// TFLite `MultiplyByQuantizedMultiplier` with double rounding: `x * multiplier * 2^(shift - 31)`.
///
/// A positive `shift` is applied before the product, a negative one after it, with its own
/// rounding. The original shifts left in int32, where an overflow is undefined; here the shifted
/// value keeps all its bits. `x` is an int32 and `shift` is in -31..=30.
pub fn multiply_double_rounding(x: i64, multiplier: i32, shift: i32) -> i64 {
    let left = shift.max(0) as u32;
    let right = (-shift).max(0) as u32;
    rounding_divide_by_pot(rounding_doubling_high_mul(x << left, multiplier), right)
}

/// TFLite `MultiplyByQuantizedMultiplier` with single rounding: the full product, rounded half up
/// once. `x` is an int32 and `shift` is in -31..=30.
pub fn multiply_single_rounding(x: i64, multiplier: i32, shift: i32) -> i64 {
    let total = (31 - shift) as u32;
    let product = i128::from(x) * i128::from(multiplier);
    ((product + (1i128 << (total - 1))) >> total) as i64
}

/// Bits of the sums that [`multiply_wide`] takes.
pub const WIDE_BITS: u32 = 48;

/// The 15 bits of a multiplier that [`multiply_wide`] multiplies with.
pub fn reduced_multiplier(multiplier: i32) -> i32 {
    if multiplier < 0x7fff_0000 {
        (multiplier + (1 << 15)) >> 16
    } else {
        0x7fff
    }
}

/// TFLite `MultiplyByQuantizedMultiplier` for 64-bit sums (its 16x8 kernels): the multiplier reduced to
/// 15 bits, the full product, rounded half up once. `x` has [`WIDE_BITS`], `shift` is in -31..=7.
pub fn multiply_wide(x: i64, multiplier: i32, shift: i32) -> i64 {
    let total = (15 - shift) as u32;
    (x * i64::from(reduced_multiplier(multiplier)) + (1 << (total - 1))) >> total
}

/// TFLite `QuantizeMultiplier`: `real ~ multiplier * 2^(shift - 31)` with `multiplier` in
/// `2^30..2^31`, or `(0, 0)` where `real` is zero or below about 2^-32.
///
/// # Errors
/// `real` is negative, infinite or NaN.
pub fn quantize_multiplier(real: f64) -> Result<(i32, i32)> {
    if !real.is_finite() || real < 0.0 {
        return Err(NumericError::BadMultiplier { found: real });
    }
    if real == 0.0 {
        return Ok((0, 0));
    }
    let (fraction, mut shift) = frexp(real);
    let mut fixed = (fraction * f64::from(2u32.pow(31))).round() as i64;
    if fixed == 1 << 31 {
        fixed /= 2;
        shift += 1;
    }
    if shift < -31 {
        return Ok((0, 0));
    }
    Ok((fixed as i32, shift))
}

/// C's `frexp`: `x = fraction * 2^exponent` with `fraction` in `0.5..1`; `x` positive and finite.
fn frexp(x: f64) -> (f64, i32) {
    // A subnormal is scaled into the normal range first.
    if !x.is_normal() {
        let (fraction, exponent) = frexp(x * 2f64.powi(64));
        return (fraction, exponent - 64);
    }
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
    let fraction = f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52));
    (fraction, exponent)
}
