//! Range, mean and deviation of a stream of values.

use crate::scale::Range;

/// Running sums; finite values only, others are counted apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    lo: f32,
    hi: f32,
    count: u64,
    sum: f64,
    squares: f64,
    /// Values that are infinite or no number.
    pub not_finite: u64,
}

impl Default for Moments {
    fn default() -> Self {
        Moments {
            lo: f32::INFINITY,
            hi: f32::NEG_INFINITY,
            count: 0,
            sum: 0.0,
            squares: 0.0,
            not_finite: 0,
        }
    }
}

impl Moments {
    /// Takes more values.
    pub fn add(&mut self, values: &[f32]) {
        for &v in values {
            if !v.is_finite() {
                self.not_finite += 1;
                continue;
            }
            self.lo = self.lo.min(v);
            self.hi = self.hi.max(v);
            self.count += 1;
            self.sum += f64::from(v);
            self.squares += f64::from(v) * f64::from(v);
        }
    }

    /// Smallest and largest value; zero to zero where there was none.
    pub fn range(&self) -> Range {
        if self.count == 0 {
            return Range { lo: 0.0, hi: 0.0 };
        }
        Range {
            lo: f64::from(self.lo),
            hi: f64::from(self.hi),
        }
    }

    /// Number of finite values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Arithmetic mean.
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// Standard deviation of the values themselves (divided by their number).
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        let variance = self.squares / self.count.max(1) as f64 - mean * mean;
        variance.max(0.0).sqrt()
    }
}
