//! FP16: every operation against the `half` crate or float64, all operand classes included.

mod common;

use common::Random;
use half::f16;
use macforge_numeric::fp16::{Fp16, Fp16Factor, Fp16Quantizer, Fp16Tables};

/// Bits that both sides agree on: every NaN is the canonical one.
fn canonical(x: f16) -> u16 {
    if x.is_nan() { 0x7e00 } else { x.to_bits() }
}

fn all() -> impl Iterator<Item = (Fp16, f16)> {
    (0..=u16::MAX).map(|bits| (Fp16::from_bits(bits), f16::from_bits(bits)))
}

/// Numbers at the edges of every class, with both signs, and their neighbours.
fn corners() -> Vec<u16> {
    let edges: [u16; 14] = [
        0, 0x0001, 0x0002, 0x01ff, 0x0200, 0x03ff, 0x0400, 0x0401, 0x2400, 0x3bff, 0x3c00, 0x3c01,
        0x7bff, 0x7c00,
    ];
    let more = [
        0x7c01, 0x7e00, 0x7fff, 0x3555, 0x4248, 0x07ff, 0x0800, 0x7800, 0x0fff,
    ];
    let all = edges.into_iter().chain(more);
    all.flat_map(|x| [x, x | 0x8000]).collect()
}

fn compare(a: u16, b: u16) {
    let (x, y) = (Fp16::from_bits(a), Fp16::from_bits(b));
    let (hx, hy) = (f16::from_bits(a), f16::from_bits(b));
    assert_eq!(x.plus(y).to_bits(), canonical(hx + hy), "{x:?} + {y:?}");
    assert_eq!(x.times(y).to_bits(), canonical(hx * hy), "{x:?} * {y:?}");
    assert_eq!(x.is_less(y), hx < hy, "{x:?} < {y:?}");
    let (most, least) = match (hx.partial_cmp(&hy), hx.is_sign_negative()) {
        (None, _) => (0x7e00, 0x7e00),
        (Some(std::cmp::Ordering::Less), _) => (b, a),
        (Some(std::cmp::Ordering::Equal), true) => (b, a),
        _ => (a, b),
    };
    assert_eq!(x.maximum(y).to_bits(), most, "maximum of {x:?} and {y:?}");
    assert_eq!(x.minimum(y).to_bits(), least, "minimum of {x:?} and {y:?}");
}

fn compare_pairs(count: u64) {
    for a in corners() {
        for b in corners() {
            compare(a, b);
        }
        for b in 0..=u16::MAX {
            compare(a, b);
            compare(b, a);
        }
    }
    let mut random = Random(1);
    for index in 0..count {
        let r = random.next();
        let a = r as u16;
        // half of the pairs have similar exponents, where sums cancel and round
        let near = (a & 0x7c00)
            .wrapping_add(((r >> 40) as u16 % 7) << 10)
            .wrapping_sub(3 << 10);
        let b = (r >> 16) as u16;
        compare(
            a,
            if index % 2 == 0 {
                b
            } else {
                b & 0x83ff | near & 0x7c00
            },
        );
    }
}

#[test]
fn sum_product_and_order_equal_half_on_corners_and_random_pairs() {
    compare_pairs(500_000);
}

#[test]
#[ignore = "ten million pairs"]
fn sum_product_and_order_equal_half_on_ten_million_pairs() {
    compare_pairs(10_000_000);
}

/// The FP16 nearest to a float64, the even one of two. `half` goes there by way of float32 on some
/// machines, so its result is only where the search begins.
fn nearest(x: f64) -> u16 {
    let start = f16::from_f64(x).to_bits();
    let real = |bits: u16| match bits & 0x7fff {
        // as if the exponents went on
        0x7c00 => 65536f64.copysign(x),
        _ => f16::from_bits(bits).to_f64(),
    };
    let near = [start, start.wrapping_sub(1), start + 1].into_iter();
    let same_class = near.filter(|b| b & 0x7fff <= 0x7c00 && b >> 15 == start >> 15);
    let key = |b: u16| ((real(b) - x).abs(), b & 1);
    same_class
        .min_by(|&a, &b| key(a).partial_cmp(&key(b)).expect("no NaN"))
        .expect("start itself")
}

#[test]
fn conversions_from_and_to_float64_are_nearest() {
    for (x, h) in all() {
        let same = x.to_f64().to_bits() == h.to_f64().to_bits();
        assert!(same || x.is_nan() && h.is_nan(), "{x:?}");
        assert_eq!(Fp16::from_f64(h.to_f64()).to_bits(), canonical(h));
    }
    let mut random = Random(2);
    for _ in 0..300_000 {
        let r = random.next();
        let close = f64::from_bits(r & !(0x7ff << 52) | (995 + (r >> 13) % 50) << 52);
        let tie = f64::from_bits(close.to_bits() & !0 << 41);
        for x in [close, tie, f64::from_bits(tie.to_bits() + 1)] {
            assert_eq!(Fp16::from_f64(x).to_bits(), nearest(x), "{x:e}");
        }
    }
}

/// The exact quotient has no ties that float32 could create: 24 bits are more than 2 * 11 + 1.
#[test]
fn reciprocal_is_correctly_rounded() {
    for (x, h) in all() {
        let wanted = f16::from_f32(1.0 / h.to_f32());
        assert_eq!(x.reciprocal().to_bits(), canonical(wanted), "1 / {x:?}");
    }
}

/// tanh by a fixed-point series of its own: `(e^2x - 1) / (e^2x + 1)` with 52 fraction bits.
fn tanh_in_fixed_point(x: Fp16) -> i128 {
    const ONE: i128 = 1 << 52;
    let v = (x.abs().to_f64() * 2.0 * 2f64.powi(24)) as i128;
    // e^(v / 2^24) by the bits of v: e^(v/2^30) by its series, squared six times
    let small = (v << 28) >> 6;
    let (mut term, mut power) = (ONE, ONE);
    for n in 1..30 {
        term = term * small / ONE / n;
        power += term;
    }
    for _ in 0..6 {
        power = power * power / ONE;
    }
    (power - ONE) * ONE / (power + ONE)
}

#[test]
fn tanh_is_correctly_rounded_and_never_near_a_tie() {
    const ONE: f64 = (1u64 << 52) as f64;
    let mut nearest_tie = f64::INFINITY;
    for (x, h) in all() {
        if h.is_nan() {
            assert_eq!(x.tanh(), Fp16::NAN);
            continue;
        }
        if x.abs().to_f64() < 5.0 {
            // an independent series with an error below 2^-40
            let exact = tanh_in_fixed_point(x) as f64 / ONE;
            let ulp = 2f64.powi((exact.max(1e-9).log2().floor() as i32).max(-14) - 10);
            if x.abs().to_f64() >= 2f64.powi(-7) {
                let steps = exact / ulp;
                nearest_tie = nearest_tie.min(((steps - steps.floor()) - 0.5).abs());
            }
            let found = x.tanh().to_f64().abs();
            assert!(
                (found - exact).abs() <= ulp / 2.0,
                "tanh({x:?}) = {found}, not {exact}"
            );
        } else {
            assert_eq!(x.tanh().abs(), Fp16::ONE);
        }
        assert_eq!(x.tanh().is_negative(), x.is_negative());
        assert_eq!(x.tanh(), Fp16::from_f64(x.to_f64().tanh()), "{x:?}");
    }
    assert!(nearest_tie > 2f64.powi(-33), "{nearest_tie:e}");
}

#[test]
fn logistic_function_is_within_its_bound() {
    let mut worst = 0f64;
    for (x, h) in all() {
        if h.is_nan() {
            assert_eq!(x.logistic(), Fp16::NAN);
            continue;
        }
        let exact = 1.0 / (1.0 + (-x.to_f64()).exp());
        worst = worst.max((x.logistic().to_f64() - exact).abs());
    }
    println!("largest error {worst:e}");
    assert!(worst < 3.0 / 8192.0 && worst > 2.0 / 8192.0, "{worst:e}");
}

#[test]
fn exponential_is_within_its_bound_and_monotone() {
    let mut worst = 0f64;
    let mut before = Fp16::ZERO;
    let finite = (0x8000..=0xfbffu16).rev().chain(0..=0x7bff);
    for x in finite.map(Fp16::from_bits) {
        let (found, exact) = (x.exp(), x.to_f64().exp());
        assert!(!found.is_less(before), "exp({x:?})");
        before = found;
        if found == Fp16::INFINITY {
            assert!(exact > 65504.0);
            continue;
        }
        let ulp = 2f64.powi((exact.max(1e-9).log2().floor() as i32).max(-14) - 10);
        worst = worst.max((found.to_f64() - exact).abs() / ulp);
    }
    println!("largest error {worst} of the last place");
    assert!(worst < 0.86, "{worst}");
    assert_eq!(Fp16::INFINITY.exp(), Fp16::INFINITY);
    assert_eq!(Fp16::INFINITY.negated().exp(), Fp16::ZERO);
    assert_eq!(Fp16::from_bits(0xfdff).exp(), Fp16::NAN);
}

#[test]
fn tables_hold_the_functions_values() {
    let tables = Fp16Tables::new();
    assert_eq!(
        [tables.tanh.len(), tables.exp.len(), tables.reciprocal.len()],
        [8192, 2048, 1024]
    );
    assert!(tables.tanh.iter().all(|&w| w < 1 << 14));
    assert!(tables.exp.iter().all(|&w| w < 1 << 10));
    assert!(tables.reciprocal.iter().all(|&w| w < 1 << 15));
}

#[test]
fn dequantized_accumulators_are_rounded_once() {
    let mut random = Random(3);
    for index in 0..300_000u64 {
        let r = random.next();
        let real = (1.0 + (r >> 12) as f64 / 2f64.powi(52)) * 2f64.powi((r % 60) as i32 - 45);
        let factor = Fp16Factor::from_real(real).unwrap();
        assert!(
            (factor.to_f64() / real - 1.0).abs() <= 2f64.powi(-17),
            "{real}"
        );
        let r = random.next();
        let acc = match index % 4 {
            0 => r as i32,
            1 => r as i16 as i32,
            _ => (r as i32) >> (r >> 32 & 31),
        };
        // 32 and 17 bits fit a float64's 53
        let wanted = nearest(f64::from(acc) * factor.to_f64());
        let found = factor.dequantize(acc.into());
        assert_eq!(found.to_bits(), wanted, "{acc} * {factor:?}: {found:?}");
    }
}

#[test]
fn quantized_numbers_are_rounded_once_half_to_even() {
    for (scale, zero_point) in [
        (1.0 / 128.0, 0),
        (0.007_93, -3),
        (3.1e-5, 127),
        (900.0, -128),
        (1e-13, 5),
        (4e13, 1),
    ] {
        let quantizer = Fp16Quantizer::new(scale, zero_point).unwrap();
        for (x, h) in all() {
            let q = quantizer.quantize(x);
            if h.is_nan() {
                assert_eq!(i32::from(q), zero_point);
                continue;
            }
            // 11 and 17 bits fit a float64
            let real = (h.to_f64() * quantizer.factor.to_f64()).round_ties_even();
            let wanted = (real + f64::from(zero_point)).clamp(-128.0, 127.0);
            assert_eq!(f64::from(q), wanted, "{x:?} / {scale}");
        }
    }
    assert!(Fp16Quantizer::new(0.0, 0).is_err());
    assert!(Fp16Quantizer::new(f32::NAN, 0).is_err());
    assert!(Fp16Quantizer::new(f32::MIN_POSITIVE, 0).is_err());
    assert!(Fp16Quantizer::new(1.0, 128).is_err());
}
