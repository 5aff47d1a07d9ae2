//! Scalar steps and row functions against independent statements.

use macforge_numeric::step::{apply_steps, direction};
use macforge_numeric::{Direction, Number, Rounding, Step, float_rows};
use proptest::prelude::*;

fn float(x: Number) -> f32 {
    match x {
        Number::Float(x) => x,
        Number::Integer(i) => panic!("{i} is an integer"),
    }
}

#[test]
fn roundings_are_those_of_their_names() {
    let at = [-2.5, -1.5, -1.2, -0.5, 0.5, 1.5, 1.7, 2.5];
    let rounded = |r: Rounding| at.map(|x| r.apply(x));
    assert_eq!(
        rounded(Rounding::HalfEven),
        [-2., -2., -1., 0., 0., 2., 2., 2.]
    );
    assert_eq!(
        rounded(Rounding::Floor),
        [-3., -2., -2., -1., 0., 1., 1., 2.]
    );
    assert_eq!(rounded(Rounding::Ceil), [-2., -1., -1., 0., 1., 2., 2., 3.]);
    assert_eq!(
        rounded(Rounding::ToZero),
        [-2., -1., -1., 0., 0., 1., 1., 2.]
    );
    assert_eq!(
        rounded(Rounding::Away),
        [-3., -2., -2., -1., 1., 2., 2., 3.]
    );
    assert_eq!(
        rounded(Rounding::HalfUp),
        [-3., -2., -1., -1., 1., 2., 2., 3.]
    );
    assert_eq!(
        rounded(Rounding::HalfDown),
        [-2., -1., -1., 0., 0., 1., 2., 2.]
    );
}

#[test]
fn int64_division_truncates_and_casts_saturate() {
    let seven = Number::Integer(-7);
    assert_eq!(
        Step::Divide(Number::Integer(2)).apply(seven),
        Number::Integer(-3)
    );
    assert_eq!(
        Step::Divide(Number::Integer(0)).apply(seven),
        Number::Integer(0)
    );
    assert_eq!(
        Step::ToInteger.apply(Number::Float(-3.9)),
        Number::Integer(-3)
    );
    assert_eq!(
        Step::ToInteger.apply(Number::Float(1e30)),
        Number::Integer(i64::MAX)
    );
    // an int64 becomes the nearest float32
    assert_eq!(
        float(Step::ToFloat.apply(Number::Integer(16_777_217))),
        16_777_216.0
    );
}

#[test]
fn counts_include_values_that_are_equal() {
    let count = Step::Count([-1.0, 0.0, 0.0, 2.5].into());
    let values = [-1.5, -1.0, 0.0, 2.4, 2.5].map(|x| float(count.apply(Number::Float(x))));
    assert_eq!(values, [0.0, 1.0, 3.0, 3.0, 4.0]);
    assert_eq!(float(Step::Sign.apply(Number::Float(-0.0))), 1.0);
}

fn any_step() -> impl Strategy<Value = Step> {
    let constant = -3f32..3.0;
    prop_oneof![
        constant.clone().prop_map(|c| Step::Add(Number::Float(c))),
        constant
            .clone()
            .prop_map(|c| Step::Subtract(Number::Float(c))),
        constant
            .clone()
            .prop_map(|c| Step::SubtractFrom(Number::Float(c))),
        constant
            .clone()
            .prop_map(|c| Step::Multiply(Number::Float(c))),
        constant.prop_map(|c| Step::Divide(Number::Float(c))),
        Just(Step::Relu),
        Just(Step::Clip { lo: -1.5, hi: 6.0 }),
        Just(Step::Round(Rounding::HalfEven)),
        Just(Step::Round(Rounding::Floor)),
        Just(Step::Sign),
    ]
}

proptest! {
    /// What the staircases build on.
    #[test]
    fn a_chain_moves_in_its_direction(steps in proptest::collection::vec(any_step(), 0..6)) {
        let values: Vec<f32> = (-200i64..200)
            .map(|acc| apply_steps(&steps, Number::Float(acc as f32 / 16.0)).to_f32())
            .collect();
        let turned = |pair: &[f32]| match direction(&steps) {
            Direction::Rising => pair[1] < pair[0],
            Direction::Falling => pair[1] > pair[0],
        };
        prop_assert!(!values.windows(2).any(turned), "{:?}", values);
    }

    /// Within three units in the last place of the exact value, and a sum of one.
    #[test]
    fn softmax_is_close_to_the_exact_one(row in proptest::collection::vec(-20f32..20.0, 1..12)) {
        let largest = row.iter().copied().fold(f32::MIN, f32::max);
        let exact: Vec<f64> = row.iter().map(|&x| f64::from(x - largest).exp()).collect();
        let sum: f64 = exact.iter().sum();
        for (found, exact) in float_rows::softmax(&row).into_iter().zip(&exact) {
            let wanted = exact / sum;
            prop_assert!((f64::from(found) - wanted).abs() <= 4e-7 * wanted, "{found} {wanted}");
        }
        let logs = float_rows::log_softmax(&row);
        for (log, exact) in logs.into_iter().zip(&exact) {
            prop_assert!((f64::from(log) - (exact / sum).ln()).abs() < 2e-5);
        }
    }

    #[test]
    fn the_logistic_function_is_close_to_the_exact_one(x in -30f32..30.0) {
        let wanted = 1.0 / (1.0 + (-f64::from(x)).exp());
        prop_assert!((f64::from(float_rows::sigmoid(x)) - wanted).abs() < 2e-7);
    }
}

#[test]
fn the_first_of_the_largest_values_is_found() {
    assert_eq!(float_rows::arg_max(&[1.0, 3.0, 3.0, -1.0]), 1);
    assert_eq!(float_rows::arg_max(&[]), 0);
}
