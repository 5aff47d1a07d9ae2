//! TFLite's int8 ADD.

use crate::error::{NumericError, Result};
use crate::fixed::{multiply_double_rounding, quantize_multiplier};
use crate::format::{AffineParams, Clamp};

/// TFLite's int8 addition (`reference_integer_ops::Add`, double rounding).
///
/// Each input, less its zero point, is shifted left by `left_shift` and scaled to twice the larger
/// input scale; the sum is scaled to the output. Every product is a gemmlowp double-rounding one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddRule {
    /// Minus the zero point of input 1.
    pub input1_offset: i32,
    /// Multiplier of input 1, in `2^30..2^31`.
    pub input1_multiplier: i32,
    /// Shift of input 1, in -31..=0.
    pub input1_shift: i32,
    /// Minus the zero point of input 2.
    pub input2_offset: i32,
    /// Multiplier of input 2, in `2^30..2^31`.
    pub input2_multiplier: i32,
    /// Shift of input 2, in -31..=0.
    pub input2_shift: i32,
    /// Zero point of the output.
    pub output_offset: i32,
    /// Multiplier of the sum, in `2^30..2^31`.
    pub output_multiplier: i32,
    /// Shift of the sum, in -31..=0.
    pub output_shift: i32,
    /// Fraction bits given to the inputs before scaling; 20 for int8.
    pub left_shift: u32,
    /// Output bounds, the activation included.
    pub clamp: Clamp,
    /// The lower bound is an activation function's, so reaching it is no saturation.
    pub lower_is_activation: bool,
}

/// TFLite's headroom for int8 inputs: nine bits of `q - zero_point` leave 22 of 31.
const LEFT_SHIFT: u32 = 20;

impl AddRule {
    /// The rule that TFLite derives from the scales of the three tensors.
    ///
    /// # Errors
    /// A multiplier is not below one, as TFLite demands too: the output scale is more than 2^19
    /// times smaller than an input scale.
    pub fn tflite(
        a: AffineParams,
        b: AffineParams,
        out: AffineParams,
        clamp: Clamp,
        lower_is_activation: bool,
    ) -> Result<Self> {
        // TFLite doubles the larger scale in float32 (exact) and divides in float64.
        let twice_max = f64::from(2.0 * a.scale.max(b.scale));
        let (input1_multiplier, input1_shift) = smaller_than_one(f64::from(a.scale) / twice_max)?;
        let (input2_multiplier, input2_shift) = smaller_than_one(f64::from(b.scale) / twice_max)?;
        let unit = f64::from(1u32 << LEFT_SHIFT) * f64::from(out.scale);
        let (output_multiplier, output_shift) = smaller_than_one(twice_max / unit)?;
        Ok(Self {
            input1_offset: -a.zero_point,
            input1_multiplier,
            input1_shift,
            input2_offset: -b.zero_point,
            input2_multiplier,
            input2_shift,
            output_offset: out.zero_point,
            output_multiplier,
            output_shift,
            left_shift: LEFT_SHIFT,
            clamp,
            lower_is_activation,
        })
    }

    /// The sum before clamping, output zero point added.
    pub fn unclamped(&self, a: i8, b: i8) -> i32 {
        let scaled = |q: i8, offset: i32, multiplier: i32, shift: i32| {
            let shifted = i64::from(i32::from(q) + offset) << self.left_shift;
            multiply_double_rounding(shifted, multiplier, shift)
        };
        let sum = scaled(
            a,
            self.input1_offset,
            self.input1_multiplier,
            self.input1_shift,
        ) + scaled(
            b,
            self.input2_offset,
            self.input2_multiplier,
            self.input2_shift,
        );
        let y = multiply_double_rounding(sum, self.output_multiplier, self.output_shift);
        (y + i64::from(self.output_offset)) as i32
    }

    /// The clamped sum.
    pub fn apply(&self, a: i8, b: i8) -> i8 {
        self.clamp.apply(i64::from(self.unclamped(a, b))) as i8
    }
}

fn smaller_than_one(real: f64) -> Result<(i32, i32)> {
    let (multiplier, shift) = quantize_multiplier(real)?;
    if shift > 0 {
        return Err(NumericError::MultiplierRange {
            found: real,
            semantics: "tflite ADD",
            wanted: "below one",
        });
    }
    Ok((multiplier, shift))
}
