//! Integers to FP16 and back, with a scale.

use super::Fp16;
use crate::error::{NumericError, Result};
use crate::format::Clamp;

/// A positive real factor: `multiplier * 2^exponent`.
///
/// 17 bits are as many as a DSP's narrower input has for a natural number, and six more than FP16
/// keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fp16Factor {
    /// In `2^16..2^17`.
    pub multiplier: u32,
    /// In -64..=63.
    pub exponent: i32,
}

impl Fp16Factor {
    /// Bits of the multiplier.
    pub const BITS: u32 = 17;

    /// The factor nearest to a real number, ties away from zero.
    ///
    /// # Errors
    /// The number is not positive and finite, or not within about `2^-48..2^80`.
    pub fn from_real(real: f64) -> Result<Self> {
        if !(real.is_normal() && real > 0.0) {
            return Err(NumericError::BadMultiplier { found: real });
        }
        let floor = (real.to_bits() >> 52) as i32 - 1023;
        let mut exponent = floor - 16;
        let mut multiplier = (real * 2f64.powi(-exponent)).round() as u32;
        if multiplier >> Self::BITS == 1 {
            multiplier /= 2;
            exponent += 1;
        }
        if !(-64..=63).contains(&exponent) {
            return Err(NumericError::MultiplierRange {
                found: real,
                semantics: "FP16",
                wanted: "2^-48 to 2^79",
            });
        }
        Ok(Self {
            multiplier,
            exponent,
        })
    }

    /// Whether both fields are in range.
    pub fn is_valid(&self) -> bool {
        self.multiplier >> (Self::BITS - 1) == 1 && (-64..=63).contains(&self.exponent)
    }

    /// The factor's value.
    pub fn to_f64(self) -> f64 {
        f64::from(self.multiplier) * 2f64.powi(self.exponent)
    }

    /// An int32 (`acc`) times the factor, rounded once; beyond the largest FP16 it is an infinity.
    pub fn dequantize(self, acc: i64) -> Fp16 {
        let magnitude = u128::from(acc.unsigned_abs()) * u128::from(self.multiplier);
        Fp16::round(acc < 0, magnitude, self.exponent)
    }
}

/// FP16 to int8: `q = clamp(round(x * factor) + zero_point)`, ties to even.
///
/// The product is exact, so there is one rounding. Infinities saturate; NaN becomes the zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fp16Quantizer {
    /// Reciprocal of the scale.
    pub factor: Fp16Factor,
    /// In -128..=127.
    pub zero_point: i32,
}

impl Fp16Quantizer {
    /// What `round(x * factor)` is limited to, far outside of int8.
    const FAR: u128 = 512;

    /// The quantizer to a scale.
    ///
    /// # Errors
    /// The scale is not positive and normal or far out of range; the zero point is no int8.
    pub fn new(scale: f32, zero_point: i32) -> Result<Self> {
        Self::of_factor(Fp16Factor::from_real(1.0 / f64::from(scale))?, zero_point)
    }

    /// The quantizer with a reciprocal scale.
    ///
    /// # Errors
    /// The zero point is no int8.
    pub fn of_factor(factor: Fp16Factor, zero_point: i32) -> Result<Self> {
        if i8::try_from(zero_point).is_err() {
            return Err(NumericError::BadZeroPoint { found: zero_point });
        }
        Ok(Self { factor, zero_point })
    }

    /// The integer before clamping; its magnitude stays below 1024.
    pub fn unclamped(self, x: Fp16) -> i64 {
        if x.is_nan() {
            return self.zero_point.into();
        }
        let rounded = match x.is_infinite() {
            true => Self::FAR,
            false => {
                let (significand, exponent) = x.parts();
                let product = u128::from(significand) * u128::from(self.factor.multiplier);
                round_to_integer(product, exponent + self.factor.exponent).min(Self::FAR)
            }
        } as i64;
        let signed = if x.is_negative() { -rounded } else { rounded };
        signed + i64::from(self.zero_point)
    }

    /// The int8.
    pub fn quantize(self, x: Fp16) -> i8 {
        Clamp::INT8.apply(self.unclamped(x)) as i8
    }
}

impl Fp16 {
    /// A number from zero to one in units of `2^-places` (at most 16), rounded to nearest, ties to even.
    pub fn in_units(self, places: u32) -> u32 {
        debug_assert!(self.0 <= Fp16::ONE.0, "{self:?} is not from zero to one");
        let (significand, exponent) = self.parts();
        round_to_integer(significand.into(), exponent + places as i32) as u32
    }
}

/// `magnitude * 2^exponent`, ties to even; `magnitude` is below 2^28.
fn round_to_integer(magnitude: u128, exponent: i32) -> u128 {
    match exponent {
        0.. => magnitude << exponent.min(90),
        ..=-30 => 0,
        _ => {
            let places = -exponent as u32;
            let (kept, rest) = (magnitude >> places, magnitude & ((1 << places) - 1));
            let half = 1 << (places - 1);
            kept + u128::from(rest > half || rest == half && kept & 1 == 1)
        }
    }
}
