//! Average pooling against exact rounding, and its lanes.

mod common;

use common::{Tie, nearest};
use macforge_numeric::{AveragePoolRule, Clamp, Interval, NumericError};
use proptest::prelude::*;

const RULE: AveragePoolRule = AveragePoolRule { clamp: Clamp::INT8 };

fn sums(count: u32) -> Interval {
    Interval::new(-128 * i64::from(count), 127 * i64::from(count))
}

#[test]
fn the_mean_is_rounded_half_away_for_every_sum_of_up_to_64_values() {
    for count in 1..=64 {
        let lane = RULE.lane(count, sums(count)).unwrap();
        for sum in sums(count).lo..=sums(count).hi {
            let wanted = nearest(sum.into(), count.into(), Tie::Away);
            assert_eq!(
                i128::from(RULE.apply(sum, count)),
                wanted,
                "{sum} / {count}"
            );
            assert_eq!(i128::from(lane.apply(sum)), wanted, "lane {sum} / {count}");
        }
    }
}

#[test]
fn lanes_are_proved_for_every_count_up_to_4096() {
    for count in 1..=4096 {
        let lane = RULE.lane(count, sums(count)).unwrap();
        assert!(lane.multiplier < 1 << 31 && lane.shift <= 62);
    }
}

#[test]
fn the_clamp_of_an_activation_is_part_of_the_rule() {
    let rule = AveragePoolRule {
        clamp: Clamp::new(-5, 60).unwrap(),
    };
    assert_eq!((rule.apply(-1000, 4), rule.apply(1000, 4)), (-5, 60));
    let lane = rule.lane(4, sums(4)).unwrap();
    assert_eq!((lane.apply(-1000), lane.apply(1000)), (-5, 60));
}

#[test]
fn impossible_averages_are_refused() {
    for (count, range) in [
        (0, Interval::point(0)),
        (4, Interval::new(-513, 0)),
        (1 << 24, Interval::point(0)),
    ] {
        let error = RULE.lane(count, range).unwrap_err();
        assert_eq!(error, NumericError::BadAverage { count, range });
    }
}

proptest! {
    #[test]
    fn large_windows_are_rounded_half_away(count in 1u32..1 << 20, unit in -1.0f64..0.99) {
        let sum = (unit * 128.0 * f64::from(count)) as i64;
        let wanted = nearest(sum.into(), count.into(), Tie::Away);
        prop_assert_eq!(i128::from(RULE.apply(sum, count)), wanted);
        prop_assert_eq!(i128::from(RULE.lane(count, sums(count)).unwrap().apply(sum)), wanted);
    }
}
