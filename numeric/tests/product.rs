//! Products as requantizers of the integer product: equal on all pairs, and refused for other rules.

use macforge_numeric::{
    AffineParams, BinaryRule, Clamp, FloatOperation, NumericError, Product, RequantRule,
};

fn params(scale: f32, zero_point: i32) -> AffineParams {
    AffineParams::new(scale, zero_point).unwrap()
}

#[test]
fn the_requantizer_gives_the_rule_s_value_for_every_pair() {
    // scales whose products never fall on ties, where float32 roundings differ between pairs of one product
    let (a, b, y) = (
        params(0.0313, -128),
        params(0.0217, 90),
        params(0.0511, 127),
    );
    let clamp = Clamp::new(-100, 90).unwrap();
    for rule in [
        BinaryRule::tflite_mul(a, b, y).unwrap(),
        BinaryRule::tflite_mul(a, b, y)
            .unwrap()
            .clamped(clamp, true),
        BinaryRule::qlinear_mul(a, b, y, false).unwrap(),
        BinaryRule::qlinear_mul(a, b, y, true).unwrap(),
        BinaryRule::float(FloatOperation::Mul, a, b, y).unwrap(),
    ] {
        let product = Product::solve(&rule).unwrap();
        let [za, zb] = product.zero_points;
        for (p, q) in (-128..=127).flat_map(|p| (-128..=127).map(move |q| (p, q))) {
            let exact = (i64::from(p) - i64::from(za)) * (i64::from(q) - i64::from(zb));
            assert!(product.reach().contains(exact));
            let found = product.requant.apply(exact);
            assert_eq!(found, i32::from(rule.apply(p, q)), "{rule:?} of {p}, {q}");
        }
    }
}

#[test]
fn ties_that_an_odd_zero_point_moves_become_a_staircase() {
    // a quarter of the product: every fourth one is a tie, and 127.5 rounds to another even number than 0.5
    let quarter = [params(0.5, 0), params(0.5, 0), params(1.0, 127)];
    let [a, b, y] = quarter;
    let rule = BinaryRule::qlinear_mul(a, b, y, false).unwrap();
    let product = Product::solve(&rule).unwrap();
    assert!(matches!(product.requant.rule, RequantRule::Staircase(_)));
}

#[test]
fn other_rules_are_no_product() {
    let unit = params(1.0, 0);
    let rule = BinaryRule::float(FloatOperation::Add, unit, unit, unit).unwrap();
    let error = Product::solve(&rule).unwrap_err();
    assert_eq!(error, NumericError::NotProduct { name: "ADD" });
}
