//! One LSTM step against its definition on exact rationals.

mod common;

use common::{Tie, nearest, pow2, tflite_double};
use macforge_numeric::lstm::{Factor, Gate, LstmScales};
use macforge_numeric::{LstmRule, NumericError, Semantics};
use proptest::prelude::*;

const SCALES: LstmScales = LstmScales {
    input: 0.004,
    input_weights: [0.009, 0.0074, 0.0094, 0.0118],
    recurrent_weights: [0.0093, 0.0058, 0.0049, 0.0082],
    hidden: 0.0078,
    hidden_zero_point: -5,
    cell: 1.0 / 4096.0,
    cell_clip: 0.0,
};

fn rule() -> LstmRule {
    LstmRule::tflite(Semantics::TfliteDouble, &SCALES).unwrap()
}

fn double(factor: Factor) -> (i32, i32) {
    assert!(!factor.single_rounding);
    (factor.multiplier, factor.shift)
}

fn clamp16(x: i128) -> i128 {
    x.clamp(-pow2(15), pow2(15) - 1)
}

proptest! {
    #[test]
    fn a_gates_sum_saturates_after_each_product(gate in 0usize..4, wx in -1i64 << 24..1 << 24, wh in -1i64 << 24..1 << 24) {
        let rule = rule();
        let scaled = |r: Factor, acc: i64| {
            let (multiplier, shift) = double(r);
            tflite_double(acc.into(), multiplier, shift)
        };
        let own = clamp16(scaled(rule.input[gate], wx));
        let wanted = clamp16(own + scaled(rule.recurrent[gate], wh));
        prop_assert_eq!(i128::from(rule.gate_sum(Gate::ALL[gate], wx, wh)), wanted);
    }

    #[test]
    fn the_cell_rounds_each_product_and_saturates_the_sum(
        cell: i16, i in 0i16.., f in 0i16.., g in -32767i16.., m in 0u32..=6, clip in proptest::option::of(1i16..),
    ) {
        let rule = LstmRule { cell_integer_bits: m, cell_clip: clip, ..rule() };
        let kept = nearest(i128::from(f) * i128::from(cell), pow2(15), Tie::Away);
        let entering = nearest(i128::from(i) * i128::from(g), pow2(15 + m as i32), Tie::Away);
        // Neither product needs a clamp of its own.
        prop_assert_eq!(clamp16(kept), kept);
        prop_assert_eq!(clamp16(entering), entering);
        let bound = clip.map_or(pow2(15), i128::from);
        let wanted = clamp16(kept + entering).clamp(-bound, bound);
        prop_assert_eq!(i128::from(rule.cell(cell, [i, f, g, 0])), wanted);
    }

    #[test]
    fn the_hidden_state_is_the_product_requantized(o in 0i16.., cell: i16) {
        let rule = rule();
        let (multiplier, shift) = double(rule.output);
        let product = i128::from(o) * i128::from(rule.cell_tanh(cell));
        let wanted = tflite_double(product, multiplier, shift) - 5;
        prop_assert_eq!(i128::from(rule.hidden_unclamped(o, cell)), wanted);
    }
}

#[test]
fn scales_become_tflites_multipliers() {
    let rule = rule();
    // 0.0118 * 0.004 / 2^-12 = 0.1933312
    let (multiplier, shift) = double(rule.input[3]);
    assert_eq!(shift, -2);
    let real = f64::from(multiplier) / 2f64.powi(31 - shift);
    assert!((real - 0.193_331_2).abs() < 1e-7, "{real}");
    let (multiplier, shift) = double(rule.output);
    let real = f64::from(multiplier) / 2f64.powi(31 - shift);
    assert!((real * 0.0078 * 2f64.powi(30) - 1.0).abs() < 1e-7, "{real}");
    assert_eq!(rule.cell_integer_bits, 3);
    assert_eq!(rule.cell_clip, None);
}

#[test]
fn the_cell_clip_is_truncated_and_saturated() {
    let clip = |cell_clip| {
        let scales = LstmScales {
            cell_clip,
            ..SCALES
        };
        LstmRule::tflite(Semantics::TfliteDouble, &scales)
            .unwrap()
            .cell_clip
    };
    assert_eq!(clip(10.0), Some(32767));
    assert_eq!(clip(1.0003), Some(4097));
    assert_eq!(clip(0.0001), None);
}

#[test]
fn a_cell_scale_that_is_no_small_power_of_two_is_refused() {
    for cell in [0.0003, 2f32.powi(-16), 2f32.powi(-8), 0.0, f32::NAN] {
        let scales = LstmScales { cell, ..SCALES };
        let error = LstmRule::tflite(Semantics::TfliteDouble, &scales).unwrap_err();
        assert!(
            matches!(error, NumericError::MultiplierRange { .. }),
            "{cell}"
        );
    }
}
