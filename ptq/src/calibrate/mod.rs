//! Calibration: from the values that a tensor takes to the range that is worth representing.
//!
//! Values stream twice: [`Moments`] first (range, mean, deviation), then, over the range that is now
//! known, a [`Histogram`]. Everything is a plain sum in a fixed order, so that a run is repeatable.

mod histogram;
mod kl;
mod moments;
mod mse;
mod percentile;

pub use histogram::Histogram;
pub use moments::Moments;

use crate::scale::{Range, Scheme};

/// How the range of a tensor is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Calibrator {
    /// From the smallest to the largest value.
    MinMax,
    /// The share of the values that lie inside, in percent.
    Percentile(f64),
    /// Least Kullback-Leibler divergence between the distribution and its quantized form, as
    /// published for TensorRT (S. Migacz, "8-bit inference with TensorRT", GTC 2017).
    Kl,
    /// Least mean squared error.
    Mse,
}

impl std::fmt::Display for Calibrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Calibrator::MinMax => f.write_str("minmax"),
            Calibrator::Percentile(p) => write!(f, "percentile {p}"),
            Calibrator::Kl => f.write_str("kl"),
            Calibrator::Mse => f.write_str("mse"),
        }
    }
}

impl Calibrator {
    /// The range for `bits` under `scheme`; it always holds zero.
    pub fn range(self, histogram: &Histogram, bits: u32, scheme: Scheme) -> Range {
        let full = histogram.range();
        let range = match self {
            Calibrator::MinMax => full,
            Calibrator::Percentile(p) => percentile::range(histogram, p, scheme),
            Calibrator::Kl => kl::range(histogram, bits, scheme),
            Calibrator::Mse => mse::range(histogram, bits, scheme),
        };
        // no calibrator has a reason to go beyond what was seen
        Range {
            lo: range.lo.max(full.lo).min(0.0),
            hi: range.hi.min(full.hi).max(0.0),
        }
    }

    /// The range of values that are all there, such as weights.
    pub fn range_of(self, values: &[f32], bits: u32, scheme: Scheme) -> Range {
        let mut moments = Moments::default();
        moments.add(values);
        let mut histogram = Histogram::new(moments.range());
        if self != Calibrator::MinMax {
            histogram.add(values);
        }
        self.range(&histogram, bits, scheme)
    }
}
