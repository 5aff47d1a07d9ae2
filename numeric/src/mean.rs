//! TFLite's int8 MEAN.

use crate::error::{NumericError, Result};
use crate::fixed::quantize_multiplier;
use crate::format::{AffineParams, Clamp, Semantics};
use crate::requant::{RequantRule, Requantizer};

/// The requantizer of `sum(q - zx)` over `count` values (`QuantizedMeanOrSum`): the multiplier for
/// the quotient of the scales, divided by the count in integers. It can lie below 2^30.
///
/// # Errors
/// No elements, scales without a multiplier, or a semantics that is not one of TFLite's.
pub fn mean_requantizer(
    semantics: Semantics,
    x: AffineParams,
    y: AffineParams,
    count: u32,
) -> Result<Requantizer> {
    let real = f64::from(x.scale) / f64::from(y.scale);
    let (multiplier, shift) = quantize_multiplier(real)?;
    if count == 0 || shift > 30 {
        return Err(NumericError::MultiplierRange {
            found: real,
            semantics: "tflite MEAN",
            wanted: "below 2^30, over at least one element",
        });
    }
    let more = (count.ilog2() as i32).min(31 + shift);
    let multiplier = ((i64::from(multiplier) << more) / i64::from(count)) as i32;
    let shift = shift - more;
    let rule = match semantics {
        Semantics::TfliteDouble => RequantRule::TfliteDouble { multiplier, shift },
        Semantics::TfliteSingle => RequantRule::TfliteSingle { multiplier, shift },
        _ => {
            return Err(NumericError::MultiplierRange {
                found: real,
                semantics: semantics.name(),
                wanted: "one of TFLite's semantics",
            });
        }
    };
    Ok(Requantizer {
        rule,
        zero_point: y.zero_point,
        clamp: Clamp::INT8,
    })
}
