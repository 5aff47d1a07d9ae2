//! Average pooling.

use crate::error::{NumericError, Result};
use crate::format::Clamp;
use crate::interval::Interval;
use crate::lane::LaneConstants;
use crate::staircase::prove_equal_functions;

/// TFLite's int8 AVERAGE_POOL_2D: the mean of the raw values, rounded half away from zero, then
/// clamped. Input and output share their affine parameters, so zero points cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AveragePoolRule {
    /// Output bounds, the activation included.
    pub clamp: Clamp,
}

impl AveragePoolRule {
    /// The mean of `count` raw int8 values whose sum is `sum`; `count` is not zero.
    pub fn apply(&self, sum: i64, count: u32) -> i8 {
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

    /// Lane constants that are proved equal to [`Self::apply`] on every sum of `range`.
    ///
    /// The multiplier is `2^shift / count` rounded up to the next larger integer. Its excess
    /// pushes exact ties away from zero, on both sides, and is too small to move anything else.
    ///
    /// # Errors
    /// `count` is zero, or `range` is not reachable by sums of `count` int8 values in an int32.
    pub fn lane(&self, count: u32, range: Interval) -> Result<LaneConstants> {
        let bound = i64::from(count) * 128;
        if count == 0 || bound >= 1 << 31 || range.lo < -bound || range.hi > bound {
            return Err(NumericError::BadAverage { count, range });
        }
        let shift = 30 + count.ilog2();
        let multiplier = (1u64 << shift) / u64::from(count) + 1;
        let lane = LaneConstants {
            multiplier: multiplier as u32,
            shift: shift as u8,
            double_round: false,
            tie_window: None,
            zero_point: 0,
            clamp: self.clamp,
        };
        prove_equal_functions(
            |sum| i32::from(self.apply(sum, count)),
            |sum| lane.apply(sum),
            range,
        )?;
        Ok(lane)
    }
}
