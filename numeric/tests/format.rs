//! Affine parameters, clamps and names.

mod common;

use common::{Tie, nearest, pow2, split_float};
use macforge_numeric::{AffineParams, Clamp, NumericError, Semantics};
use proptest::prelude::*;

/// `value / scale` as float32 would round it, then half away, all in integers.
fn quantize_exactly(value: f32, scale: f32, zero_point: i32) -> i128 {
    let (vm, ve) = split_float(value.abs());
    let (sm, se) = split_float(scale);
    if vm == 0 {
        return zero_point.into();
    }
    // quotient = numerator / denominator
    let (numerator, denominator) = if ve >= se {
        (vm * pow2(ve - se), sm)
    } else {
        (vm, sm * pow2(se - ve))
    };
    // Round to 24 bits: the exponent that brings the quotient into 2^23..2^24.
    let mut exponent = 0;
    while numerator * pow2(exponent) < denominator * pow2(23) {
        exponent += 1;
    }
    let mantissa = nearest(numerator * pow2(exponent), denominator, Tie::Even);
    let magnitude = nearest(mantissa, pow2(exponent), Tie::Away);
    let signed = if value < 0.0 { -magnitude } else { magnitude };
    (signed + i128::from(zero_point)).clamp(-128, 127)
}

fn params(scale: f32, zero_point: i32) -> AffineParams {
    AffineParams::new(scale, zero_point).unwrap()
}

#[test]
fn every_int8_survives_dequantize_and_quantize() {
    for scale in [1.0, 0.39101523, 1e-20, 3e30, 1.0 / 3.0] {
        for zero_point in [-128, -1, 0, 89, 127] {
            let p = params(scale, zero_point);
            for q in i8::MIN..=i8::MAX {
                assert_eq!(p.quantize(p.dequantize(q)), q, "{scale} {zero_point}");
            }
        }
    }
}

#[test]
fn dequantize_equals_the_float64_product_narrowed_once() {
    for scale in [0.364_498_47f32, 0.1, 1.0 / 3.0, 7.7e-5] {
        for zero_point in [-128, 0, 96, 127] {
            for q in i8::MIN..=i8::MAX {
                let wide = f64::from(scale) * f64::from(i32::from(q) - zero_point);
                let found = params(scale, zero_point).dequantize(q);
                assert_eq!(found.to_bits(), (wide as f32).to_bits());
            }
        }
    }
}

#[test]
fn ties_round_away_from_zero_before_the_zero_point_is_added() {
    let p = params(2.0, 10);
    let found = [-5.0, -3.0, -1.0, 1.0, 3.0, 5.0].map(|v| p.quantize(v));
    assert_eq!(found, [7, 8, 9, 11, 12, 13]);
}

#[test]
fn values_without_a_quotient_in_range_saturate_and_nan_is_zero() {
    let p = params(0.5, 3);
    assert_eq!(p.quantize(f32::INFINITY), 127);
    assert_eq!(p.quantize(f32::NEG_INFINITY), -128);
    assert_eq!(p.quantize(f32::MAX), 127);
    assert_eq!(p.quantize(f32::MIN), -128);
    assert_eq!(p.quantize(f32::NAN), 3);
    assert_eq!(p.quantize(-0.0), 3);
    assert_eq!(p.quantize(f32::from_bits(1)), 3);
}

#[test]
fn bad_parameters_are_refused() {
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-40] {
        let error = AffineParams::new(scale, 0).unwrap_err();
        assert!(matches!(error, NumericError::BadScale { .. }), "{error}");
    }
    let error = AffineParams::new(1.0, 128).unwrap_err();
    assert_eq!(error, NumericError::BadZeroPoint { found: 128 });
    for (lo, hi) in [(1, 0), (-129, 0), (0, 128)] {
        assert_eq!(
            Clamp::new(lo, hi),
            Err(NumericError::BadClamp {
                lo,
                hi,
                limits: Clamp::INT8
            })
        );
    }
}

#[test]
fn only_the_bounds_of_the_type_saturate() {
    assert!(Clamp::INT8.saturates(128, false));
    assert!(Clamp::INT8.saturates(-129, false));
    assert!(!Clamp::INT8.saturates(127, false) && !Clamp::INT8.saturates(-128, false));
    // A ReLU at zero point -128 uses the type's own lower bound.
    assert!(!Clamp::INT8.saturates(-129, true));
    assert!(Clamp::INT8.saturates(128, true));
    // A ReLU6 that ends below the type's bounds.
    let relu6 = Clamp::new(-10, 90).unwrap();
    assert!(!relu6.saturates(1000, true) && !relu6.saturates(-1000, true));
}

#[test]
fn semantics_names_round_trip() {
    for semantics in Semantics::ALL {
        assert_eq!(semantics.to_string().parse(), Ok(semantics));
    }
    let error = "tflite".parse::<Semantics>().unwrap_err();
    assert!(error.to_string().contains("tflite-double"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn quantize_equals_its_float_operations_done_in_integers(
        quotient in -300f32..300.0, scale in 1e-3f32..100.0, zero_point in -128i32..=127,
    ) {
        let value = quotient * scale;
        prop_assume!(value == 0.0 || value.abs() > 1e-6);
        let found = params(scale, zero_point).quantize(value);
        prop_assert_eq!(i128::from(found), quantize_exactly(value, scale, zero_point));
    }

    /// Values within a few ulps of a rounding boundary.
    #[test]
    fn quantize_is_exact_next_to_ties(
        k in 0i32..200, nudge in -3i64..=3, scale in 1e-3f32..100.0, negative: bool,
    ) {
        let boundary = (k as f32 + 0.5) * scale;
        let value = f32::from_bits((i64::from(boundary.to_bits()) + nudge) as u32);
        let value = if negative { -value } else { value };
        let found = params(scale, 0).quantize(value);
        prop_assert_eq!(i128::from(found), quantize_exactly(value, scale, 0));
    }
}

#[test]
fn int16_values_saturate_at_their_own_limits() {
    let params = AffineParams::new(0.5, 0).unwrap();
    let wide = |v| params.quantize_wide(Semantics::OrtX86, v);
    assert_eq!(
        [wide(1e9), wide(-1e9), wide(0.25), wide(0.75)],
        [32767, -32768, 0, 2]
    );
    assert_eq!(params.dequantize_wide(-32768), -16384.0);
    let relu = Clamp { lo: 0, hi: 127 };
    // 127 is an activation's bound here
    assert!(!relu.saturates_in(Clamp::INT16, 40_000, true));
    assert!(Clamp::INT16.saturates_in(Clamp::INT16, 32_768, true));
    assert!(!Clamp::INT16.saturates_in(Clamp::INT16, -32_769, true));
    assert!(relu.saturates(128, true));
    assert!(Clamp::INT16.check(Clamp::INT8).is_err());
}
