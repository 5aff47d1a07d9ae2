//! Interval arithmetic, and the accumulator range that weights and inputs can reach.

use std::fmt;
use std::ops::{Add, Mul};

/// A non-empty range of integers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Smallest value.
    pub lo: i64,
    /// Largest value, at least `lo`.
    pub hi: i64,
}

impl Interval {
    /// All int8 values.
    pub const INT8: Interval = Interval { lo: -128, hi: 127 };

    /// The range `lo..=hi`.
    ///
    /// # Panics
    /// `lo > hi`: an empty interval is a broken invariant of the caller.
    pub fn new(lo: i64, hi: i64) -> Self {
        assert!(lo <= hi, "empty interval {lo}..={hi}");
        Self { lo, hi }
    }

    /// A single value.
    pub fn point(value: i64) -> Self {
        Self {
            lo: value,
            hi: value,
        }
    }

    /// The smallest interval that holds both.
    pub fn union(self, other: Self) -> Self {
        Self {
            lo: self.lo.min(other.lo),
            hi: self.hi.max(other.hi),
        }
    }

    /// Whether `value` lies inside.
    pub fn contains(self, value: i64) -> bool {
        (self.lo..=self.hi).contains(&value)
    }

    /// Whether all of `other` lies inside.
    pub fn encloses(self, other: Self) -> bool {
        self.lo <= other.lo && other.hi <= self.hi
    }

    /// Width of the narrowest two's complement number that holds every value; at least 1.
    pub fn bits_signed(self) -> u32 {
        let bits = |v: i64| 65 - (if v < 0 { !v } else { v }).leading_zeros();
        bits(self.lo).max(bits(self.hi))
    }
}

/// All sums of one value of each.
impl Add for Interval {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            lo: self.lo + other.lo,
            hi: self.hi + other.hi,
        }
    }
}

/// The hull of all products of one value of each.
impl Mul for Interval {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let corners = [
            self.lo * other.lo,
            self.lo * other.hi,
            self.hi * other.lo,
            self.hi * other.hi,
        ];
        let lo = corners.into_iter().fold(i64::MAX, i64::min);
        let hi = corners.into_iter().fold(i64::MIN, i64::max);
        Self { lo, hi }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.lo, self.hi)
    }
}

/// The exact range of `bias + sum(w * (x - zero_point))` when every input `x` moves independently
/// in `input`.
///
/// `padded`: some of the inputs may be padding, which counts as `x = zero_point`.
/// With `zero_point` 0 and the zero-point term folded into `bias` it is the range of the folded
/// sum, provided that padding is then passed as part of `input`.
pub fn accumulator_interval<W: Copy + Into<i64>>(
    weights: &[W],
    input: Interval,
    zero_point: i32,
    bias: i64,
    padded: bool,
) -> Interval {
    let x = centred(input, zero_point, padded);
    product_ranges(weights, x).fold(Interval::point(bias), |sum, p| sum + p)
}

/// A range that holds every intermediate value of the same sum, whatever the order in which
/// products and bias are added.
pub fn partial_sum_interval<W: Copy + Into<i64>>(
    weights: &[W],
    input: Interval,
    zero_point: i32,
    bias: i64,
    padded: bool,
) -> Interval {
    let zero = Interval::point(0);
    let x = centred(input, zero_point, padded);
    let start = Interval::point(bias).union(zero);
    product_ranges(weights, x).fold(start, |sum, p| sum + p.union(zero))
}

fn centred(input: Interval, zero_point: i32, padded: bool) -> Interval {
    let x = input + Interval::point(-i64::from(zero_point));
    if padded {
        x.union(Interval::point(0))
    } else {
        x
    }
}

fn product_ranges<W: Copy + Into<i64>>(
    weights: &[W],
    x: Interval,
) -> impl Iterator<Item = Interval> {
    weights.iter().map(move |&w| Interval::point(w.into()) * x)
}
