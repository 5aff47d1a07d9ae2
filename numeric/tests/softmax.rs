//! The fixed-point softmax against its definition on exact rationals, and against real numbers.

mod common;

use common::{Tie, nearest, pow2};
use macforge_numeric::{NumericError, SoftmaxRule};
use proptest::prelude::*;

fn rule(scale: f32) -> SoftmaxRule {
    SoftmaxRule::tflite(scale, 1.0).unwrap()
}

/// gemmlowp's algorithm over exact roundings; constants are computed from what they stand for.
mod exact {
    use super::*;

    fn constant(value: f64, fraction_bits: i32) -> i128 {
        (value * 2f64.powi(fraction_bits)).round() as i128
    }

    fn mul(a: i128, b: i128) -> i128 {
        nearest(a * b, pow2(31), Tie::Up)
    }

    /// `exp(a)` in Q0.31 for `a <= 0` in Q5.26.
    pub fn exp(a: i128) -> i128 {
        if a == 0 {
            return pow2(31) - 1;
        }
        // a = -(bits * 1/4) + rest with rest in -1/4..0.
        let quarter = pow2(24);
        let rest = a.rem_euclid(quarter) - quarter;
        let bits = (rest - a) / quarter;
        let x = rest * 32 + pow2(28);
        let (x2, x3) = (mul(x, x), mul(mul(x, x), x));
        let x4_quarter = nearest(mul(x2, x2), 4, Tie::Away);
        let third = constant(1.0 / 3.0, 31);
        let tail = nearest(mul(x4_quarter + x3, third) + x2, 2, Tie::Away);
        let base = constant((-0.125f64).exp(), 31);
        let mut result = base + mul(base, x + tail);
        for k in 0..7 {
            if bits >> k & 1 == 1 {
                result = mul(result, constant((-(2f64.powi(k - 2))).exp(), 31));
            }
        }
        result
    }

    /// Q0.31 value of `1 / (1 + x)` for `x` in Q0.31.
    pub fn one_over_one_plus(x: i128) -> i128 {
        let half = nearest(x + pow2(31) - 1, 2, Tie::Away);
        let mut y = constant(48.0 / 17.0, 29) + mul(half, constant(-32.0 / 17.0, 29));
        for _ in 0..3 {
            y += 4 * mul(y, pow2(29) - mul(half, y));
        }
        (2 * y).min(pow2(31) - 1)
    }

    pub fn softmax(rule: &SoftmaxRule, row: &[i8]) -> Vec<i128> {
        let max = i128::from(*row.iter().max().unwrap());
        let exps: Vec<i128> = row
            .iter()
            .map(|&q| {
                let diff = i128::from(q) - max;
                if diff < rule.diff_min.into() {
                    return 0;
                }
                exp(mul(diff * pow2(rule.left_shift), rule.multiplier.into()))
            })
            .collect();
        let sum: i128 = exps.iter().map(|&e| nearest(e, 4096, Tie::Away)).sum();
        // sum = (1 + x) * 2^(19 + bits)
        let bits = 108 - sum.leading_zeros() as i32;
        let x = sum * pow2(31 - 19 - bits) - pow2(31);
        let scale = one_over_one_plus(x);
        exps.iter()
            .map(|&e| nearest(mul(scale, e), pow2(bits + 23), Tie::Away).min(255) - 128)
            .collect()
    }
}

#[test]
fn exponentials_equal_the_exact_statement_for_every_difference() {
    for scale in [0.171_853_51, 0.01, 0.5, 1.0, 3.9, 1e-4, 20.0] {
        let rule = rule(scale);
        for (d, found) in rule.exp_table().into_iter().enumerate() {
            let scaled = -(d as i128) * pow2(rule.left_shift) * i128::from(rule.multiplier);
            let wanted = if -(d as i32) < rule.diff_min {
                0
            } else {
                exact::exp(nearest(scaled, pow2(31), Tie::Up))
            };
            assert_eq!(i128::from(found), wanted, "{d} at {scale}");
        }
    }
}

#[test]
fn exponentials_are_close_to_real_ones_and_fall() {
    for scale in [0.171_853_51f32, 0.01, 0.5, 1.0] {
        let table = rule(scale).exp_table();
        for (d, &found) in table.iter().enumerate() {
            let real = (-(d as f64) * f64::from(scale)).exp();
            // gemmlowp's own error: a few parts in 2^20.
            assert!((f64::from(found) / 2f64.powi(31) - real).abs() < 4e-6);
        }
        assert!(table.windows(2).all(|w| w[0] >= w[1]));
    }
}

#[test]
fn reciprocals_equal_the_exact_statement_and_are_close_to_real_ones() {
    let mut sum = 1i64 << 19;
    while sum <= i64::from(i32::MAX) {
        for sum in [sum, sum + 1, sum * 9 / 8].map(|s| s.min(i32::MAX.into())) {
            let (scale, bits) = SoftmaxRule::reciprocal(sum as i32);
            let x = i128::from(sum) * pow2(12 - bits) - pow2(31);
            assert_eq!(i128::from(scale), exact::one_over_one_plus(x), "{sum}");
            let found = f64::from(scale) * 2f64.powi(-31 - bits);
            let real = 2f64.powi(19) / sum as f64;
            assert!((found / real - 1.0).abs() < 1e-7, "{sum}");
        }
        sum = sum * 17 / 16;
    }
}

#[test]
fn a_single_element_takes_everything_and_equal_ones_share() {
    let rule = rule(0.2);
    assert_eq!(rule.apply(&[]), Vec::<i8>::new());
    assert_eq!(rule.apply(&[-3]), vec![127]);
    assert_eq!(rule.apply(&[5, 5]), vec![0, 0]);
    assert_eq!(rule.apply(&[7; 4]), vec![-64; 4]);
    assert_eq!(rule.apply(&[127, -128]), vec![127, -128]);
}

#[test]
fn the_longest_row_does_not_overflow() {
    let row = vec![127; SoftmaxRule::MAX_ELEMENTS];
    assert!(rule(0.1).apply(&row).iter().all(|&q| q == -128));
}

#[test]
fn scales_that_tflite_refuses_are_refused() {
    for (scale, beta) in [(1e-9, 1.0), (0.1, 0.0)] {
        let error = SoftmaxRule::tflite(scale, beta).unwrap_err();
        assert!(matches!(error, NumericError::MultiplierRange { .. }));
    }
    let error = SoftmaxRule::tflite(0.1, -1.0).unwrap_err();
    assert!(matches!(error, NumericError::BadMultiplier { .. }));
}

#[test]
fn a_scale_too_large_for_the_format_is_held_at_its_end() {
    // beta * scale * 2^26 is capped below 2^31: neighbours then differ by 32 and count as zero.
    let rule = rule(1e6);
    assert_eq!((rule.left_shift, rule.diff_min), (31, 0));
    assert_eq!(rule.apply(&[3, 2, -100]), vec![127, -128, -128]);
}

proptest! {
    #[test]
    fn rows_equal_the_exact_statement_and_are_near_real_softmax(
        row in prop::collection::vec(any::<i8>(), 1..20), scale in 0.002f32..2.0,
    ) {
        let rule = rule(scale);
        let found = rule.apply(&row);
        let exact: Vec<i8> = exact::softmax(&rule, &row).iter().map(|&q| q as i8).collect();
        prop_assert_eq!(&found, &exact);
        let exps: Vec<f64> = row.iter().map(|&q| (f64::from(q) * f64::from(scale)).exp()).collect();
        let sum: f64 = exps.iter().sum();
        for (&q, e) in found.iter().zip(exps) {
            // Half a step of the output, and the fixed-point error.
            let real = (256.0 * e / sum - 128.0).min(127.0);
            prop_assert!((f64::from(q) - real).abs() < 0.51, "{} {}", q, real);
        }
    }
}
