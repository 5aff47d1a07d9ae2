//! The mean-squared-error calibrator.

use super::Histogram;
use crate::scale::{Grid, Range, Scheme};

/// Candidates per end of the range.
const STEPS: u32 = 64;

/// The range whose grid leaves the least squared error over the histogram.
///
/// Both ends shrink together first (symmetric: that is all); then either end is searched with the
/// other one fixed.
pub(super) fn range(histogram: &Histogram, bits: u32, scheme: Scheme) -> Range {
    let points: Vec<(f64, u64)> = histogram.points().collect();
    let full = histogram.range().hull(histogram.range());
    let error = |range: Range| error(&points, &Grid::cover(range, bits, scheme, false));
    let best = |candidates: &mut dyn Iterator<Item = Range>| {
        let mut best = (f64::INFINITY, full);
        for range in candidates {
            let e = error(range);
            if e < best.0 {
                best = (e, range);
            }
        }
        best.1
    };
    let share = |i: u32| f64::from(i) / f64::from(STEPS);
    // from the widest range down, so that the widest of equals is kept
    let shares = || (1..=STEPS).rev().map(share);
    let both = best(&mut shares().map(|s| Range {
        lo: full.lo * s,
        hi: full.hi * s,
    }));
    if scheme == Scheme::Symmetric {
        return both;
    }
    let upper = best(&mut shares().map(|s| Range {
        lo: both.lo,
        hi: full.hi * s,
    }));
    best(&mut shares().map(|s| Range {
        lo: full.lo * s,
        hi: upper.hi,
    }))
}

/// Sum of squared errors.
fn error(points: &[(f64, u64)], grid: &Grid) -> f64 {
    points
        .iter()
        .map(|&(value, count)| {
            let error = value - f64::from(grid.fake(value as f32));
            error * error * count as f64
        })
        .sum()
}
