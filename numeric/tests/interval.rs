//! Interval arithmetic and the reachable ranges, against enumeration.

use macforge_numeric::{Interval, accumulator_interval, partial_sum_interval};
use proptest::prelude::*;

#[test]
fn sums_and_products_are_the_exact_hulls_of_all_4_bit_intervals() {
    for (a_lo, a_hi) in (-4..4).flat_map(|lo| (lo..4).map(move |hi| (lo, hi))) {
        for (b_lo, b_hi) in (-4..4).flat_map(|lo| (lo..4).map(move |hi| (lo, hi))) {
            let (a, b) = (Interval::new(a_lo, a_hi), Interval::new(b_lo, b_hi));
            let pairs = || (a_lo..=a_hi).flat_map(|x| (b_lo..=b_hi).map(move |y| (x, y)));
            let hull = |f: fn((i64, i64)) -> i64| {
                Interval::new(pairs().map(f).min().unwrap(), pairs().map(f).max().unwrap())
            };
            assert_eq!(a + b, hull(|(x, y)| x + y));
            assert_eq!(a * b, hull(|(x, y)| x * y));
        }
    }
}

#[test]
fn signed_width_is_the_narrowest_that_holds_both_ends() {
    let cases = [
        (0, 0, 1),
        (-1, 0, 1),
        (0, 1, 2),
        (-2, 1, 2),
        (-128, 127, 8),
        (-129, 0, 9),
        (0, 128, 9),
        (-(1 << 24), (1 << 24) - 1, 25),
        (i64::MIN, i64::MAX, 64),
    ];
    for (lo, hi, bits) in cases {
        assert_eq!(Interval::new(lo, hi).bits_signed(), bits, "{lo}..={hi}");
    }
}

#[test]
#[should_panic(expected = "empty interval")]
fn an_empty_interval_is_a_broken_invariant() {
    Interval::new(1, 0);
}

#[test]
fn union_and_containment_agree() {
    let hull = Interval::new(-3, 1).union(Interval::new(4, 9));
    assert_eq!(hull, Interval::new(-3, 9));
    assert!(hull.contains(2) && !hull.contains(10));
    assert!(hull.encloses(Interval::new(4, 9)));
    assert!(!Interval::new(4, 9).encloses(hull));
    assert_eq!(hull.to_string(), "-3..=9");
}

/// Every value of the sum and of its prefixes, for inputs of a few values each.
fn enumerate(weights: &[i8], inputs: &[i64], zero_point: i64, bias: i64) -> (Interval, Interval) {
    let mut sums = vec![bias];
    let mut prefixes = Interval::point(bias);
    for &w in weights {
        sums = sums
            .iter()
            .flat_map(|s| {
                inputs
                    .iter()
                    .map(move |x| s + i64::from(w) * (x - zero_point))
            })
            .collect();
        for &s in &sums {
            prefixes = prefixes.union(Interval::point(s));
        }
    }
    let ends = Interval::new(*sums.iter().min().unwrap(), *sums.iter().max().unwrap());
    (ends, prefixes)
}

proptest! {
    #[test]
    fn accumulator_range_is_exact_and_partial_sums_stay_inside(
        weights in prop::collection::vec(any::<i8>(), 0..5),
        lo in -128i64..=127, length in 0i64..=255,
        zero_point in -128i32..=127, bias in -100_000i64..100_000, padded: bool,
    ) {
        let input = Interval::new(lo, (lo + length).min(127));
        // The ends decide: the sum is linear in every input.
        let mut inputs = vec![input.lo, input.hi];
        if padded {
            inputs.push(zero_point.into());
        }
        let (ends, prefixes) = enumerate(&weights, &inputs, zero_point.into(), bias);
        let found = accumulator_interval(&weights, input, zero_point, bias, padded);
        prop_assert_eq!(found, ends);
        let partial = partial_sum_interval(&weights, input, zero_point, bias, padded);
        prop_assert!(partial.encloses(prefixes));
    }

    #[test]
    fn folding_the_zero_point_into_the_bias_keeps_the_range(
        weights in prop::collection::vec(any::<i8>(), 0..40),
        zero_point in -128i32..=127, bias in -100_000i64..100_000,
    ) {
        let sum: i64 = weights.iter().map(|&w| i64::from(w)).sum();
        let folded = bias - i64::from(zero_point) * sum;
        prop_assert_eq!(
            accumulator_interval(&weights, Interval::INT8, zero_point, bias, false),
            accumulator_interval(&weights, Interval::INT8, 0, folded, false)
        );
    }
}
