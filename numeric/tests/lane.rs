//! The lane's formula against the requantizers and against exact statements.

mod common;

use common::{Tie, nearest, ort_x86, pow2, tflite_double};
use macforge_numeric::lane::FLOAT_EXACT_LIMIT;
use macforge_numeric::{
    Clamp, Interval, LaneConstants, NumericError, RequantRule, Requantizer, prove_equal,
};
use proptest::prelude::*;

const INT32: Interval = Interval {
    lo: i32::MIN as i64,
    hi: i32::MAX as i64,
};
const FLOAT_EXACT: Interval = Interval {
    lo: -FLOAT_EXACT_LIMIT,
    hi: FLOAT_EXACT_LIMIT,
};

fn requantizer(rule: RequantRule) -> Requantizer {
    Requantizer {
        rule,
        zero_point: 0,
        clamp: Clamp::INT8,
    }
}

fn lane(rule: RequantRule) -> LaneConstants {
    LaneConstants::from_requantizer(&requantizer(rule)).unwrap()
}

#[test]
fn double_rounding_form_is_exact_for_every_12_bit_accumulator_and_every_shift() {
    for multiplier in [1 << 30, (1 << 30) + 1, 0x5555_5555, i32::MAX] {
        for shift in -31..=30 {
            let lane = lane(RequantRule::TfliteDouble { multiplier, shift });
            for acc in -2048i64..=2047 {
                let wanted = tflite_double(acc.into(), multiplier, shift);
                assert_eq!(
                    i128::from(lane.unclamped(acc)),
                    wanted,
                    "{acc} * {multiplier} << {shift}"
                );
            }
        }
    }
}

#[test]
fn double_rounding_form_is_the_documented_one() {
    // (acc*M + 2^30 + 2^(30+rs) - (acc<0 ? 2^31 : 0)) >> (31+rs)
    let (multiplier, rs) = (0x4d3c_2b1a, 7);
    let lane = lane(RequantRule::TfliteDouble {
        multiplier,
        shift: -rs,
    });
    assert!(lane.double_round);
    assert_eq!(i32::from(lane.shift), 31 + rs);
    for acc in (-40_000_000i64..40_000_000).step_by(997) {
        let borrow = if acc < 0 { 1i64 << 31 } else { 0 };
        let sum = acc * i64::from(multiplier) + (1 << 30) + (1 << (30 + rs)) - borrow;
        assert_eq!(lane.unclamped(acc), sum >> (31 + rs));
    }
}

#[test]
fn multiplier_of_one_half_and_accumulator_of_minus_one_need_no_special_case() {
    // The only place where the sign of the accumulator and of the inner rounding differ.
    for rs in 1..=31 {
        let rule = RequantRule::TfliteDouble {
            multiplier: 1 << 30,
            shift: -rs,
        };
        assert_eq!(lane(rule.clone()).unclamped(-1), 0);
        assert_eq!(requantizer(rule).unclamped(-1), 0);
    }
}

#[test]
fn ort_form_is_exact_on_dense_ties_for_every_14_bit_accumulator() {
    // Few mantissa bits make exact ties; the neighbours in float32 make near ones.
    for numerator in [1u32, 3, 5, 7, 11, 25, 127, 255] {
        for exponent in 1..14 {
            let exact = numerator as f32 / (1u32 << exponent) as f32;
            let bits = exact.to_bits();
            for scale in [bits - 1, bits, bits + 1].map(f32::from_bits) {
                let rule = RequantRule::OrtX86 { scale };
                let found = LaneConstants {
                    clamp: Clamp { lo: -128, hi: 127 },
                    ..lane(rule)
                };
                for acc in -8192i64..=8191 {
                    let wanted = ort_x86(acc.into(), scale).clamp(-128, 127);
                    assert_eq!(i128::from(found.apply(acc)), wanted, "{acc} * {scale}");
                }
            }
        }
    }
}

#[test]
fn ort_tie_window_is_needed() {
    // 3 * 0.16666667 rounds to exactly 0.5 in float32, and half to even makes it 0.
    let scale = 0.166_666_67f32;
    assert!(f64::from(scale) * 3.0 > 0.5);
    let with = lane(RequantRule::OrtX86 { scale });
    let without = LaneConstants {
        tie_window: None,
        ..with
    };
    assert_eq!((with.apply(3), without.apply(3)), (0, 1));
}

#[test]
fn products_exactly_half_an_ulp_from_a_tie_are_on_it() {
    let mut cases = 0;
    for k in 0..256i64 {
        // k + 1/2 as a 25-bit integer in units of half an ulp; its neighbours are odd, so float32
        // rounds them to it. Each way to write one as a product is an accumulator and a scale.
        let binade = (2 * k + 1).ilog2() as i32 - 1;
        let tie = (2 * k + 1) << (23 - binade);
        for product in [tie - 1, tie + 1] {
            for acc in (1..6000).filter(|acc| product % acc == 0) {
                let mantissa = (product / acc) as f32;
                if mantissa as i64 * acc != product {
                    continue;
                }
                let scale = mantissa * 2f32.powi(binade - 24);
                let lane = lane(RequantRule::OrtX86 { scale });
                for acc in [acc, -acc] {
                    let wanted = ort_x86(acc.into(), scale).clamp(-128, 127);
                    assert_eq!(i128::from(lane.apply(acc)), wanted, "{acc} * {scale}");
                }
                cases += 1;
            }
        }
    }
    assert!(cases > 1000, "{cases}");
}

#[test]
fn tiny_ort_scales_give_the_zero_point() {
    let rule = Requantizer {
        zero_point: -7,
        ..requantizer(RequantRule::OrtX86 { scale: 1e-30 })
    };
    let lane = LaneConstants::from_requantizer(&rule).unwrap();
    assert_eq!(prove_equal(&rule, &lane, FLOAT_EXACT).unwrap().steps, 0);
    assert_eq!(lane.apply(FLOAT_EXACT_LIMIT), -7);
}

#[test]
fn scales_beyond_the_lane_are_refused() {
    for scale in [8_388_608.0, 1e20] {
        let rule = requantizer(RequantRule::OrtX86 { scale });
        let error = LaneConstants::from_requantizer(&rule).unwrap_err();
        assert!(matches!(error, NumericError::NotALane { .. }), "{error}");
    }
}

#[test]
fn a_zero_multiplier_gives_the_zero_point_everywhere() {
    for rule in [
        RequantRule::TfliteDouble {
            multiplier: 0,
            shift: 0,
        },
        RequantRule::TfliteSingle {
            multiplier: 0,
            shift: 0,
        },
    ] {
        let proof = prove_equal(&requantizer(rule.clone()), &lane(rule), INT32).unwrap();
        assert_eq!(proof.steps, 0);
    }
}

#[test]
fn pow2_lanes_are_proved_for_every_shift() {
    for shift in 0..=31 {
        let rule = RequantRule::Pow2 { shift };
        prove_equal(&requantizer(rule.clone()), &lane(rule), INT32).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn tflite_lanes_are_proved_on_all_int32(
        multiplier in 1i32 << 30..=i32::MAX,
        shift in -31i32..=30,
        zero_point in -128i32..=127,
        lo in -128i32..=0,
        hi in 0i32..=127,
    ) {
        for rule in [
            RequantRule::TfliteDouble { multiplier, shift },
            RequantRule::TfliteSingle { multiplier, shift },
        ] {
            let requantizer = Requantizer { rule, zero_point, clamp: Clamp { lo, hi } };
            let lane = LaneConstants::from_requantizer(&requantizer).unwrap();
            prop_assert!(prove_equal(&requantizer, &lane, INT32).is_ok());
        }
    }

    #[test]
    fn ort_lanes_are_proved_on_all_exact_accumulators(
        mantissa in 1u32 << 23..1 << 24, exponent in 24i32..49, zero_point in -128i32..=127,
    ) {
        let scale = mantissa as f32 * 2f32.powi(-exponent);
        let requantizer = Requantizer {
            zero_point,
            ..requantizer(RequantRule::OrtX86 { scale })
        };
        let lane = LaneConstants::from_requantizer(&requantizer).unwrap();
        prop_assert!(prove_equal(&requantizer, &lane, FLOAT_EXACT).is_ok());
    }

    /// Scales aimed so that `acc * scale` falls within an ulp or two of a tie.
    #[test]
    fn ort_lanes_are_exact_around_near_ties(
        acc in 1i64..FLOAT_EXACT_LIMIT, k in -256i64..=255, nudge in -2i64..=2, negative: bool,
    ) {
        let tie = (2 * k + 1) as f64 / 2.0;
        let bits = ((tie.abs() / acc as f64) as f32).to_bits();
        let scale = f32::from_bits((i64::from(bits) + nudge) as u32);
        prop_assume!(scale > 2f32.powi(-26));
        let lane = lane(RequantRule::OrtX86 { scale });
        let acc = if negative { -acc } else { acc };
        for acc in [acc - 1, acc, acc + 1] {
            let wanted = ort_x86(acc.into(), scale).clamp(-128, 127);
            prop_assert_eq!(i128::from(lane.apply(acc)), wanted);
        }
    }

    #[test]
    fn the_sum_before_the_shift_is_one_exact_rounding_without_corrections(
        acc in any::<i32>(), multiplier in any::<i32>().prop_map(|m| m & i32::MAX),
        shift in 1u8..=62,
    ) {
        let lane = LaneConstants {
            multiplier: multiplier as u32,
            shift,
            constant: 0,
            double_round: false,
            tie_window: None,
            zero_point: 0,
            clamp: Clamp::INT8,
        };
        let product = i128::from(acc) * i128::from(multiplier);
        let wanted = nearest(product, pow2(shift.into()), Tie::Up);
        prop_assert_eq!(i128::from(lane.unclamped(acc.into())), wanted);
    }
}
