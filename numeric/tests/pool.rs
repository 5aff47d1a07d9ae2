//! Average pooling against exact rounding, and its lanes.

mod common;

use common::{Tie, nearest};
use macforge_numeric::pool::Mean;
use macforge_numeric::{AffineParams, AveragePoolRule, Clamp, Interval, NumericError};
use proptest::prelude::*;

const RULE: AveragePoolRule = AveragePoolRule {
    mean: Mean::Tflite,
    clamp: Clamp::INT8,
};

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
fn the_mean_of_unsigned_values_is_rounded_half_up() {
    let rule = AveragePoolRule {
        mean: Mean::TfliteUnsigned,
        ..RULE
    };
    for count in (1..=15).chain([16, 49, 64]) {
        let lane = rule.lane(count, sums(count)).unwrap();
        for sum in sums(count).lo..=sums(count).hi {
            // TFLite's own integers are 128 more and not negative
            let own = u64::try_from(sum + 128 * i64::from(count)).unwrap();
            let wanted = (own + u64::from(count) / 2) / u64::from(count);
            assert_eq!(i64::from(rule.apply(sum, count)) + 128, wanted as i64);
            let value = i32::from(rule.apply(sum, count));
            assert_eq!(lane.apply(sum + rule.bias(count)), value);
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
    let rule = AveragePoolRule::tflite(Clamp::new(-5, 60).unwrap());
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

#[test]
fn onnxruntimes_mean_requantizes_the_sum_and_has_a_lane() {
    let input = AffineParams::new(0.0734, -128).unwrap();
    let output = AffineParams::new(0.0198, -128).unwrap();
    let rule = AveragePoolRule::ort(input, output, None, Clamp::INT8).unwrap();
    // 64 values of 10 steps above zero: 0.734 real, 37.07 steps
    assert_eq!(rule.apply(64 * -118, 64), -91);
    let lane = rule.lane(64, sums(64)).unwrap();
    for sum in sums(64).lo..=sums(64).hi {
        let expected = i32::from(rule.apply(sum, 64));
        assert_eq!(lane.apply(sum + rule.bias(64)), expected, "{sum}");
    }
    // padding that counts divides by the whole window
    let padded = AveragePoolRule::ort(input, output, Some(128), Clamp::INT8).unwrap();
    assert_eq!(padded.apply(64 * -118, 64), -109);
}
