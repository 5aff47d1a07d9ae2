//! gemmlowp's exponential, reciprocal, logistic function and tanh on 16- and 32-bit fixed point.
//!
//! Source: gemmlowp's `fixedpoint.h`. Every function is generic over the raw type's width `BITS`
//! (16 or 32); a value with `m` integer bits is `raw * 2^(m + 1 - BITS)`. Constants are stated for 32
//! bits and rounded to 16, as gemmlowp does.

use crate::fixed::rounding_divide_by_pot;

/// Factors `exp(-2^k)` in Q0.31 for k = -2..=4.
const EXP_FACTORS: [(i32, i64); 7] = [
    (-2, 1_672_461_947),
    (-1, 1_302_514_674),
    (0, 790_015_084),
    (1, 290_630_308),
    (2, 39_332_535),
    (3, 720_401),
    (4, 242),
];

/// Largest raw value; it stands for one where a format has no integer bits.
pub(crate) const fn max<const BITS: u32>() -> i64 {
    (1 << (BITS - 1)) - 1
}

/// A constant of 32 bits in the raw type.
fn constant<const BITS: u32>(value: i64) -> i64 {
    rounding_divide_by_pot(value, 32 - BITS)
}

/// gemmlowp `SaturatingRoundingDoublingHighMul`: the product of two fixed-point numbers. The sum of
/// their integer bits is the result's.
fn mul<const BITS: u32>(a: i64, b: i64) -> i64 {
    ((a * b + (1 << (BITS - 2))) >> (BITS - 1)).min(max::<BITS>())
}

/// gemmlowp `SaturatingRoundingMultiplyByPOT` for a positive exponent.
fn saturating_shl<const BITS: u32>(x: i64, exponent: u32) -> i64 {
    (x << exponent).clamp(-max::<BITS>() - 1, max::<BITS>())
}

/// gemmlowp adds without a check; the exhaustive tests show that no sum leaves the raw type.
fn fits<const BITS: u32>(x: i64) -> i64 {
    debug_assert!((-max::<BITS>() - 1..=max::<BITS>()).contains(&x));
    x
}

/// gemmlowp `exp_on_negative_values`: `exp(a)` without integer bits, for `a <= 0` with
/// `integer_bits` (1 to 13) of them.
///
/// The part below a quarter goes through a polynomial, each higher bit through its own factor;
/// below -32, where a format goes that far, the result is 0.
pub fn exp_on_negative_values<const BITS: u32>(a: i64, integer_bits: u32) -> i64 {
    if a == 0 {
        return max::<BITS>();
    }
    let fraction_bits = (BITS - 1 - integer_bits) as i32;
    if integer_bits > 5 && a < -(1 << (fraction_bits + 5)) {
        return 0;
    }
    let quarter = 1i64 << (fraction_bits - 2);
    let fraction = (a & (quarter - 1)) - quarter;
    let remainder = fraction - a;
    EXP_FACTORS
        .iter()
        .filter(|&&(k, _)| integer_bits as i32 > k && remainder >> (fraction_bits + k) & 1 == 1)
        .fold(
            exp_on_last_quarter::<BITS>(fraction << integer_bits),
            |result, &(_, factor)| mul::<BITS>(result, constant::<BITS>(factor)),
        )
}

/// gemmlowp `exp_on_interval_between_negative_one_quarter_and_0_excl`, no integer bits on both
/// sides: a Taylor polynomial of degree four around -1/8.
fn exp_on_last_quarter<const BITS: u32>(a: i64) -> i64 {
    let exp_minus_eighth = constant::<BITS>(1_895_147_668);
    let one_third = constant::<BITS>(715_827_883);
    let x = a + (1 << (BITS - 4));
    let x2 = mul::<BITS>(x, x);
    let x3 = mul::<BITS>(x2, x);
    let x4 = mul::<BITS>(x2, x2);
    let cubic = fits::<BITS>(rounding_divide_by_pot(x4, 2) + x3);
    let tail = rounding_divide_by_pot(mul::<BITS>(cubic, one_third) + x2, 1);
    let change = mul::<BITS>(exp_minus_eighth, fits::<BITS>(x + tail));
    (exp_minus_eighth + change).min(max::<BITS>())
}

/// Newton-Raphson for the reciprocal of `(1 + x) / 2`, `x` without integer bits; two of them in the
/// result.
fn reciprocal_of_half_sum<const BITS: u32>(x: i64) -> i64 {
    let c48_over_17 = constant::<BITS>(1_515_870_810);
    let minus_32_over_17 = constant::<BITS>(-1_010_580_540);
    let one = 1 << (BITS - 3);
    // Both operands are non-negative, so the rounding half sum is (s + 1) / 2.
    let half_denominator = (x + max::<BITS>() + 1) / 2;
    let mut y = c48_over_17 + mul::<BITS>(half_denominator, minus_32_over_17);
    for _ in 0..3 {
        let error = one - mul::<BITS>(half_denominator, y);
        y = fits::<BITS>(y + saturating_shl::<BITS>(mul::<BITS>(y, error), 2));
    }
    y
}

/// gemmlowp `one_over_one_plus_x_for_x_in_0_1`, no integer bits on both sides.
pub fn one_over_one_plus<const BITS: u32>(x: i64) -> i64 {
    saturating_shl::<BITS>(reciprocal_of_half_sum::<BITS>(x), 1)
}

/// gemmlowp `one_minus_x_over_one_plus_x_for_x_in_0_1`, no integer bits on both sides.
fn one_minus_over_one_plus<const BITS: u32>(x: i64) -> i64 {
    let one = 1 << (BITS - 3);
    saturating_shl::<BITS>(reciprocal_of_half_sum::<BITS>(x) - one, 2)
}

/// gemmlowp `logistic`: `1 / (1 + exp(-a))` without integer bits; `a` has `integer_bits`, at least 1.
pub fn logistic<const BITS: u32>(a: i64, integer_bits: u32) -> i64 {
    if a == 0 {
        return 1 << (BITS - 2);
    }
    let exp = exp_on_negative_values::<BITS>(-a.abs(), integer_bits);
    let positive = one_over_one_plus::<BITS>(exp);
    if a > 0 {
        positive
    } else {
        max::<BITS>() - positive
    }
}

/// gemmlowp `tanh` without integer bits; `a` has `integer_bits`, 0 to 12. An odd function.
pub fn tanh<const BITS: u32>(a: i64, integer_bits: u32) -> i64 {
    if a == 0 {
        return 0;
    }
    // exp(-2 |a|): the same raw value with one more integer bit.
    let exp = exp_on_negative_values::<BITS>(-a.abs(), integer_bits + 1);
    a.signum() * one_minus_over_one_plus::<BITS>(exp)
}
