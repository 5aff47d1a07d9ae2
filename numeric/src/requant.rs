//! The requantizers: an accumulator becomes an int8 value, or an int16 one.

use crate::error::{NumericError, Result};
use crate::fixed::{
    WIDE_BITS, multiply_double_rounding, multiply_single_rounding, multiply_wide,
    quantize_multiplier,
};
use crate::format::{Clamp, Semantics};
use crate::interval::Interval;
use crate::thresholds::Thresholds;

/// How the accumulator is scaled and rounded.
#[derive(Clone, Debug, PartialEq)]
pub enum RequantRule {
    /// gemmlowp double rounding: `acc * multiplier * 2^(shift - 31)`, the high product rounded
    /// half up, then the right shift rounded half away from zero.
    TfliteDouble {
        /// In `2^30..2^31`, or 0.
        multiplier: i32,
        /// In -31..=30; positive shifts left, before the product.
        shift: i32,
    },
    /// The same product, rounded half up once.
    TfliteSingle {
        /// In `2^30..2^31`, or 0.
        multiplier: i32,
        /// In -31..=30.
        shift: i32,
    },
    /// Layers with int16 operands or results: the product with 15 bits of the multiplier, rounded half
    /// up once ([`multiply_wide`]). Accumulators have up to 48 bits.
    Wide {
        /// In `2^30..2^31`, or 0.
        multiplier: i32,
        /// In -31..=7.
        shift: i32,
    },
    /// onnxruntime on x86-64 (`MlasRequantizeOutput`): `f32(acc) * scale` in binary32, rounded
    /// half to even. onnxruntime clamps before it rounds; as its bounds are integers and
    /// rounding is monotone and keeps integers, clamping after it is the same.
    OrtX86 {
        /// `x_scale * w_scale / y_scale`, evaluated in float32 from left to right.
        scale: f32,
    },
    /// `acc / 2^shift`, rounded half up: `(acc + 2^(shift-1)) >> shift`.
    Pow2 {
        /// In 0..=31.
        shift: u32,
    },
    /// `(acc * multiplier + constant + 2^(shift-1)) >> shift`: a scale and a shift with a phase that is not
    /// a whole accumulator.
    MultiplyAdd {
        /// At least 0.
        multiplier: i32,
        /// In 1..=62.
        shift: u8,
        /// Below 2^31.
        constant: u32,
    },
    /// Any non-decreasing function with few values, given by its steps.
    Staircase(Thresholds),
}

impl RequantRule {
    /// Bits of the accumulators that the rule is defined on.
    pub fn accumulator_bits(&self) -> u32 {
        match self {
            RequantRule::Wide { .. } => WIDE_BITS,
            _ => 32,
        }
    }

    /// The scaled and rounded value, without zero point and clamp. `acc` has
    /// [`Self::accumulator_bits`].
    pub fn apply(&self, acc: i64) -> i64 {
        debug_assert!(
            Interval::point(acc).bits_signed() <= self.accumulator_bits(),
            "accumulator {acc} is too wide"
        );
        match self {
            &RequantRule::TfliteDouble { multiplier, shift } => {
                multiply_double_rounding(acc, multiplier, shift)
            }
            &RequantRule::TfliteSingle { multiplier, shift } => {
                multiply_single_rounding(acc, multiplier, shift)
            }
            &RequantRule::Wide { multiplier, shift } => multiply_wide(acc, multiplier, shift),
            &RequantRule::OrtX86 { scale } => ort_x86(acc as i32, scale) as i64,
            &RequantRule::Pow2 { shift } => {
                let half = (1i64 << shift) >> 1;
                (acc + half) >> shift
            }
            &RequantRule::MultiplyAdd {
                multiplier,
                shift,
                constant,
            } => {
                let half = 1i64 << (shift - 1);
                (acc * i64::from(multiplier) + i64::from(constant) + half) >> shift
            }
            RequantRule::Staircase(steps) => steps.apply(acc),
        }
    }
}

/// Accumulator to int8 or int16: scale and round, add the zero point, clamp.
///
/// Every rule is monotone (non-decreasing) in the accumulator, which the proofs of
/// [`crate::staircase`] build on. Accumulators are int32 values, wider ones for
/// [`RequantRule::Wide`].
#[derive(Clone, Debug, PartialEq)]
pub struct Requantizer {
    /// Scale and rounding.
    pub rule: RequantRule,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Output bounds, the activation included.
    pub clamp: Clamp,
}

impl Requantizer {
    /// The requantizer of `semantics` for a real multiplier (`x_scale * w_scale / y_scale`).
    ///
    /// For [`Semantics::OrtX86`] the multiplier is narrowed to float32, so pass the float32
    /// expression's value itself.
    ///
    /// # Errors
    /// The multiplier is negative or not finite, or it leaves the semantics' range: below 2^30
    /// for the TFLite rules, a positive normal float32 for ONNX Runtime, a power of two in
    /// `2^-31..=1` for the power-of-two rule.
    pub fn from_real(
        semantics: Semantics,
        real_multiplier: f64,
        zero_point: i32,
        clamp: Clamp,
    ) -> Result<Self> {
        let rule = match semantics {
            Semantics::TfliteDouble | Semantics::TfliteSingle => {
                let (multiplier, shift) = quantize_multiplier(real_multiplier)?;
                if shift > 30 {
                    return Err(out_of_range(real_multiplier, semantics, "below 2^30"));
                }
                match semantics {
                    Semantics::TfliteDouble => RequantRule::TfliteDouble { multiplier, shift },
                    _ => RequantRule::TfliteSingle { multiplier, shift },
                }
            }
            Semantics::OrtX86 => {
                let scale = real_multiplier as f32;
                if !(scale.is_normal() && scale > 0.0) {
                    let wanted = "a positive normal float32";
                    return Err(out_of_range(real_multiplier, semantics, wanted));
                }
                RequantRule::OrtX86 { scale }
            }
            Semantics::Pow2 => {
                let shift = (0..=31).find(|&s| real_multiplier * f64::from(1u32 << s) == 1.0);
                let wanted = "a power of two in 2^-31..=1";
                RequantRule::Pow2 {
                    shift: shift.ok_or_else(|| out_of_range(real_multiplier, semantics, wanted))?,
                }
            }
        };
        Ok(Self {
            rule,
            zero_point,
            clamp,
        })
    }

    /// The requantizer of a layer with int16 operands or results for a real multiplier
    /// (`x_scale * w_scale / y_scale`), whatever the semantics of its graph.
    ///
    /// # Errors
    /// The multiplier is negative or not finite, or 128 and more.
    pub fn wide(real_multiplier: f64, zero_point: i32, clamp: Clamp) -> Result<Self> {
        let (multiplier, shift) = quantize_multiplier(real_multiplier)?;
        if shift > 7 {
            return Err(NumericError::MultiplierRange {
                found: real_multiplier,
                semantics: "int16",
                wanted: "below 128",
            });
        }
        Ok(Self {
            rule: RequantRule::Wide { multiplier, shift },
            zero_point,
            clamp,
        })
    }

    /// The value before clamping, zero point added. `acc` is one of the rule's accumulators.
    pub fn unclamped(&self, acc: i64) -> i64 {
        self.rule
            .apply(acc)
            .saturating_add(i64::from(self.zero_point))
    }

    /// The value of an accumulator.
    pub fn apply(&self, acc: i64) -> i32 {
        self.clamp.apply(self.unclamped(acc))
    }
}

/// `f32(acc) * scale` in binary32, rounded half to even: an integer-valued float32.
#[inline(always)]
pub(crate) fn ort_x86(acc: i32, scale: f32) -> f32 {
    (acc as f32 * scale).round_ties_even()
}

fn out_of_range(found: f64, semantics: Semantics, wanted: &'static str) -> NumericError {
    NumericError::MultiplierRange {
        found,
        semantics: semantics.name(),
        wanted,
    }
}
