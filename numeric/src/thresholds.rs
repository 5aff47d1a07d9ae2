//! A general staircase given by its steps, for rules that are no scale and shift.

use std::sync::Arc;

use crate::error::{NumericError, Result};
use crate::interval::Interval;
use crate::staircase::thresholds;

/// `y = base + #{i : acc >= at[i]}`: FINN's `MultiThreshold`, and any non-decreasing function of
/// the accumulator that a float32 or integer chain of operators computes.
///
/// Cheap to clone: the steps are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    base: i32,
    at: Arc<[i32]>,
}

impl Thresholds {
    /// Most steps: 255 between the values of an int8, and one on either side that tells where a
    /// value before clamping leaves int8.
    pub const MAX_STEPS: usize = 257;

    /// `base` below the first step, one more from each step on; equal steps jump by several.
    ///
    /// # Errors
    /// More than [`Self::MAX_STEPS`] steps, or steps that decrease.
    pub fn new(base: i32, at: Vec<i32>) -> Result<Self> {
        let sorted = at.windows(2).all(|pair| pair[0] <= pair[1]);
        if at.len() > Self::MAX_STEPS || !sorted {
            return Err(NumericError::BadThresholds {
                count: at.len(),
                sorted,
            });
        }
        Ok(Self {
            base,
            at: at.into(),
        })
    }

    /// The staircase that equals `f`, clamped to `bounds`, on every accumulator of `range` (int32
    /// values); outside it goes on with the value at the nearer end. `f` is non-decreasing.
    ///
    /// # Errors
    /// `f` is smaller at the end of the range than at its start, or `bounds` hold more than
    /// [`Self::MAX_STEPS`] steps.
    pub fn of_function(f: impl Fn(i64) -> i64, range: Interval, bounds: Interval) -> Result<Self> {
        let clamped = |acc: i64| f(acc).clamp(bounds.lo, bounds.hi) as i32;
        let base = clamped(range.lo);
        if clamped(range.hi) < base {
            return Err(NumericError::Decreasing { range });
        }
        let mut value = base;
        let mut at = Vec::new();
        for (acc, next) in thresholds(clamped, range) {
            let jump = usize::try_from(i64::from(next) - i64::from(value)).unwrap_or(usize::MAX);
            if at.len().saturating_add(jump) > Self::MAX_STEPS {
                return Self::new(base, vec![0; Self::MAX_STEPS + 1]);
            }
            at.resize(at.len() + jump, acc as i32);
            value = next;
        }
        Self::new(base, at)
    }

    /// The value below the first step.
    pub fn base(&self) -> i32 {
        self.base
    }

    /// The steps, in non-decreasing order.
    pub fn at(&self) -> &[i32] {
        &self.at
    }

    /// The value of an accumulator.
    pub fn apply(&self, acc: i64) -> i64 {
        let passed = self.at.partition_point(|&step| i64::from(step) <= acc);
        i64::from(self.base) + passed as i64
    }
}
