//! Two products in one multiplier, against the products themselves.

use macforge_numeric::Interval;
use macforge_numeric::packing::{
    LOW_LANE, MAX_CHAIN, fits_low_lane, fits_operand, lane_bound, pack, unpack,
};
use proptest::prelude::*;

const INT8: Interval = Interval::INT8;

fn all_int8() -> impl Iterator<Item = i8> {
    i8::MIN..=i8::MAX
}

#[test]
fn one_product_is_unpacked_for_every_pair_of_weights_at_the_extremes() {
    for w1 in all_int8() {
        for w0 in all_int8() {
            for a in [-128, -127, -1, 0, 1, 127] {
                let found = unpack(pack(w1, w0) * a);
                assert_eq!(found, (i64::from(w0) * a, i64::from(w1) * a));
            }
        }
    }
}

#[test]
fn every_low_sum_of_17_bits_is_separated_from_the_high_lane() {
    for lo in LOW_LANE.lo..=LOW_LANE.hi {
        for hi in [-70_000, -1, 0, 1, 70_000] {
            assert_eq!(unpack((hi << 17) + lo), (lo, hi));
        }
    }
    // One beyond either end is not.
    for lo in [LOW_LANE.lo - 1, LOW_LANE.hi + 1] {
        assert_ne!(unpack(lo), (lo, 0));
    }
}

#[test]
fn four_symmetric_weights_fit_and_a_fifth_does_not() {
    for w in [-127, 127] {
        assert!(fits_low_lane(&[w; MAX_CHAIN], INT8));
        assert!(!fits_low_lane(&[w; MAX_CHAIN + 1], INT8));
    }
    assert_eq!(lane_bound(&[-127; 4], INT8), Interval::new(-64_516, 65_024));
}

#[test]
fn four_weights_of_minus_128_overflow_by_one() {
    assert_eq!(lane_bound(&[-128; 4], INT8).hi, LOW_LANE.hi + 1);
    assert!(!fits_low_lane(&[-128; 4], INT8));
    assert!(fits_low_lane(&[-128, -128, -128, -127], INT8));
    // Activations that never reach -128 leave room.
    assert!(fits_low_lane(&[-128; 4], Interval::new(-127, 127)));
}

#[test]
fn the_operand_overflows_only_for_a_high_minus_128_over_a_negative_low() {
    for w1 in all_int8() {
        for w0 in all_int8() {
            assert_eq!(fits_operand(w1, w0), !(w1 == -128 && w0 < 0), "{w1} {w0}");
        }
    }
}

proptest! {
    #[test]
    fn a_chain_that_fits_is_unpacked_exactly_in_48_bits(
        terms in prop::collection::vec((any::<i8>(), any::<i8>(), any::<i8>()), 1..=MAX_CHAIN),
    ) {
        let low: Vec<i8> = terms.iter().map(|t| t.1).collect();
        prop_assume!(fits_low_lane(&low, INT8));
        let p: i64 = terms.iter().map(|&(w1, w0, a)| pack(w1, w0) * i64::from(a)).sum();
        let lane = |pick: fn(&(i8, i8, i8)) -> i8| -> i64 {
            terms.iter().map(|t| i64::from(pick(t)) * i64::from(t.2)).sum()
        };
        prop_assert_eq!(unpack(p), (lane(|t| t.1), lane(|t| t.0)));
        // P is 48 bits wide in the device.
        prop_assert_eq!(unpack((p << 16) >> 16), unpack(p));
    }

    #[test]
    fn the_bound_is_reached_and_never_exceeded(
        weights in prop::collection::vec(any::<i8>(), 1..=MAX_CHAIN),
        activations in prop::collection::vec(any::<i8>(), MAX_CHAIN),
    ) {
        let bound = lane_bound(&weights, INT8);
        let sum = |a: &dyn Fn(usize) -> i64| -> i64 {
            weights.iter().enumerate().map(|(i, &w)| i64::from(w) * a(i)).sum()
        };
        prop_assert!(bound.contains(sum(&|i| activations[i].into())));
        prop_assert_eq!(bound.hi, sum(&|i| if weights[i] < 0 { -128 } else { 127 }));
        prop_assert_eq!(bound.lo, sum(&|i| if weights[i] < 0 { 127 } else { -128 }));
    }
}
