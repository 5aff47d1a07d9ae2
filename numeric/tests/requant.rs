//! The four requantizers against exact rational statements of their rules.

mod common;

use common::{Tie, nearest, ort_x86, pow2, tflite_double};
use macforge_numeric::fixed::{
    quantize_multiplier, reduced_multiplier, rounding_divide_by_pot, rounding_doubling_high_mul,
    saturating_mul,
};
use macforge_numeric::{
    Clamp, Interval, LaneConstants, NumericError, RequantRule, Requantizer, Semantics, prove_equal,
};
use proptest::prelude::*;

fn unclamped(rule: RequantRule, acc: i64) -> i128 {
    let requantizer = Requantizer {
        rule,
        zero_point: 0,
        clamp: Clamp::INT8,
    };
    i128::from(requantizer.unclamped(acc))
}

/// gemmlowp's C++ text: nudge by sign, then a truncating division.
fn gemmlowp_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let ab = i64::from(a) * i64::from(b);
    let nudge = if ab >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    ((ab + nudge) / (1 << 31)) as i32
}

const EXTREMES: [i32; 11] = [
    i32::MIN,
    i32::MIN + 1,
    -(1 << 30),
    -2,
    -1,
    0,
    1,
    2,
    1 << 30,
    i32::MAX - 1,
    i32::MAX,
];

#[test]
fn high_mul_of_extremes_is_gemmlowps_even_where_it_saturates() {
    for a in EXTREMES {
        for b in EXTREMES {
            assert_eq!(saturating_mul(a, b), gemmlowp_high_mul(a, b), "{a} * {b}");
        }
    }
}

#[test]
fn divide_by_pot_rounds_half_away_for_every_value_of_12_bits() {
    for exponent in 0..=14 {
        for x in -2048i64..=2047 {
            let wanted = nearest(x.into(), pow2(exponent as i32), Tie::Away);
            let found = rounding_divide_by_pot(x, exponent);
            assert_eq!(i128::from(found), wanted, "{x} / 2^{exponent}");
        }
    }
}

#[test]
fn tflite_rules_are_exact_for_every_12_bit_accumulator_and_every_shift() {
    let multipliers = [
        1 << 30,
        (1 << 30) + 1,
        0x5555_5555,
        0x6000_0000,
        i32::MAX,
        0,
    ];
    for multiplier in multipliers {
        for shift in -31..=30 {
            for acc in (-2048i64..=2047).chain([i32::MIN.into(), i32::MAX.into()]) {
                let double = unclamped(RequantRule::TfliteDouble { multiplier, shift }, acc);
                assert_eq!(
                    double,
                    tflite_double(acc.into(), multiplier, shift),
                    "double {acc} {multiplier} {shift}"
                );
                let single = unclamped(RequantRule::TfliteSingle { multiplier, shift }, acc);
                let product = i128::from(acc) * i128::from(multiplier);
                let wanted = nearest(product, pow2(31 - shift), Tie::Up);
                assert_eq!(single, wanted, "single {acc} {multiplier} {shift}");
            }
        }
    }
}

#[test]
fn the_wide_rule_is_exact_up_to_48_bits_and_so_is_its_lane() {
    let reduced = [
        (1 << 30, 0x4000),
        ((1 << 30) + 0x7fff, 0x4000),
        ((1 << 30) + 0x8000, 0x4001),
        (0x7ffe_ffff, 0x7fff),
        (0x7fff_0000, 0x7fff),
        (i32::MAX, 0x7fff),
        (0, 0),
    ];
    let ends = [
        -(1i64 << 47),
        (1 << 47) - 1,
        i32::MIN.into(),
        i32::MAX.into(),
    ];
    for (multiplier, factor) in reduced {
        assert_eq!(reduced_multiplier(multiplier), factor);
        for shift in -31..=7 {
            let rule = Requantizer {
                rule: RequantRule::Wide { multiplier, shift },
                zero_point: 0,
                clamp: Clamp::INT16,
            };
            let lane = LaneConstants::from_requantizer(&rule).unwrap();
            for acc in (-2048i64..=2047).chain(ends) {
                let product = i128::from(acc) * i128::from(factor);
                let wanted = nearest(product, pow2(15 - shift), Tie::Up);
                assert_eq!(
                    i128::from(rule.unclamped(acc)),
                    wanted,
                    "{acc} {multiplier} {shift}"
                );
                assert_eq!(lane.unclamped(acc), rule.unclamped(acc));
            }
            let range = Interval::new(ends[0], ends[1]);
            let proof = prove_equal(&rule, &lane, range).unwrap();
            let steps = rule.apply(range.hi) - rule.apply(range.lo);
            assert_eq!(proof.steps, steps as usize);
            let other = LaneConstants {
                multiplier: lane.multiplier ^ 1,
                ..lane
            };
            assert!(shift < -20 || prove_equal(&rule, &other, range).is_err());
        }
    }
}

#[test]
fn wide_requantizers_are_refused_beyond_their_shifts() {
    let wide = |real| Requantizer::wide(real, 0, Clamp::INT16);
    assert_eq!(wide(127.9).unwrap().rule.accumulator_bits(), 48);
    let error = wide(128.1).unwrap_err().to_string();
    assert!(
        error.contains("128.1") && error.contains("below 128"),
        "{error}"
    );
    assert!(wide(f64::NAN).is_err());
}

#[test]
fn pow2_rounds_half_up_for_every_12_bit_accumulator() {
    for shift in 0..=31 {
        for acc in -2048i64..=2047 {
            let wanted = nearest(acc.into(), pow2(shift as i32), Tie::Up);
            assert_eq!(unclamped(RequantRule::Pow2 { shift }, acc), wanted);
        }
    }
}

#[test]
fn ort_rounds_to_even_on_exact_ties_of_every_12_bit_accumulator() {
    for scale in [1.0, 0.5, 0.25, 0.75, 1.5, 0.001_953_125, 0.1, 1.0 / 3.0] {
        for acc in -2048i64..=2047 {
            let wanted = ort_x86(acc.into(), scale);
            assert_eq!(unclamped(RequantRule::OrtX86 { scale }, acc), wanted);
        }
    }
}

#[test]
fn multiplier_encoding_is_tflites_on_known_values() {
    assert_eq!(quantize_multiplier(0.0), Ok((0, 0)));
    assert_eq!(quantize_multiplier(1.0), Ok((1 << 30, 1)));
    assert_eq!(quantize_multiplier(0.5), Ok((1 << 30, 0)));
    assert_eq!(quantize_multiplier(0.75), Ok((3 << 29, 0)));
    // Rounds up to one, so the mantissa is halved.
    assert_eq!(quantize_multiplier(1.0 - 2f64.powi(-40)), Ok((1 << 30, 1)));
    assert_eq!(quantize_multiplier(2f64.powi(-32)), Ok((1 << 30, -31)));
    // Everything would be shifted out.
    assert_eq!(quantize_multiplier(2f64.powi(-33)), Ok((0, 0)));
    assert_eq!(quantize_multiplier(f64::MIN_POSITIVE / 4.0), Ok((0, 0)));
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let error = quantize_multiplier(bad).unwrap_err();
        assert!(matches!(error, NumericError::BadMultiplier { .. }));
    }
}

#[test]
fn multipliers_outside_a_rule_are_refused() {
    let build = |semantics, real| Requantizer::from_real(semantics, real, 0, Clamp::INT8);
    let refused = [
        (Semantics::TfliteDouble, 2f64.powi(30)),
        (Semantics::TfliteSingle, 2f64.powi(31)),
        (Semantics::OrtX86, 0.0),
        (Semantics::OrtX86, 1e-60),
        (Semantics::OrtX86, -0.5),
        (Semantics::Pow2, 0.3),
        (Semantics::Pow2, 2.0),
    ];
    for (semantics, real) in refused {
        let error = build(semantics, real).unwrap_err();
        assert!(
            matches!(error, NumericError::MultiplierRange { .. }),
            "{error}"
        );
    }
    let pow2 = build(Semantics::Pow2, 2f64.powi(-31)).unwrap();
    assert_eq!(pow2.rule, RequantRule::Pow2 { shift: 31 });
}

#[test]
fn zero_point_is_added_before_the_clamp() {
    let requantizer = Requantizer {
        rule: RequantRule::Pow2 { shift: 0 },
        zero_point: 100,
        clamp: Clamp::new(-5, 110).unwrap(),
    };
    assert_eq!(requantizer.unclamped(50), 150);
    assert_eq!(requantizer.apply(50), 110);
    assert_eq!(requantizer.apply(-200), -5);
    assert_eq!(requantizer.apply(-104), -4);
}

proptest! {
    #[test]
    fn high_mul_equals_the_exact_rounded_product(a in any::<i32>(), b in any::<i32>()) {
        let wanted = nearest(i128::from(a) * i128::from(b), pow2(31), Tie::Up);
        prop_assert_eq!(i128::from(rounding_doubling_high_mul(a.into(), b)), wanted);
        prop_assert_eq!(saturating_mul(a, b), gemmlowp_high_mul(a, b));
    }

    #[test]
    fn tflite_double_equals_two_exact_roundings(
        acc in any::<i32>(), multiplier in 1i32 << 30..=i32::MAX, shift in -31i32..=30,
    ) {
        let found = unclamped(RequantRule::TfliteDouble { multiplier, shift }, acc.into());
        prop_assert_eq!(found, tflite_double(acc.into(), multiplier, shift));
    }

    #[test]
    fn tflite_single_equals_one_exact_rounding(
        acc in any::<i32>(), multiplier in 1i32 << 30..=i32::MAX, shift in -31i32..=30,
    ) {
        let found = unclamped(RequantRule::TfliteSingle { multiplier, shift }, acc.into());
        let product = i128::from(acc) * i128::from(multiplier);
        prop_assert_eq!(found, nearest(product, pow2(31 - shift), Tie::Up));
    }

    #[test]
    fn ort_equals_its_float_roundings_done_in_integers(
        acc in any::<i32>(), scale in 1e-6f32..2.0,
    ) {
        let found = unclamped(RequantRule::OrtX86 { scale }, acc.into());
        prop_assert_eq!(found, ort_x86(acc.into(), scale));
    }

    #[test]
    fn multiplier_encoding_is_within_half_a_unit(real in 1e-9f64..1e6) {
        let (multiplier, shift) = quantize_multiplier(real).unwrap();
        prop_assert!(multiplier >= 1 << 30);
        let back = f64::from(multiplier) * 2f64.powi(shift - 31);
        prop_assert!((back - real).abs() <= 2f64.powi(shift - 32));
    }
}
