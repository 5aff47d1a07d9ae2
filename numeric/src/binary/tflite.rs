//! TFLite's int8 ADD, SUB and MUL.

use crate::error::{NumericError, Result};
use crate::fixed::{multiply_double_rounding, quantize_multiplier};
use crate::format::AffineParams;

/// TFLite's int8 addition (`reference_integer_ops::Add`, double rounding).
///
/// Each input, less its zero point, is shifted left by `left_shift` and scaled to twice the larger
/// input scale; the sum is scaled to the output. Every product is a gemmlowp double-rounding one.
/// SUB is the same with the second input's multiplier negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TfliteAdd {
    /// Minus the zero point of input 1.
    pub input1_offset: i32,
    /// Multiplier of input 1, in `2^30..2^31`.
    pub input1_multiplier: i32,
    /// Shift of input 1, in -31..=0.
    pub input1_shift: i32,
    /// Minus the zero point of input 2.
    pub input2_offset: i32,
    /// Multiplier of input 2, in `2^30..2^31`; negative for SUB.
    pub input2_multiplier: i32,
    /// Shift of input 2, in -31..=0.
    pub input2_shift: i32,
    /// Multiplier of the sum, in `2^30..2^31`.
    pub output_multiplier: i32,
    /// Shift of the sum, in -31..=0.
    pub output_shift: i32,
    /// Fraction bits given to the inputs before scaling; 20 for int8.
    pub left_shift: u32,
}

/// TFLite's headroom for int8 inputs: nine bits of `q - zero_point` leave 22 of 31.
const LEFT_SHIFT: u32 = 20;

impl TfliteAdd {
    /// The constants that TFLite derives from the scales of the three tensors.
    ///
    /// # Errors
    /// A multiplier is not below one, as TFLite demands too: the output scale is more than 2^19
    /// times smaller than an input scale.
    pub fn new(a: AffineParams, b: AffineParams, out: AffineParams) -> Result<Self> {
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
            output_multiplier,
            output_shift,
            left_shift: LEFT_SHIFT,
        })
    }

    /// The difference in place of the sum: TFLite negates the multiplier and then adds.
    #[must_use]
    pub fn negated_second(self) -> Self {
        Self {
            input2_multiplier: -self.input2_multiplier,
            ..self
        }
    }

    /// The sum, without the output's zero point.
    pub(super) fn apply(&self, a: i8, b: i8) -> i64 {
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
        multiply_double_rounding(sum, self.output_multiplier, self.output_shift)
    }

    pub(super) fn factors(&self) -> (f64, f64) {
        let output = real_multiplier(self.output_multiplier, self.output_shift)
            * f64::from(1 << self.left_shift);
        let of = |multiplier, shift| output * real_multiplier(multiplier, shift);
        (
            of(self.input1_multiplier, self.input1_shift),
            of(self.input2_multiplier, self.input2_shift),
        )
    }
}

/// TFLite's int8 multiplication (`reference_integer_ops::Mul`): the product of both inputs less
/// their zero points, scaled with double rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TfliteMul {
    /// Minus the zero point of input 1.
    pub input1_offset: i32,
    /// Minus the zero point of input 2.
    pub input2_offset: i32,
    /// Multiplier of the product, in `2^30..2^31`, or 0.
    pub multiplier: i32,
    /// Shift of the product, in -31..=15.
    pub shift: i32,
}

impl TfliteMul {
    /// The constants that TFLite derives from the scales: `a * b / out` in float32, left to right
    /// (TFLite-Micro computes the quotient in float64, which can differ in the last place).
    ///
    /// # Errors
    /// The multiplier is 2^15 or more, where TFLite's int32 product would overflow.
    pub fn new(a: AffineParams, b: AffineParams, out: AffineParams) -> Result<Self> {
        let real = f64::from(a.scale * b.scale / out.scale);
        let (multiplier, shift) = quantize_multiplier(real)?;
        if shift > 15 {
            return Err(NumericError::MultiplierRange {
                found: real,
                semantics: "tflite MUL",
                wanted: "below 2^15",
            });
        }
        Ok(Self {
            input1_offset: -a.zero_point,
            input2_offset: -b.zero_point,
            multiplier,
            shift,
        })
    }

    pub(super) fn apply(&self, a: i8, b: i8) -> i64 {
        let product = (i64::from(a) + i64::from(self.input1_offset))
            * (i64::from(b) + i64::from(self.input2_offset));
        multiply_double_rounding(product, self.multiplier, self.shift)
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

fn real_multiplier(multiplier: i32, shift: i32) -> f64 {
    f64::from(multiplier) * f64::from(shift - 31).exp2()
}
