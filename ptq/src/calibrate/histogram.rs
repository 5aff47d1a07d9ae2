//! Counts of values over equal bins.

use crate::scale::Range;

/// Counts over a range that is known beforehand, widened to hold zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    seen: Range,
    lo: f64,
    width: f64,
    counts: Vec<u64>,
}

impl Histogram {
    /// Bins of every histogram. TensorRT's 2,048 bins for one side of zero, and as many for the other.
    pub const BINS: usize = 4096;

    /// An empty histogram for values in `seen`.
    pub fn new(seen: Range) -> Self {
        let wide = seen.hull(seen);
        let width = (wide.hi - wide.lo) / Self::BINS as f64;
        Histogram {
            seen,
            lo: wide.lo,
            width: if width > 0.0 { width } else { 1.0 },
            counts: vec![0; Self::BINS],
        }
    }

    /// Takes more values; those outside the range fall into the bins at its ends.
    pub fn add(&mut self, values: &[f32]) {
        for &v in values.iter().filter(|v| v.is_finite()) {
            let bin = ((f64::from(v) - self.lo) / self.width) as usize;
            self.counts[bin.min(Self::BINS - 1)] += 1;
        }
    }

    /// Smallest and largest value that was announced.
    pub fn range(&self) -> Range {
        self.seen
    }

    /// Number of values.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Width of a bin.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Middle and count of every bin that is not empty, in ascending order.
    pub fn points(&self) -> impl Iterator<Item = (f64, u64)> {
        let filled = self.counts.iter().enumerate().filter(|(_, c)| **c > 0);
        filled.map(|(i, &c)| (self.lo + (i as f64 + 0.5) * self.width, c))
    }

    /// Counts of the absolute values over `bins` equal bins from zero to the largest one.
    pub fn absolute(&self, bins: usize) -> (Vec<u64>, f64) {
        let largest = self.seen.hi.max(-self.seen.lo);
        let width = if largest > 0.0 { largest } else { 1.0 } / bins as f64;
        let mut counts = vec![0; bins];
        for (middle, count) in self.points() {
            let bin = (middle.abs() / width) as usize;
            counts[bin.min(bins - 1)] += count;
        }
        (counts, width)
    }
}
