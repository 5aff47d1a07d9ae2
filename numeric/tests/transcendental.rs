//! The 16-bit logistic function and tanh over all 65,536 inputs of every format: against their
//! definition on exact rationals, and against real numbers.

mod common;

use common::{Tie, nearest, pow2};
use macforge_numeric::transcendental::{logistic, tanh};

/// gemmlowp's algorithms over exact roundings; constants are computed from what they stand for.
mod exact {
    use super::*;

    fn constant(value: f64, fraction_bits: i32) -> i128 {
        (value * 2f64.powi(fraction_bits)).round() as i128
    }

    fn mul(a: i128, b: i128) -> i128 {
        nearest(a * b, pow2(15), Tie::Up)
    }

    /// `exp(-a)` in Q0.15 for `a > 0` with `fraction` bits behind the point.
    fn exp_minus(a: i128, fraction: i32) -> i128 {
        if a > 32 * pow2(fraction) {
            return 0;
        }
        // -a = rest - bits / 4 with rest in -1/4..0, scaled to 15 bits behind the point.
        let quarter = pow2(fraction - 2);
        let rest = (-a).rem_euclid(quarter) - quarter;
        let bits = (rest + a) / quarter;
        let x = rest * pow2(15 - fraction) + pow2(12);
        let (x2, x3) = (mul(x, x), mul(mul(x, x), x));
        let x4_quarter = nearest(mul(x2, x2), 4, Tie::Away);
        let third = constant(1.0 / 3.0, 15);
        let tail = nearest(mul(x4_quarter + x3, third) + x2, 2, Tie::Away);
        let base = constant((-0.125f64).exp(), 15);
        let mut result = base + mul(base, x + tail);
        for k in 0..7 {
            if bits >> k & 1 == 1 {
                result = mul(result, constant((-(2f64.powi(k - 2))).exp(), 15));
            }
        }
        result
    }

    /// Q2.13 value of `2 / (1 + x)` for `x` in Q0.15.
    fn reciprocal(x: i128) -> i128 {
        let half = nearest(x + pow2(15) - 1, 2, Tie::Away);
        let mut y = constant(48.0 / 17.0, 13) + mul(half, constant(-32.0 / 17.0, 13));
        for _ in 0..3 {
            y += 4 * mul(y, pow2(13) - mul(half, y));
        }
        y
    }

    pub fn logistic(a: i128, integer_bits: i32) -> i128 {
        let exp = exp_minus(a.abs(), 15 - integer_bits);
        let positive = (2 * reciprocal(exp)).min(pow2(15) - 1);
        match a.signum() {
            0 => pow2(14),
            1 => positive,
            _ => pow2(15) - 1 - positive,
        }
    }

    pub fn tanh(a: i128, integer_bits: i32) -> i128 {
        let exp = exp_minus(a.abs(), 14 - integer_bits);
        a.signum() * (4 * (reciprocal(exp) - pow2(13))).min(pow2(15) - 1)
    }
}

/// Largest distance, in units of 2^-15, to the real function.
fn check(
    integer_bits: i32,
    found: impl Fn(i64) -> i64,
    exact: impl Fn(i128) -> i128,
    real: impl Fn(f64) -> f64,
) -> f64 {
    let mut worst = 0f64;
    for a in i16::MIN..=i16::MAX {
        let y = found(a.into());
        assert_eq!(
            i128::from(y),
            exact(a.into()),
            "{a} with {integer_bits} bits"
        );
        let x = f64::from(a) * 2f64.powi(integer_bits - 15);
        worst = worst.max((y as f64 - real(x) * 32768.0).abs());
    }
    worst
}

#[test]
fn logistic_of_all_inputs_equals_its_definition_and_is_near_the_real_function() {
    for bits in 1..=6 {
        let worst = check(
            bits,
            |a| logistic::<16>(a, bits as u32),
            |a| exact::logistic(a, bits),
            |x| 1.0 / (1.0 + (-x).exp()),
        );
        assert!(worst < 12.0, "{worst} units with {bits} integer bits");
    }
}

#[test]
fn tanh_of_all_inputs_equals_its_definition_and_is_near_the_real_function() {
    for bits in 0..=6 {
        let worst = check(
            bits,
            |a| tanh::<16>(a, bits as u32),
            |a| exact::tanh(a, bits),
            f64::tanh,
        );
        assert!(worst < 16.0, "{worst} units with {bits} integer bits");
    }
}

/// What the hardware's half-size tables rely on.
#[test]
fn both_functions_are_symmetric() {
    for a in 1..=32767 {
        assert_eq!(logistic::<16>(-a, 3), 32767 - logistic::<16>(a, 3));
        assert_eq!(tanh::<16>(-a, 3), -tanh::<16>(a, 3));
    }
}
