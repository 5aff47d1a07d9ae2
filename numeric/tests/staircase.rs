//! Thresholds and proofs against brute force.

use macforge_numeric::{
    Clamp, Interval, LaneConstants, Requantizer, Semantics, prove_equal, prove_equal_functions,
    thresholds,
};
use proptest::prelude::*;

fn steps_by_scan(f: impl Fn(i64) -> i32, range: Interval) -> Vec<(i64, i32)> {
    (range.lo + 1..=range.hi)
        .filter(|&x| f(x) != f(x - 1))
        .map(|x| (x, f(x)))
        .collect()
}

#[test]
fn a_full_int8_staircase_has_255_steps() {
    let clamp = |x: i64| x.clamp(-128, 127) as i32;
    let steps = thresholds(clamp, Interval::new(-(1 << 40), 1 << 40));
    assert_eq!(steps.len(), 255);
    assert_eq!((steps[0], steps[254]), ((-127, -127), (127, 127)));
}

#[test]
fn a_constant_and_a_single_point_have_no_steps() {
    assert!(thresholds(|_| 3, Interval::new(-9, 9)).is_empty());
    assert!(thresholds(|x| x as i32, Interval::point(5)).is_empty());
}

#[test]
fn a_difference_at_one_accumulator_is_found() {
    // The rule steps at 1000, the candidate one later.
    let range = Interval::new(-1_000_000, 1_000_000);
    let found = prove_equal_functions(|x| i32::from(x >= 1000), |x| i32::from(x >= 1001), range)
        .unwrap_err();
    assert_eq!((found.at, found.expected, found.found), (1000, 1, 0));
    assert_eq!(found.to_string(), "at 1000 found 0, wanted 1");
}

#[test]
fn differences_at_the_ends_of_the_range_are_found() {
    let range = Interval::new(-50, 50);
    let last = prove_equal_functions(|_| 0, |x| i32::from(x == 50), range).unwrap_err();
    assert_eq!(last.at, 50);
    let first = prove_equal_functions(|_| 0, |x| -i32::from(x == -50), range).unwrap_err();
    assert_eq!(first.at, -50);
}

proptest! {
    #[test]
    fn bisection_finds_what_a_scan_finds(
        real in 1e-4f64..0.5, lo in -3000i64..0, length in 0i64..4000, choice in 0usize..3,
    ) {
        let semantics = Semantics::ALL[choice];
        let r = Requantizer::from_real(semantics, real, 3, Clamp::INT8).unwrap();
        let range = Interval::new(lo, lo + length);
        prop_assert_eq!(thresholds(|x| r.apply(x), range), steps_by_scan(|x| r.apply(x), range));
    }

    /// Every single wrong constant is either found, or makes no difference on the whole range.
    #[test]
    fn a_proof_holds_and_a_counterexample_is_one(
        real in 1e-4f64..0.1, fault in 0usize..7, choice in 0usize..3, width in 1i64..20_000,
    ) {
        let semantics = Semantics::ALL[choice];
        let rule = Requantizer::from_real(semantics, real, -4, Clamp::INT8).unwrap();
        let mut lane = LaneConstants::from_requantizer(&rule).unwrap();
        match fault {
            0 => lane.multiplier += 1,
            1 => lane.multiplier -= 1,
            2 => lane.multiplier ^= 1 << 12,
            3 => lane.shift -= 1,
            4 => lane.double_round ^= true,
            5 => lane.zero_point += 1,
            _ => lane.clamp.hi -= 1,
        }
        let range = Interval::new(-width, width);
        let by_scan = (-width..=width).all(|x| rule.apply(x) == lane.apply(x));
        match prove_equal(&rule, &lane, range) {
            Ok(proof) => {
                prop_assert!(by_scan);
                prop_assert_eq!(proof.range, range);
                prop_assert_eq!(proof.steps, steps_by_scan(|x| rule.apply(x), range).len());
            }
            Err(found) => {
                prop_assert!(range.contains(found.at));
                prop_assert_eq!(rule.apply(found.at), found.expected);
                prop_assert_eq!(lane.apply(found.at), found.found);
                prop_assert_ne!(found.expected, found.found);
            }
        }
    }
}
