//! Rules of two operands, and the multiply-adds solved for them.

mod common;

use common::tflite_double;
use macforge_numeric::{
    AffineParams, BinaryFunction, BinaryRule, Clamp, FloatOperation, MulAdd, NumericError, PairSum,
    binary::QLinearAdd,
};
use proptest::prelude::*;

fn params(scale: f32, zero_point: i32) -> AffineParams {
    AffineParams::new(scale, zero_point).unwrap()
}

fn rule(a: AffineParams, b: AffineParams, out: AffineParams) -> BinaryRule {
    BinaryRule::tflite_add(a, b, out).unwrap()
}

/// A multiplier by the definition of its encoding.
fn encode(real: f64) -> (i32, i32) {
    let mut shift = 0;
    let mut fraction = real;
    while fraction < 0.5 {
        fraction *= 2.0;
        shift -= 1;
    }
    while fraction >= 1.0 {
        fraction /= 2.0;
        shift += 1;
    }
    ((fraction * 2147483648.0).round() as i32, shift)
}

/// TFLite's text with exact roundings; `sign` is -1 for SUB.
fn add_exactly([a, b, out]: [AffineParams; 3], sign: i32, qa: i8, qb: i8) -> i128 {
    let twice_max = 2.0 * f64::from(a.scale).max(f64::from(b.scale));
    let scaled = |p: AffineParams, sign: i32, q: i8| {
        let (multiplier, shift) = encode(f64::from(p.scale) / twice_max);
        let value = i128::from(q) - i128::from(p.zero_point);
        tflite_double(value * 1_048_576, sign * multiplier, shift)
    };
    let (multiplier, shift) = encode(twice_max / (1_048_576.0 * f64::from(out.scale)));
    tflite_double(scaled(a, 1, qa) + scaled(b, sign, qb), multiplier, shift)
        + i128::from(out.zero_point)
}

/// The number of exceptions.
fn assert_solved(rule: &BinaryRule) -> usize {
    let PairSum {
        multiply_add: solved,
        exceptions,
    } = PairSum::solve(rule).unwrap();
    assert!(solved.shift <= MulAdd::MAX_SHIFT);
    assert!(solved.a.abs() < 1 << 24 && solved.b.abs() < 1 << 24);
    for qa in i8::MIN..=i8::MAX {
        for qb in i8::MIN..=i8::MAX {
            let sum = i128::from(solved.a) * i128::from(qa)
                + i128::from(solved.b) * i128::from(qb)
                + i128::from(solved.c);
            let exception = exceptions.iter().find(|e| (e.a, e.b) == (qa, qb));
            let step = exception.map_or(0, |e| if e.up { 1 } else { -1 });
            let floor = sum.div_euclid(1 << solved.shift) + step;
            let clamp = solved.clamp;
            let found = floor.clamp(clamp.lo.into(), clamp.hi.into());
            assert_eq!(found, rule.apply(qa, qb).into(), "{qa}, {qb}: {solved:?}");
            assert_eq!(
                clamp.saturates(floor as i64, rule.lower_is_activation),
                rule.saturates(qa, qb),
                "{qa}, {qb}: {solved:?}"
            );
        }
    }
    exceptions.len()
}

/// Number of pairs that the rule, and that the multiply-add, count as saturations.
fn saturations(rule: &BinaryRule, solved: &MulAdd) -> [usize; 2] {
    let pairs = || (i8::MIN..=i8::MAX).flat_map(|a| (i8::MIN..=i8::MAX).map(move |b| (a, b)));
    let by_rule = pairs().filter(|&(a, b)| rule.saturates(a, b));
    let by_solved = pairs().filter(|&(a, b)| {
        let y = solved.unclamped(a, b);
        solved.clamp.saturates(y, rule.lower_is_activation)
    });
    [by_rule.count(), by_solved.count()]
}

#[test]
fn equal_scales_add_the_integers() {
    let p = params(0.05, -3);
    let rule = rule(p, p, p);
    for qa in i8::MIN..=i8::MAX {
        for qb in i8::MIN..=i8::MAX {
            let sum = i32::from(qa) + i32::from(qb) + 3;
            assert_eq!(i32::from(rule.apply(qa, qb)), sum.clamp(-128, 127));
            assert_eq!(rule.unclamped(qa, qb), i64::from(sum));
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
            let rule = rule(params(a, za), params(b, zb), params(out, zo));
            assert_eq!(assert_solved(&rule), 0);
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

/// A QLinearAdd of ResNet-20's scales, of which one float32 rounding moves one sum across a tie, and
/// one of which three are moved, up and down.
fn nearly_linear() -> [(BinaryRule, usize); 2] {
    let of_resnet = QLinearAdd {
        ratio_a: 1.090568,
        ratio_b: 0.83157384,
        fixed: -178.85315,
        offset: 128,
    };
    let (a, b, out) = (
        params(0.05182, -25),
        params(0.05977, -11),
        params(0.06468, -25),
    );
    [
        (
            BinaryRule::new(BinaryFunction::QLinearAdd(of_resnet), -128),
            1,
        ),
        (BinaryRule::qlinear_add(a, b, out, true).unwrap(), 3),
    ]
}

#[test]
fn sums_that_one_rounding_moves_are_solved_with_exceptions() {
    for (rule, exceptions) in nearly_linear() {
        assert!(MulAdd::solve(&rule).is_err());
        let solved = PairSum::solve(&rule).unwrap();
        assert_eq!(solved.exceptions.len(), exceptions);
        let swapped = solved.clone().swapped();
        for qa in i8::MIN..=i8::MAX {
            for qb in i8::MIN..=i8::MAX {
                let y = solved.unclamped(qa, qb);
                assert_eq!(rule.clamp.apply(y), i32::from(rule.apply(qa, qb)));
                let saturates = rule.clamp.saturates(y, rule.lower_is_activation);
                assert_eq!(saturates, rule.saturates(qa, qb));
                assert_eq!(swapped.unclamped(qb, qa), y);
            }
        }
    }
}

#[test]
fn too_many_exceptions_are_refused() {
    let rule = rule(params(1.5, 0), params(1.0, 0), params(1.0, 0));
    let error = PairSum::solve(&rule).unwrap_err();
    assert_eq!(error, NumericError::NoMulAdd { max_shift: 24 });
}

#[test]
fn activations_and_constant_outputs_are_solved() {
    let (a, b, out) = (params(0.11, 4), params(0.045, -17), params(0.053, -128));
    for (lo, hi) in [(-128, 127), (-128, 20), (0, 127), (-100, -100), (5, 6)] {
        let clamp = Clamp::new(lo, hi).unwrap();
        for lower_is_activation in [false, true] {
            let rule = rule(a, b, out).clamped(clamp, lower_is_activation);
            assert_eq!(assert_solved(&rule), 0);
        }
    }
    // An output scale so large that everything rounds to its zero point.
    assert_eq!(assert_solved(&rule(a, b, params(1e6, 9))), 0);
}

/// With its zero point at 127 the whole output is one value, and only the counter sees the sums.
#[test]
fn a_multiply_add_saturates_where_the_rule_does() {
    let (a, b, out) = (params(0.11, 4), params(0.045, -17), params(0.053, 127));
    let relu6 = rule(a, b, out).clamped(Clamp { lo: 127, hi: 127 }, true);
    let solved = MulAdd::solve(&relu6).unwrap();
    let [by_rule, by_solved] = saturations(&relu6, &solved);
    assert!(by_rule > 10_000);
    assert_eq!(by_solved, by_rule);
    // right in every value, wrong in the count
    let blind = MulAdd {
        c: i64::from(127) << solved.shift,
        a: 0,
        b: 0,
        ..solved
    };
    assert!((i8::MIN..=i8::MAX).all(|q| blind.apply(q, q) == relu6.apply(q, q)));
    assert!(!blind.proves(&relu6));
}

#[test]
fn differences_are_solved_with_a_negative_factor() {
    let (a, b, out) = (params(0.11, 4), params(0.045, -17), params(0.053, -3));
    let rule = BinaryRule::tflite_sub(a, b, out).unwrap();
    assert_eq!(rule.name(), "SUB");
    assert_solved(&rule);
    assert!(MulAdd::solve(&rule).unwrap().b < 0);
}

#[test]
fn float_sums_are_solved() {
    let (a, b, out) = (params(0.11, 4), params(0.045, -17), params(0.053, -3));
    for unsigned in [false, true] {
        assert_solved(&BinaryRule::qlinear_add(a, b, out, unsigned).unwrap());
    }
    for operation in [FloatOperation::Add, FloatOperation::Sub] {
        assert_solved(&BinaryRule::float(operation, a, b, out).unwrap());
    }
}

#[test]
fn rules_that_are_no_sums_have_no_multiply_add() {
    let p = params(0.1, 3);
    for rule in [
        BinaryRule::tflite_mul(p, p, p).unwrap(),
        BinaryRule::qlinear_mul(p, p, p, false).unwrap(),
        BinaryRule::new(BinaryFunction::Minimum, 3),
        BinaryRule::float(FloatOperation::Max, p, p, p).unwrap(),
    ] {
        let error = MulAdd::solve(&rule).unwrap_err();
        assert_eq!(error, NumericError::NotLinear { name: rule.name() });
    }
}

#[test]
fn minimum_and_maximum_compare_raw_values() {
    let clamp = Clamp { lo: -3, hi: 127 };
    let rule = |function| BinaryRule::new(function, 0).clamped(clamp, true);
    let (least, most) = (rule(BinaryFunction::Minimum), rule(BinaryFunction::Maximum));
    assert_eq!((least.apply(5, 9), least.apply(-5, 9)), (5, -3));
    assert_eq!((most.apply(5, 9), most.apply(-5, -9)), (9, -3));
}

/// Scale and zero point of both operands and the result, whether the integers are uint8 (given less
/// 128), the operands, their QLinearAdd and their QLinearMul.
type OrtCase = (f32, i32, f32, i32, f32, i32, bool, i8, i8, i8, i8);

#[rustfmt::skip] // one case a line
const ORT: [OrtCase; 9] = [
    (0.176, -52, 0.011, -95, 0.166, 76, true, -77, 56, 60, 32),
    (0.176, -52, 0.011, -95, 0.166, 76, true, -107, -128, 16, 97),
    (0.018, 28, 0.017, 120, 0.108, -9, true, -72, -114, -62, 57),
    (0.184, -60, 0.13, -1, 0.108, -31, false, -14, -128, -106, -128),
    (0.074, -27, 0.107, 57, 0.014, -62, false, 124, -56, -127, -128),
    (0.012, -65, 0.047, 97, 0.141, -77, true, -110, -128, -128, -36),
    (0.153, -46, 0.015, 77, 0.081, -121, true, -71, -103, -128, 6),
    (0.08, 41, 0.011, -89, 0.168, 8, false, -109, -124, -66, 36),
    (0.168, 75, 0.185, -93, 0.084, -121, false, 65, -128, -128, 8),
];

/// onnxruntime 1.32 on these operands; the roundings of its float32 steps decide each of them.
#[test]
fn onnxruntime_sums_and_products_keep_its_order_of_roundings() {
    for (sa, za, sb, zb, sy, zy, unsigned, a, b, sum, product) in ORT {
        let [pa, pb, py] = [params(sa, za), params(sb, zb), params(sy, zy)];
        let add = BinaryRule::qlinear_add(pa, pb, py, unsigned).unwrap();
        assert_eq!(add.apply(a, b), sum, "{add:?}");
        let mul = BinaryRule::qlinear_mul(pa, pb, py, unsigned).unwrap();
        assert_eq!(mul.apply(a, b), product, "{mul:?}");
    }
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
    let error =
        BinaryRule::tflite_add(params(1.0, 0), params(1.0, 0), params(1e-6, 0)).unwrap_err();
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
        prop_assert_eq!(i128::from(found), add_exactly([a, b, out], 1, qa, qb));
        let found = BinaryRule::tflite_sub(a, b, out).unwrap().unclamped(qa, qb);
        prop_assert_eq!(i128::from(found), add_exactly([a, b, out], -1, qa, qb));
    }

    #[test]
    fn products_equal_their_exact_roundings(
        a in affine(), b in affine(), out in affine(), qa: i8, qb: i8,
    ) {
        let (multiplier, shift) = encode(f64::from(a.scale * b.scale / out.scale));
        let centred = |q: i8, p: AffineParams| i128::from(q) - i128::from(p.zero_point);
        let exact = tflite_double(centred(qa, a) * centred(qb, b), multiplier, shift);
        let found = BinaryRule::tflite_mul(a, b, out).unwrap().unclamped(qa, qb);
        prop_assert_eq!(i128::from(found), exact + i128::from(out.zero_point));
    }

    #[test]
    fn float_rules_round_each_step_once(
        a in affine(), b in affine(), out in affine(), qa: i8, qb: i8,
    ) {
        // exact in float64 before it is narrowed
        let real = |q: i8, p: AffineParams| {
            (f64::from(p.scale) * f64::from(i32::from(q) - p.zero_point)) as f32
        };
        let (x, y) = (f64::from(real(qa, a)), f64::from(real(qb, b)));
        for (operation, wanted) in [
            (FloatOperation::Add, x + y),
            (FloatOperation::Sub, x - y),
            (FloatOperation::Mul, x * y),
            (FloatOperation::Min, x.min(y)),
            (FloatOperation::Max, x.max(y)),
        ] {
            let quotient = (f64::from(wanted as f32) / f64::from(out.scale)) as f32;
            let wanted = quotient.round_ties_even() as i64 + i64::from(out.zero_point);
            let rule = BinaryRule::float(operation, a, b, out).unwrap();
            prop_assert_eq!(rule.unclamped(qa, qb), wanted);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// A layer's sum has a range of the order of its operands' or a larger one.
    #[test]
    fn scales_of_real_layers_are_solved(
        sa in 0.01f32..0.2, sb in 0.01f32..0.2, ratio in 0.6f32..3.0,
        za in -128i32..=127, zb in -128i32..=127, zo in -128i32..=127,
    ) {
        let so = ratio * sa.max(sb);
        assert_solved(&rule(params(sa, za), params(sb, zb), params(so, zo)));
    }
}
