//! Attention against float64 within its stated bound, and where the arithmetic ends.

mod common;

use common::Random;
use macforge_numeric::{AttentionRule, Fp16Factor, NumericError};

fn rule(score: f64) -> AttentionRule {
    AttentionRule::new([1.0, 1.0, 0.5], score, 0.25, 3).unwrap()
}

/// The rule's context and the real one, in steps of the value, and the bound between them.
fn compare(rule: &AttentionRule, scores: &[i64], values: &[i64]) -> [f64; 3] {
    let weights = rule.weights(scores);
    let total: u32 = weights.iter().sum();
    let sum: i64 = weights
        .iter()
        .zip(values)
        .map(|(&w, v)| i64::from(w) * v)
        .sum();
    assert!(
        i32::try_from(sum).is_ok() && total <= 1 << 23,
        "{sum}, {total}"
    );
    let found = AttentionRule::context(sum, AttentionRule::reciprocal(total)).to_f64();
    let most = *scores.iter().max().unwrap();
    let factor = rule.score.to_f64();
    let real = scores.iter().map(|s| ((s - most) as f64 * factor).exp());
    let real: Vec<f64> = real.collect();
    let products: f64 = real.iter().zip(values).map(|(e, &v)| e * v as f64).sum();
    let wanted = products / real.iter().sum::<f64>();
    let spread = values.iter().max().unwrap() - values.iter().min().unwrap();
    let bound = AttentionRule::error_bound(scores.len(), spread as f64, wanted);
    [found, wanted, bound]
}

#[test]
fn contexts_are_within_the_stated_bound_of_float64() {
    let mut random = Random(7);
    let mut closest = [0f64; 2];
    for round in 0..6000 {
        let keys = match round % 4 {
            0 => 3,
            1 => random.within(1..=8),
            2 => random.within(1..=100),
            _ if round % 64 == 3 => 512,
            _ => 40,
        } as usize;
        // real scores from nearly equal to far apart
        let rule = rule(2f64.powi(random.within(-24..=-6) as i32) * 1.37);
        let most = [100_000, 4_000_000, 1 << 30][round % 3];
        let scores: Vec<i64> = (0..keys).map(|_| random.within(-most..=most)).collect();
        let values: Vec<i64> = match round % 5 {
            // one key against all others
            0 => (0..keys).map(|i| if i == 0 { 255 } else { -255 }).collect(),
            1 => vec![random.within(-255..=255); keys],
            _ => (0..keys).map(|_| random.within(-255..=255)).collect(),
        };
        let [found, wanted, bound] = compare(&rule, &scores, &values);
        let error = (found - wanted).abs();
        assert!(
            error <= bound,
            "{found} and {wanted}, {bound}: {scores:?} {values:?}"
        );
        closest[usize::from(keys > 8)] = closest[usize::from(keys > 8)].max(error / bound);
    }
    // the bound is no formality
    assert!(closest[0] > 0.3, "{closest:?}");
}

/// The tail of a long row: each weight is small, all together are not.
#[test]
fn the_tail_of_a_long_row_keeps_its_part() {
    for tail in 1..=12 {
        let rule = rule(1.0 / 1024.0);
        let scores: Vec<i64> = (0..512)
            .map(|i| if i == 0 { 0 } else { -1024 * tail })
            .collect();
        let values: Vec<i64> = (0..512).map(|i| if i == 0 { 127 } else { -128 }).collect();
        let [found, wanted, bound] = compare(&rule, &scores, &values);
        assert!(
            (found - wanted).abs() <= bound,
            "e^-{tail}: {found} and {wanted}, {bound}"
        );
    }
}

/// What the overflow argument says, at its ends.
#[test]
fn extremes_neither_overflow_nor_lose_their_order() {
    let ends = AttentionRule::MAX_WIDTH as i64 * 255 * 255;
    assert!(i32::try_from(2 * ends).is_ok());
    for score in [2f64.powi(-48) * 1.01, 1.0, 2f64.powi(79)] {
        let rule = rule(score);
        let weights = rule.weights(&[-ends, ends, ends, 0]);
        assert_eq!(weights[1..3], [1 << 14; 2]);
        assert!(weights[0] <= weights[3] && weights[3] <= 1 << 14);
        for value in [-255, 255] {
            let keys = AttentionRule::MAX_KEYS;
            let [found, ..] = compare(&rule, &vec![ends; keys], &vec![value; keys]);
            assert_eq!(found, value as f64);
        }
    }
}

/// Equal keys have equal weights, so equal values come out as they are, however many there are.
#[test]
fn equal_values_come_out_as_they_are() {
    let mut random = Random(11);
    for keys in 1..=AttentionRule::MAX_KEYS {
        let scores: Vec<i64> = (0..keys).map(|_| random.within(-1000..=1000)).collect();
        let value = random.within(-255..=255);
        let [found, ..] = compare(&rule(0.002), &scores, &vec![value; keys]);
        assert_eq!(found.round(), value as f64, "{keys} keys");
    }
}

#[test]
fn reciprocals_have_17_bits_and_are_rounded_down() {
    let ends = [
        1,
        2,
        3,
        (1 << 14) - 1,
        1 << 14,
        (1 << 14) + 1,
        (1 << 23) - 1,
        1 << 23,
    ];
    for total in ends.into_iter().chain((1 << 14..1 << 23).step_by(4099)) {
        let r: Fp16Factor = AttentionRule::reciprocal(total);
        assert!(r.is_valid(), "{total}: {r:?}");
        let error = 1.0 - r.to_f64() * f64::from(total);
        assert!((0.0..1.0 / 65536.0).contains(&error), "{total}: {r:?}");
    }
}

/// The first rounding alone decides where the weight changes: a row worked out by hand.
#[test]
fn a_row_by_hand() {
    // scores 0, -1, -2 times ln 2 are weights 1, 1/2, 1/4, to FP16's precision
    let rule = rule(std::f64::consts::LN_2);
    let weights = rule.weights(&[5, 4, 3]);
    assert_eq!(weights[0], 16384);
    assert!(
        weights[1].abs_diff(8192) <= 8 && weights[2].abs_diff(4096) <= 4,
        "{weights:?}"
    );
    // (100 * 4 + 20 * 2 - 60) / 7 = 54.28 steps of 0.5, which are 108.57 of 0.25, and 3
    let total = weights.iter().sum();
    let sum = i64::from(weights[0]) * 100 + i64::from(weights[1]) * 20 - i64::from(weights[2]) * 60;
    assert_eq!(rule.unclamped(sum, AttentionRule::reciprocal(total)), 112);
}

#[test]
fn impossible_scales_are_refused() {
    let error = AttentionRule::new([1.0, 1.0, 1.0], -0.1, 1.0, 0).unwrap_err();
    assert!(
        matches!(error, NumericError::BadMultiplier { .. }),
        "{error}"
    );
    let error = AttentionRule::new([1e-20, 1e-20, 1.0], 0.1, 1.0, 0).unwrap_err();
    assert!(
        matches!(error, NumericError::MultiplierRange { .. }),
        "{error}"
    );
    let error = AttentionRule::new([1.0, 1.0, 1.0], 0.1, 1.0, 300).unwrap_err();
    assert!(
        matches!(error, NumericError::BadZeroPoint { .. }),
        "{error}"
    );
}
