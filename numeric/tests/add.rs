//! TFLite's ADD, and the multiply-adds solved for it.

mod common;

use common::tflite_double;
use macforge_numeric::{AddRule, AffineParams, Clamp, MulAdd, NumericError};
use proptest::prelude::*;

fn params(scale: f32, zero_point: i32) -> AffineParams {
    AffineParams::new(scale, zero_point).unwrap()
}

fn rule(a: AffineParams, b: AffineParams, out: AffineParams) -> AddRule {
    AddRule::tflite(a, b, out, Clamp::INT8, false).unwrap()
}

/// TFLite's text with exact roundings; the multipliers are encoded here again, by definition.
fn add_exactly(a: AffineParams, b: AffineParams, out: AffineParams, qa: i8, qb: i8) -> i128 {
    let encode = |real: f64| {
        let mut shift = 0;
        let mut fraction = real;
        while fraction < 0.5 {
            fraction *= 2.0;
            shift -= 1;
        }
        ((fraction * 2147483648.0).round() as i32, shift)
    };
    let twice_max = 2.0 * f64::from(a.scale).max(f64::from(b.scale));
    let scaled = |p: AffineParams, q: i8| {
        let (multiplier, shift) = encode(f64::from(p.scale) / twice_max);
        let value = i128::from(q) - i128::from(p.zero_point);
        tflite_double(value * 1_048_576, multiplier, shift)
    };
    let (multiplier, shift) = encode(twice_max / (1_048_576.0 * f64::from(out.scale)));
    tflite_double(scaled(a, qa) + scaled(b, qb), multiplier, shift) + i128::from(out.zero_point)
}

fn assert_solved(rule: &AddRule) {
    let solved = MulAdd::solve(rule).unwrap();
    assert!(solved.shift <= MulAdd::MAX_SHIFT);
    assert!(solved.a.abs() < 1 << 24 && solved.b.abs() < 1 << 24);
    for qa in i8::MIN..=i8::MAX {
        for qb in i8::MIN..=i8::MAX {
            let sum = i128::from(solved.a) * i128::from(qa)
                + i128::from(solved.b) * i128::from(qb)
                + i128::from(solved.c);
            let floor = sum.div_euclid(1 << solved.shift);
            let clamp = solved.clamp;
            let found = floor.clamp(clamp.lo.into(), clamp.hi.into());
            assert_eq!(found, rule.apply(qa, qb).into(), "{qa} + {qb}: {solved:?}");
        }
    }
}

#[test]
fn equal_scales_add_the_integers() {
    let p = params(0.05, -3);
    let rule = rule(p, p, p);
    for qa in i8::MIN..=i8::MAX {
        for qb in i8::MIN..=i8::MAX {
            let sum = i32::from(qa) + i32::from(qb) + 3;
            assert_eq!(i32::from(rule.apply(qa, qb)), sum.clamp(-128, 127));
            assert_eq!(rule.unclamped(qa, qb), sum);
        }
    }
    let solved = MulAdd::solve(&rule).unwrap();
    assert!(solved.proves(&rule));
}

#[test]
fn scale_ratios_full_of_ties_are_solved() {
    // Simple ratios put many sums exactly half way between two integers.
    for (a, b, out) in [
        (1.0, 1.0, 2.0),
        (1.0, 0.5, 2.0),
        (0.5, 1.0, 1.0),
        (1.0, 1.0, 4.0),
        (3.0, 1.0, 2.0),
        (1.0, 3.0, 6.0),
        (0.1, 0.2, 0.4),
        (1.0, 1.0, 0.5),
        (0.0625, 1.0, 1.0),
    ] {
        for (za, zb, zo) in [(0, 0, 0), (-128, -128, -128), (4, -17, 3), (127, -1, -128)] {
            assert_solved(&rule(params(a, za), params(b, zb), params(out, zo)));
        }
    }
}

#[test]
fn ties_that_tflite_decides_without_order_are_refused() {
    // round(1.5 * x + y): the factor 1/3 of the second input is inexact in TFLite's fixed point,
    // and its rounding decides some ties by the sign of y and not by that of the sum.
    let rule = rule(params(1.5, 0), params(1.0, 0), params(1.0, 0));
    let error = MulAdd::solve(&rule).unwrap_err();
    assert_eq!(error, NumericError::NoMulAdd { max_shift: 24 });
}

#[test]
fn activations_and_constant_outputs_are_solved() {
    let (a, b, out) = (params(0.11, 4), params(0.045, -17), params(0.053, -128));
    for (lo, hi) in [(-128, 127), (-128, 20), (0, 127), (-100, -100), (5, 6)] {
        let clamp = Clamp::new(lo, hi).unwrap();
        assert_solved(&AddRule::tflite(a, b, out, clamp, true).unwrap());
    }
    // An output scale so large that everything rounds to its zero point.
    assert_solved(&rule(a, b, params(1e6, 9)));
}

#[test]
fn a_wrong_multiply_add_is_not_proved() {
    let rule = rule(params(0.11, 4), params(0.045, -17), params(0.053, -128));
    let solved = MulAdd::solve(&rule).unwrap();
    assert!(solved.proves(&rule));
    let unit = 1 << solved.shift;
    for wrong in [
        MulAdd {
            c: solved.c + unit,
            ..solved
        },
        MulAdd {
            a: solved.a + unit as i32 / 256,
            ..solved
        },
        MulAdd {
            clamp: Clamp { lo: -127, hi: 127 },
            ..solved
        },
    ] {
        assert!(!wrong.proves(&rule));
    }
}

#[test]
fn an_output_scale_that_tflite_refuses_is_refused() {
    let error = AddRule::tflite(
        params(1.0, 0),
        params(1.0, 0),
        params(1e-6, 0),
        Clamp::INT8,
        false,
    )
    .unwrap_err();
    assert!(matches!(error, NumericError::MultiplierRange { .. }));
}

fn affine() -> impl Strategy<Value = AffineParams> {
    (-9f32..0.0, -128i32..=127).prop_map(|(log, zero_point)| params(log.exp2(), zero_point))
}

proptest! {
    #[test]
    fn the_rule_equals_its_exact_roundings(
        a in affine(), b in affine(), out in affine(), qa: i8, qb: i8,
    ) {
        let found = rule(a, b, out).unclamped(qa, qb);
        prop_assert_eq!(i128::from(found), add_exactly(a, b, out, qa, qb));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn scales_of_real_layers_are_solved(
        sa in 0.01f32..0.2, sb in 0.01f32..0.2, so in 0.01f32..0.3,
        za in -128i32..=127, zb in -128i32..=127, zo in -128i32..=127,
    ) {
        assert_solved(&rule(params(sa, za), params(sb, zb), params(so, zo)));
    }
}
