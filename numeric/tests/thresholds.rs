//! General staircases against brute force.

use macforge_numeric::{Clamp, Interval, NumericError, RequantRule, Requantizer, Thresholds};
use proptest::prelude::*;

#[test]
fn a_staircase_counts_the_steps_at_or_below_the_accumulator() {
    let steps = Thresholds::new(-1, vec![-5, 0, 0, 7]).unwrap();
    let values: Vec<i64> = [-6, -5, -1, 0, 6, 7, 1 << 30]
        .map(|a| steps.apply(a))
        .into();
    assert_eq!(values, [-1, 0, 0, 2, 2, 3, 3]);
    let requantizer = Requantizer {
        rule: RequantRule::Staircase(steps),
        zero_point: 10,
        clamp: Clamp { lo: 10, hi: 12 },
    };
    assert_eq!(
        [-6, -5, 0, 7].map(|a| requantizer.apply(a)),
        [10, 10, 12, 12]
    );
}

#[test]
fn steps_out_of_order_and_too_many_are_refused() {
    let refused = |at: Vec<i32>| {
        matches!(
            Thresholds::new(0, at),
            Err(NumericError::BadThresholds { .. })
        )
    };
    assert!(refused(vec![1, 0]));
    assert!(refused(vec![0; 258]));
    assert!(!refused(vec![0; 257]));
    let range = Interval::new(0, 1);
    let wide = Interval::new(0, i64::from(i32::MAX));
    let jump = Thresholds::of_function(|a| a * 1_000_000, range, wide);
    assert!(matches!(jump, Err(NumericError::BadThresholds { .. })));
}

#[test]
fn a_decreasing_function_is_refused() {
    let range = Interval::new(-3, 3);
    let refused = Thresholds::of_function(|a| -a, range, Interval::INT8);
    assert_eq!(refused, Err(NumericError::Decreasing { range }));
}

proptest! {
    /// The float32 chain of a folded batch norm and a quantizer, one operation at a time.
    #[test]
    fn bisection_reproduces_a_float_chain_on_every_accumulator(
        scale in 1e-3f32..3.0, shift in -50f32..50.0, step in 0.01f32..2.0,
        lo in -2000i64..0, length in 0i64..3000, bits in 1u32..9,
    ) {
        let chain = |acc: i64| ((acc as f32 * scale + shift).max(0.0) / step).round_ties_even() as i64;
        let range = Interval::new(lo, lo + length);
        let bounds = Interval::new(0, 1 << bits);
        let steps = Thresholds::of_function(chain, range, bounds).unwrap();
        for acc in range.lo..=range.hi {
            prop_assert_eq!(steps.apply(acc), chain(acc).clamp(bounds.lo, bounds.hi));
        }
    }
}
