//! Average pooling.

use crate::error::{NumericError, Result};
use crate::format::{AffineParams, Clamp, Semantics};
use crate::interval::Interval;
use crate::lane::LaneConstants;
use crate::requant::Requantizer;
use crate::staircase::prove_equal_functions;

/// Mean of int8 values, then clamped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AveragePoolRule {
    /// How the sum is divided and rounded.
    pub mean: Mean,
    /// Output bounds, the activation included.
    pub clamp: Clamp,
}

/// How the sum of a window becomes its mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mean {
    /// TFLite's int8 AVERAGE_POOL_2D: the mean of the raw values, rounded half away from zero.
    /// Input and output share their affine parameters, so zero points cancel.
    Tflite,
    /// The same on uint8, held less 128: half up, as those values are not negative.
    TfliteUnsigned,
    /// onnxruntime's QLinearGlobalAveragePool on x86-64.
    OrtX86(OrtMean),
}

/// The mean with a change of scale: the sum, less its zero points, is requantized with the float32
/// scale `x / (y * n)`, `n` the number of values (`MlasQLinearGlobalAveragePoolNchw`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrtMean {
    /// Parameters of the input.
    pub input: AffineParams,
    /// Parameters of the output.
    pub output: AffineParams,
    /// What to divide by where padding counts as zeros; otherwise the number of values.
    pub divisor: Option<u32>,
}

impl OrtMean {
    fn requantizer(&self, count: u32, clamp: Clamp) -> Result<Requantizer> {
        let n = self.divisor.unwrap_or(count) as f32;
        let scale = self.input.scale / (self.output.scale * n);
        let zero_point = self.output.zero_point;
        Requantizer::from_real(Semantics::OrtX86, scale.into(), zero_point, clamp)
    }

    /// The same for a rule that was made by its constructor.
    fn checked_requantizer(&self, count: u32, clamp: Clamp) -> Requantizer {
        let requantizer = self.requantizer(count, clamp);
        requantizer.expect("the constructor has checked both ends")
    }
}

impl AveragePoolRule {
    /// TFLite's rule.
    pub fn tflite(clamp: Clamp) -> Self {
        let mean = Mean::Tflite;
        Self { mean, clamp }
    }

    /// onnxruntime's rule; `divisor` where padding counts.
    ///
    /// # Errors
    /// The ratio of the scales is no normal float32 for one value, or for 2^24 of them.
    pub fn ort(
        input: AffineParams,
        output: AffineParams,
        divisor: Option<u32>,
        clamp: Clamp,
    ) -> Result<Self> {
        let mean = OrtMean {
            input,
            output,
            divisor,
        };
        mean.requantizer(1, clamp)?;
        mean.requantizer(1 << 24, clamp)?;
        Ok(Self {
            mean: Mean::OrtX86(mean),
            clamp,
        })
    }

    /// The mean of `count` raw int8 values whose sum is `sum`; `count` is not zero and at most
    /// 2^24.
    pub fn apply(&self, sum: i64, count: u32) -> i8 {
        match self.mean {
            Mean::Tflite => {
                let count = i64::from(count);
                let half = count / 2;
                // Integer division truncates towards zero, as in C.
                let mean = if sum > 0 {
                    (sum + half) / count
                } else {
                    (sum - half) / count
                };
                self.clamp.apply(mean) as i8
            }
            Mean::TfliteUnsigned => {
                let count = i64::from(count);
                self.clamp.apply((sum + count / 2).div_euclid(count)) as i8
            }
            Mean::OrtX86(mean) => {
                let requantizer = mean.checked_requantizer(count, self.clamp);
                requantizer.apply(sum + self.bias(count)) as i8
            }
        }
    }

    /// Whether the mean counts as a saturation, see [`Clamp::saturates`]: only one that changes its
    /// scale can leave int8.
    pub fn saturates(&self, sum: i64, count: u32) -> bool {
        match self.mean {
            Mean::Tflite | Mean::TfliteUnsigned => false,
            Mean::OrtX86(mean) => {
                let requantizer = mean.checked_requantizer(count, self.clamp);
                let value = requantizer.unclamped(sum + self.bias(count));
                self.clamp.saturates(value, false)
            }
        }
    }

    /// What the lane of [`Self::lane`] needs added to the sum of raw values.
    pub fn bias(&self, count: u32) -> i64 {
        match self.mean {
            // ties go up where all sums are positive, as they are in uint8
            Mean::TfliteUnsigned if has_ties_below_zero(count) => 128 * i64::from(count),
            Mean::Tflite | Mean::TfliteUnsigned => 0,
            Mean::OrtX86(mean) => -i64::from(mean.input.zero_point) * i64::from(count),
        }
    }

    /// Lane constants that are proved equal to [`Self::apply`] on every sum of `range`; the lane's
    /// accumulator is the sum plus [`Self::bias`].
    ///
    /// TFLite's multiplier is `2^shift / count` rounded up to the next larger integer. Its excess
    /// pushes exact ties away from zero, on both sides, and is too small to move anything else. Where
    /// ties go up and `count` is a power of two, the multiplier is exact; an odd `count` has no ties;
    /// otherwise the lane averages the values plus 128, of which none is negative.
    ///
    /// # Errors
    /// `count` is zero, or `range` is not reachable by sums of `count` int8 values in an int32.
    pub fn lane(&self, count: u32, range: Interval) -> Result<LaneConstants> {
        let bound = i64::from(count) * 128;
        if count == 0 || bound >= 1 << 31 || range.lo < -bound || range.hi > bound {
            return Err(NumericError::BadAverage { count, range });
        }
        let lane = match self.mean {
            Mean::Tflite | Mean::TfliteUnsigned => {
                let shift = 30 + count.ilog2();
                let exact = self.mean == Mean::TfliteUnsigned && count.is_power_of_two();
                let multiplier = (1u64 << shift) / u64::from(count) + u64::from(!exact);
                LaneConstants {
                    multiplier: multiplier as u32,
                    shift: shift as u8,
                    constant: 0,
                    double_round: false,
                    tie_window: None,
                    zero_point: -((self.bias(count) / i64::from(count)) as i32),
                    clamp: self.clamp,
                }
            }
            Mean::OrtX86(mean) => {
                LaneConstants::from_requantizer(&mean.requantizer(count, self.clamp)?)?
            }
        };
        let bias = self.bias(count);
        prove_equal_functions(
            |sum| i32::from(self.apply(sum, count)),
            |sum| lane.apply(sum + bias),
            range,
        )?;
        Ok(lane)
    }
}

/// Whether sums of `count` values have ties that a multiplier rounded up takes away from zero.
fn has_ties_below_zero(count: u32) -> bool {
    count.is_multiple_of(2) && !count.is_power_of_two()
}
