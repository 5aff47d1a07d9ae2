//! Minimum and maximum as tables: equal on all pairs, whatever the scales, and refused for other rules.

use macforge_numeric::{
    AffineParams, BinaryFunction, BinaryRule, Clamp, Extremum, FloatOperation, NumericError,
};

#[test]
fn tables_choose_as_the_rule_does_for_every_pair() {
    let params = |scale, zero_point| AffineParams::new(scale, zero_point).unwrap();
    let (a, b, y) = (params(0.031, -17), params(0.2, 90), params(0.05, 127));
    let clamp = Clamp::new(-100, 90).unwrap();
    for rule in [
        BinaryRule::new(BinaryFunction::Minimum, 3),
        BinaryRule::new(BinaryFunction::Maximum, 3).clamped(clamp, true),
        BinaryRule::float(FloatOperation::Min, a, b, y).unwrap(),
        BinaryRule::float(FloatOperation::Max, a, b, y).unwrap(),
    ] {
        let solved = Extremum::solve(&rule).unwrap();
        for (p, q) in (-128..=127).flat_map(|p| (-128..=127).map(move |q| (p, q))) {
            assert_eq!(solved.apply(p, q), rule.apply(p, q), "{rule:?} of {p}, {q}");
        }
    }
}

#[test]
fn other_rules_are_no_extremum() {
    let unit = AffineParams::new(1.0, 0).unwrap();
    let rule = BinaryRule::float(FloatOperation::Mul, unit, unit, unit).unwrap();
    let error = Extremum::solve(&rule).unwrap_err();
    assert_eq!(error, NumericError::NotLinear { name: "MUL" });
}
