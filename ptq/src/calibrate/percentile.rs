//! The percentile calibrator.

use super::Histogram;
use crate::scale::{Range, Scheme};

/// The range that holds `percent` of the values.
///
/// Symmetric: the absolute values are ranked. Asymmetric: half of what may lie outside is cut off at
/// either end. Inside the bin where the rank falls the values count as evenly spread.
pub(super) fn range(histogram: &Histogram, percent: f64, scheme: Scheme) -> Range {
    let outside = histogram.total() as f64 * (1.0 - percent / 100.0);
    let half = histogram.width() / 2.0;
    match scheme {
        Scheme::Symmetric => {
            let (counts, width) = histogram.absolute(Histogram::BINS / 2);
            let bins = counts.iter().enumerate().rev();
            let t = cut(
                bins.map(|(i, &c)| ((i as f64 + 1.0) * width, c)),
                width,
                outside,
            );
            Range { lo: -t, hi: t }
        }
        Scheme::Asymmetric => {
            let points: Vec<(f64, u64)> = histogram.points().collect();
            let upper = points.iter().rev().map(|&(m, c)| (m + half, c));
            let lower = points.iter().map(|&(m, c)| (-(m - half), c));
            Range {
                lo: -cut(lower, histogram.width(), outside / 2.0),
                hi: cut(upper, histogram.width(), outside / 2.0),
            }
        }
    }
}

/// Walks from the outermost bin inwards until `outside` values are left behind; bins are given by
/// their outer edge.
fn cut(bins: impl Iterator<Item = (f64, u64)>, width: f64, outside: f64) -> f64 {
    let mut left = outside;
    for (edge, count) in bins {
        let count = count as f64;
        if count > left {
            return edge - width * (left / count);
        }
        left -= count;
    }
    0.0
}
