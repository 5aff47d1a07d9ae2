//! Formats: affine parameters, clamps, and the named semantics.

use std::fmt;
use std::str::FromStr;

use crate::error::{NumericError, Result};
use crate::interval::Interval;

/// Which runtime's rounding rules a model follows, to the last integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Semantics {
    /// gemmlowp's double rounding: tflite-runtime's reference kernels, TFLite-Micro.
    TfliteDouble,
    /// One rounding after the full product, as TFLite built with single rounding.
    TfliteSingle,
    /// onnxruntime on x86-64: float32 product, round half to even.
    OrtX86,
    /// Scales that are powers of two: an arithmetic shift that rounds half up.
    Pow2,
}

impl Semantics {
    /// All of them, in the order of the documentation.
    pub const ALL: [Semantics; 4] = [
        Semantics::TfliteDouble,
        Semantics::TfliteSingle,
        Semantics::OrtX86,
        Semantics::Pow2,
    ];

    /// The name used in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Semantics::TfliteDouble => "tflite-double",
            Semantics::TfliteSingle => "tflite-single",
            Semantics::OrtX86 => "ort-x86",
            Semantics::Pow2 => "pow2",
        }
    }
}

impl fmt::Display for Semantics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Semantics {
    type Err = NumericError;

    fn from_str(text: &str) -> Result<Self> {
        Semantics::ALL
            .into_iter()
            .find(|s| s.name() == text)
            .ok_or_else(|| NumericError::UnknownSemantics {
                found: text.to_owned(),
            })
    }
}

/// Affine parameters of an int8 or int16 tensor: `real = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AffineParams {
    /// Real value of one step; a positive normal float32.
    pub scale: f32,
    /// The integer that stands for zero, in -128..=127.
    pub zero_point: i32,
}

impl AffineParams {
    /// Checked constructor.
    ///
    /// # Errors
    /// The scale is not a positive normal float32, or the zero point is not an int8.
    pub fn new(scale: f32, zero_point: i32) -> Result<Self> {
        if !(scale.is_normal() && scale > 0.0) {
            return Err(NumericError::BadScale {
                found: f64::from(scale),
            });
        }
        if i8::try_from(zero_point).is_err() {
            return Err(NumericError::BadZeroPoint { found: zero_point });
        }
        Ok(Self { scale, zero_point })
    }

    /// float32 to int8, as TFLite's QUANTIZE (`reference_ops::AffineQuantize`).
    ///
    /// The exact operations, in order:
    /// 1. `t = value / scale`, one IEEE 754 binary32 division, round to nearest even;
    /// 2. `n = round(t)`, half away from zero (exact);
    /// 3. `n + zero_point`, saturated to -128..=127.
    ///
    /// TFLite leaves NaN and quotients outside int32 undefined. Here infinities and large
    /// quotients saturate by their sign, and NaN becomes the zero point (the real value zero).
    pub fn quantize(self, value: f32) -> i8 {
        Clamp::INT8.apply(self.quantize_unclamped(value)) as i8
    }

    /// [`Self::quantize`] before step 3 saturates; the rounded quotient is saturated to int32.
    pub fn quantize_unclamped(self, value: f32) -> i64 {
        // `as` saturates and maps NaN to 0, which is exactly the documented choice.
        let n = (value / self.scale).round() as i32;
        i64::from(n) + i64::from(self.zero_point)
    }

    /// float32 to int8, as onnxruntime's QuantizeLinear: as [`Self::quantize`], but halves go to the
    /// even neighbour.
    pub fn quantize_even(self, value: f32) -> i8 {
        Clamp::INT8.apply(self.quantize_as(Semantics::OrtX86, value)) as i8
    }

    /// float32 to int8 under the rules of a runtime, before the result is saturated: halves go to
    /// the even neighbour for [`Semantics::OrtX86`], away from zero for the others.
    pub fn quantize_as(self, semantics: Semantics, value: f32) -> i64 {
        match semantics {
            Semantics::OrtX86 => {
                let n = (value / self.scale).round_ties_even() as i32;
                i64::from(n) + i64::from(self.zero_point)
            }
            Semantics::TfliteDouble | Semantics::TfliteSingle | Semantics::Pow2 => {
                self.quantize_unclamped(value)
            }
        }
    }

    /// float32 to int16 under the rules of a runtime; see [`Self::quantize_as`].
    pub fn quantize_wide(self, semantics: Semantics, value: f32) -> i16 {
        Clamp::INT16.apply(self.quantize_as(semantics, value)) as i16
    }

    /// int16 to float32: one IEEE 754 binary32 product of the scale and an integer of at most 17 bits.
    pub fn dequantize_wide(self, q: i16) -> f32 {
        self.scale * (i32::from(q) - self.zero_point) as f32
    }

    /// int8 to float32, as TFLite's DEQUANTIZE: `scale * (q - zero_point)`, one IEEE 754 binary32
    /// product of the scale and an integer of at most nine bits, round to nearest even.
    ///
    /// TFLite multiplies in binary64 and narrows; that product is exact in binary64, so the two
    /// agree in every bit.
    pub fn dequantize(self, q: i8) -> f32 {
        self.scale * (i32::from(q) - self.zero_point) as f32
    }
}

/// Inclusive bounds of an int8 or int16 output, the activation function included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Clamp {
    /// Smallest value that passes.
    pub lo: i32,
    /// Largest value that passes.
    pub hi: i32,
}

impl Clamp {
    /// The whole of int8.
    pub const INT8: Clamp = Clamp { lo: -128, hi: 127 };

    /// The whole of int16.
    pub const INT16: Clamp = Clamp {
        lo: i16::MIN as i32,
        hi: i16::MAX as i32,
    };

    /// Checked constructor.
    ///
    /// # Errors
    /// `lo > hi`, or a bound is not an int8.
    pub fn new(lo: i32, hi: i32) -> Result<Self> {
        let clamp = Self { lo, hi };
        clamp.check(Clamp::INT8)?;
        Ok(clamp)
    }

    /// Whether these are bounds of a type with the limits `limits`.
    ///
    /// # Errors
    /// `lo > hi`, or a bound is beyond the limits.
    pub fn check(self, limits: Clamp) -> Result<()> {
        let Self { lo, hi } = self;
        if lo > hi || lo < limits.lo || hi > limits.hi {
            return Err(NumericError::BadClamp { lo, hi, limits });
        }
        Ok(())
    }

    /// The nearest value inside the bounds.
    pub fn apply(self, value: i64) -> i32 {
        value.clamp(i64::from(self.lo), i64::from(self.hi)) as i32
    }

    /// The bounds as an interval.
    pub fn interval(self) -> Interval {
        Interval {
            lo: i64::from(self.lo),
            hi: i64::from(self.hi),
        }
    }

    /// Whether `value` (before clamping) counts as a saturation: it leaves int8 itself, at a bound
    /// that is the limit of the type and not the work of an activation function.
    ///
    /// With `lower_is_activation` the lower bound belongs to the activation (ReLU), so only
    /// values above 127 count. An upper clamp below 127 (ReLU6) is an activation bound as well.
    pub fn saturates(self, value: i64, lower_is_activation: bool) -> bool {
        self.saturates_in(Clamp::INT8, value, lower_is_activation)
    }

    /// The same for bounds of a type with the limits `limits`.
    pub fn saturates_in(self, limits: Clamp, value: i64, lower_is_activation: bool) -> bool {
        let below = !lower_is_activation && self.lo == limits.lo && value < i64::from(limits.lo);
        let above = self.hi == limits.hi && value > i64::from(limits.hi);
        below || above
    }
}
