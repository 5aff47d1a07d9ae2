//! Equality of monotone step functions, proved from their thresholds.
//!
//! A requantizer is a non-decreasing function of the accumulator with at most 256 values. Two
//! such functions are equal on a range exactly when they start equal and step at the same places
//! to the same values, so at most 255 thresholds decide over millions of accumulators.

use std::fmt;

use crate::interval::Interval;
use crate::lane::LaneConstants;
use crate::requant::{RequantRule, Requantizer};

/// A record that two functions were proved equal on every integer of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaircaseProof {
    /// Number of thresholds inside the range.
    pub steps: usize,
    /// Where equality holds.
    pub range: Interval,
}

/// An accumulator on which two functions differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaircaseCounterexample {
    /// The accumulator.
    pub at: i64,
    /// Value of the rule.
    pub expected: i32,
    /// Value of the other function.
    pub found: i32,
}

impl fmt::Display for StaircaseCounterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            expected,
            found,
        } = self;
        write!(f, "at {at} found {found}, wanted {expected}")
    }
}

impl std::error::Error for StaircaseCounterexample {}

/// The steps of a non-decreasing `f` inside `range`: each first argument of a new value, with that
/// value. The value at `range.lo` is not a step. Found by bisection.
pub fn thresholds(f: impl Fn(i64) -> i32, range: Interval) -> Vec<(i64, i32)> {
    let mut steps = Vec::new();
    let mut value = f(range.lo);
    let mut from = range.lo;
    let last = f(range.hi);
    while value != last {
        from = first_above(&f, value, from, range.hi);
        value = f(from);
        steps.push((from, value));
    }
    steps
}

/// The smallest argument in `lo..=hi` whose value exceeds `value`; `f(lo) == value < f(hi)`.
fn first_above(f: &impl Fn(i64) -> i32, value: i32, mut lo: i64, mut hi: i64) -> i64 {
    while hi - lo > 1 {
        let middle = lo + (hi - lo) / 2;
        if f(middle) > value {
            hi = middle;
        } else {
            lo = middle;
        }
    }
    hi
}

/// Proves that a lane equals its requantizer on every accumulator of `range`. A lane that states the
/// formula of [`RequantRule::Wide`] needs no comparison of values.
///
/// # Errors
/// An accumulator on which they differ.
pub fn prove_equal(
    a: &Requantizer,
    b: &LaneConstants,
    range: Interval,
) -> Result<StaircaseProof, StaircaseCounterexample> {
    if matches!(a.rule, RequantRule::Wide { .. })
        && LaneConstants::from_requantizer(a).as_ref() == Ok(b)
    {
        let steps = a.apply(range.hi).abs_diff(a.apply(range.lo)) as usize;
        return Ok(StaircaseProof { steps, range });
    }
    prove_equal_functions(|x| a.apply(x), |x| b.apply(x), range)
}

/// The same for any two non-decreasing functions; `a` is the rule, `b` the candidate.
///
/// Between two neighbouring thresholds `a` is constant, and `b`, being monotone, lies between its
/// values at the two ends. So it is enough to compare both functions at the ends of every tread.
///
/// # Errors
/// An argument on which they differ.
pub fn prove_equal_functions(
    a: impl Fn(i64) -> i32,
    b: impl Fn(i64) -> i32,
    range: Interval,
) -> Result<StaircaseProof, StaircaseCounterexample> {
    let check = |at: i64, expected: i32| {
        let found = b(at);
        if found == expected {
            Ok(())
        } else {
            Err(StaircaseCounterexample {
                at,
                expected,
                found,
            })
        }
    };
    let steps = thresholds(&a, range);
    let mut value = a(range.lo);
    check(range.lo, value)?;
    for &(at, next) in &steps {
        check(at - 1, value)?;
        check(at, next)?;
        value = next;
    }
    check(range.hi, value)?;
    Ok(StaircaseProof {
        steps: steps.len(),
        range,
    })
}
