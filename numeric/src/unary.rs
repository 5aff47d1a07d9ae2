//! TFLite's functions of one int8 value, as tables. Parameters of uint8 tensors are given less 128,
//! which changes no result.

use crate::error::{NumericError, Result};
use crate::fixed::{
    multiply_double_rounding, multiply_single_rounding, quantize_multiplier, rounding_divide_by_pot,
};
use crate::format::{AffineParams, Clamp, Semantics};
use crate::table::table;

/// 256 entries; the index of `q` is `q as u8`.
pub type Table = Box<[i8; 256]>;

/// A lookup table of a float32 function (`LUTPopulate`, LOGISTIC and TANH of tflite-runtime;
/// TFLite-Micro evaluates these two in fixed point, which can differ in the last place).
///
/// In float32, each step rounded to nearest even: `t = f(sx * (q - zx))`, `round(t * (1 / sy))`
/// half away from zero, plus the zero point, saturated.
pub fn lookup_table(x: AffineParams, y: AffineParams, f: impl Fn(f32) -> f32) -> Table {
    let inverse = 1.0 / y.scale;
    table(|q| {
        let steps = (f(x.dequantize(q)) * inverse).round();
        clamp((steps + y.zero_point as f32) as i64)
    })
}

/// LOGISTIC. The output's scale is 1/256 and its zero point -128.
pub fn logistic(x: AffineParams, y: AffineParams) -> Table {
    lookup_table(x, y, |v| 1.0 / (1.0 + (f64::from(-v).exp() as f32)))
}

/// TANH. The output's scale is 1/128 and its zero point 0.
pub fn tanh(x: AffineParams, y: AffineParams) -> Table {
    lookup_table(x, y, |v| f64::from(v).tanh() as f32)
}

/// LEAKY_RELU: one multiplier for each sign, float32 products of scales and slope.
///
/// # Errors
/// A multiplier is out of the encoding's range, or the semantics is not one of TFLite's.
pub fn leaky_relu(
    semantics: Semantics,
    x: AffineParams,
    alpha: f32,
    y: AffineParams,
) -> Result<Table> {
    let positive = Factor::new(semantics, f64::from(x.scale / y.scale))?;
    let negative = Factor::new(semantics, f64::from(x.scale * alpha / y.scale))?;
    Ok(table(|q| {
        let value = i64::from(q) - i64::from(x.zero_point);
        let factor = if value >= 0 { positive } else { negative };
        clamp(factor.apply(value) + i64::from(y.zero_point))
    }))
}

/// PRELU for one quantized slope `alpha` (its zero point still inside).
///
/// # Errors
/// As [`leaky_relu`].
pub fn prelu(
    semantics: Semantics,
    x: AffineParams,
    slope: AffineParams,
    alpha: i8,
    y: AffineParams,
) -> Result<Table> {
    let positive = Factor::new(semantics, f64::from(x.scale / y.scale))?;
    let negative = Factor::new(semantics, f64::from(x.scale * slope.scale / y.scale))?;
    let alpha = i64::from(alpha) - i64::from(slope.zero_point);
    Ok(table(|q| {
        let value = i64::from(q) - i64::from(x.zero_point);
        let scaled = if value >= 0 {
            positive.apply(value)
        } else {
            negative.apply(value * alpha)
        };
        clamp(scaled + i64::from(y.zero_point))
    }))
}

/// What CONCATENATION does to a uint8 input whose parameters are not the output's: in float32,
/// `round(q * scale + bias)` with `scale = sx * (1 / sy)` and `bias = -zx * scale`, half away from
/// zero. `q` and the zero points are the model's own, 128 more than here.
pub fn concatenated(x: AffineParams, y: AffineParams) -> Table {
    let own = |q: i32| (q + 128) as f32;
    let scale = x.scale * (1.0 / y.scale);
    let bias = -own(x.zero_point) * scale;
    table(|q| {
        let steps = (own(q.into()) * scale + bias).round();
        clamp((steps as i64).saturating_add(y.zero_point.into()))
    })
}

/// HARD_SWISH, 16-bit fixed point throughout (`reference_ops::HardSwish`).
///
/// # Errors
/// The input's scale is more than 128 times the output's, as in TFLite.
pub fn hard_swish(x: AffineParams, y: AffineParams) -> Result<Table> {
    let fine_scale = (1.0f32 / 128.0) * x.scale;
    let (output, output_exponent) = narrow(f64::from(fine_scale / y.scale))?;
    let (reluish, reluish_exponent) = narrow(f64::from(fine_scale / (3.0f32 / 32768.0)))?;
    if output_exponent > 0 {
        return Err(NumericError::MultiplierRange {
            found: f64::from(fine_scale / y.scale),
            semantics: "tflite HARD_SWISH",
            wanted: "at most one",
        });
    }
    Ok(table(|q| {
        let fine = (i32::from(q) - x.zero_point) << 7;
        let value = high_mul(fine, output);
        // x / 6 + 1/2 in 16 bits, saturated to 0..1
        let mut relu = fine;
        if reluish_exponent > 0 {
            relu = int16(i64::from(relu) << (reluish_exponent - 1).min(31));
        }
        relu = high_mul(relu, reluish);
        if reluish_exponent > 0 {
            relu = int16(i64::from(relu) << 1);
        }
        if reluish_exponent < 0 {
            relu = rounding_divide_by_pot(relu.into(), (-reluish_exponent) as u32) as i32;
        }
        let relu = (relu + (1 << 15)) >> 1;
        let product = relu * value / (1 << 15);
        let scaled = rounding_divide_by_pot(product.into(), (-output_exponent) as u32);
        clamp(scaled + i64::from(y.zero_point))
    }))
}

/// A real factor as TFLite encodes it; the sign is the multiplier's.
#[derive(Clone, Copy)]
struct Factor {
    multiplier: i32,
    shift: i32,
    single: bool,
}

impl Factor {
    fn new(semantics: Semantics, real: f64) -> Result<Self> {
        let single = match semantics {
            Semantics::TfliteDouble => false,
            Semantics::TfliteSingle => true,
            _ => {
                return Err(NumericError::MultiplierRange {
                    found: real,
                    semantics: semantics.name(),
                    wanted: "one of TFLite's semantics",
                });
            }
        };
        let (multiplier, shift) = quantize_multiplier(real.abs())?;
        // inputs have nine bits, products with a slope 18: TFLite shifts them left in 32 bits
        if shift > 13 {
            return Err(NumericError::MultiplierRange {
                found: real,
                semantics: semantics.name(),
                wanted: "below 2^13",
            });
        }
        let multiplier = if real < 0.0 { -multiplier } else { multiplier };
        Ok(Self {
            multiplier,
            shift,
            single,
        })
    }

    fn apply(self, value: i64) -> i64 {
        if self.single {
            multiply_single_rounding(value, self.multiplier, self.shift)
        } else {
            multiply_double_rounding(value, self.multiplier, self.shift)
        }
    }
}

/// A real multiplier with 16 bits of mantissa (`DownScaleInt32ToInt16Multiplier`).
fn narrow(real: f64) -> Result<(i32, i32)> {
    let (multiplier, exponent) = quantize_multiplier(real)?;
    let rounded = (i64::from(multiplier) + (1 << 15)) >> 16;
    Ok((int16(rounded), exponent))
}

/// gemmlowp `SaturatingRoundingDoublingHighMul` on int16; the constant is positive.
fn high_mul(a: i32, b: i32) -> i32 {
    let product = a * b;
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    (product + nudge) / (1 << 15)
}

fn int16(value: i64) -> i32 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i32
}

fn clamp(value: i64) -> i8 {
    Clamp::INT8.apply(value) as i8
}
