//! Independent statements: exact rationals in 128-bit integers, rounded by definition; and random cases.
//!
//! Nothing here calls the crate under test.
#![allow(dead_code)] // Each test binary uses its own part.

/// What happens exactly half way between two integers.
#[derive(Clone, Copy, Debug)]
pub enum Tie {
    Up,
    Away,
    Even,
}

/// The integer nearest to `numerator / denominator`; `denominator` is positive.
pub fn nearest(numerator: i128, denominator: i128, tie: Tie) -> i128 {
    let below = numerator.div_euclid(denominator);
    let twice_rest = 2 * numerator.rem_euclid(denominator);
    match twice_rest.cmp(&denominator) {
        std::cmp::Ordering::Less => below,
        std::cmp::Ordering::Greater => below + 1,
        std::cmp::Ordering::Equal => match tie {
            Tie::Up => below + 1,
            Tie::Away if numerator < 0 => below,
            Tie::Away => below + 1,
            Tie::Even => below + below.rem_euclid(2),
        },
    }
}

/// `2^n`.
pub fn pow2(n: i32) -> i128 {
    1i128 << n
}

/// Rounds an integer to 24 significant bits, half to even, as float32 does.
pub fn round_to_24_bits(value: i128) -> i128 {
    let bits = 128 - value.unsigned_abs().leading_zeros() as i32;
    let unit = pow2((bits - 24).max(0));
    nearest(value, unit, Tie::Even) * unit
}

/// `scale = mantissa * 2^exponent`, both integers, by repeated doubling.
pub fn split_float(scale: f32) -> (i128, i32) {
    let (mut value, mut exponent) = (f64::from(scale), 0);
    while value.fract() != 0.0 {
        value *= 2.0;
        exponent -= 1;
    }
    (value as i128, exponent)
}

/// TFLite's double-rounding product, as two exact roundings.
pub fn tflite_double(acc: i128, multiplier: i32, shift: i32) -> i128 {
    let product = acc * pow2(shift.max(0)) * i128::from(multiplier);
    let high = nearest(product, pow2(31), Tie::Up);
    nearest(high, pow2((-shift).max(0)), Tie::Away)
}

/// onnxruntime's product: two float32 roundings and one to even, as exact integers.
pub fn ort_x86(acc: i128, scale: f32) -> i128 {
    let (mantissa, exponent) = split_float(scale);
    let product = round_to_24_bits(round_to_24_bits(acc) * mantissa);
    if exponent >= 0 {
        product * pow2(exponent)
    } else {
        nearest(product, pow2(-exponent), Tie::Even)
    }
}

/// A reproducible sequence (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer of a range.
    pub fn within(&mut self, range: std::ops::RangeInclusive<i64>) -> i64 {
        let count = (range.end() - range.start() + 1) as u64;
        range.start() + (self.next() % count) as i64
    }
}
