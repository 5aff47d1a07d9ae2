//! The KL-divergence (entropy) calibrator.

use super::Histogram;
use crate::scale::{Range, Scheme};

/// Bins of the absolute values.
const BINS: usize = 2048;

/// Probability of values that the candidate has nothing to stand for; it keeps the divergence
/// finite.
const FLOOR: f64 = 1e-9;

/// The threshold whose clipped distribution loses least information when it is merged into the
/// levels of the grid.
///
/// For every number of bins `n` from the number of levels up: the reference distribution is the
/// first `n` bins, the last of which also takes all that lies beyond; the candidate merges the first
/// `n` bins (without the rest) into the levels and spreads each level evenly over its bins that are
/// not empty.
pub(super) fn range(histogram: &Histogram, bits: u32, scheme: Scheme) -> Range {
    let (mut counts, width) = histogram.absolute(BINS);
    // the zeros of a Relu would outweigh everything, and every grid represents them exactly
    counts[0] = counts[0].min(counts[1]);
    let seen = histogram.range();
    // a one-sided tensor on an asymmetric grid has all levels on its side
    let one_sided = seen.lo >= 0.0 || seen.hi <= 0.0;
    let levels = match scheme {
        Scheme::Asymmetric if one_sided => 1usize << bits,
        _ => 1usize << (bits - 1),
    };
    let sums = Sums::new(&counts);
    let mut best = (f64::INFINITY, BINS);
    for n in levels.min(BINS)..=BINS {
        let divergence = sums.divergence(n, levels);
        if divergence < best.0 {
            best = (divergence, n);
        }
    }
    let t = best.1 as f64 * width;
    Range { lo: -t, hi: t }
}

/// Sums over the first bins, so that a level costs the same however many bins it has.
struct Sums {
    /// Counts.
    counts: Vec<f64>,
    /// Bins that are not empty.
    filled: Vec<f64>,
    /// `c * ln(c)`.
    logs: Vec<f64>,
}

impl Sums {
    fn new(counts: &[u64]) -> Self {
        let running = |f: &dyn Fn(f64) -> f64| {
            let mut sum = 0.0;
            let terms = counts.iter().map(|&c| {
                sum += f(c as f64);
                sum
            });
            std::iter::once(0.0)
                .chain(terms.collect::<Vec<_>>())
                .collect()
        };
        Sums {
            counts: running(&|c| c),
            filled: running(&|c| f64::from(u8::from(c > 0.0))),
            logs: running(&|c| if c > 0.0 { c * c.ln() } else { 0.0 }),
        }
    }

    /// Kullback-Leibler divergence for a threshold after `n` bins.
    fn divergence(&self, n: usize, levels: usize) -> f64 {
        let (inside, total) = (self.counts[n], self.counts[BINS]);
        if inside == 0.0 {
            return f64::INFINITY;
        }
        let mut sum = 0.0;
        let mut last = FLOOR;
        for level in 0..levels {
            // integer bounds, so that every bin belongs to exactly one level
            let (from, to) = (level * n / levels, (level + 1) * n / levels);
            let of = |sums: &[f64]| sums[to] - sums[from];
            let merged = of(&self.counts);
            last = FLOOR;
            if merged > 0.0 {
                last = merged / of(&self.filled) / inside;
                // the sum of p * ln(p / q) over the level's bins, with p = c / total
                sum += (of(&self.logs) - merged * (total.ln() + last.ln())) / total;
            }
        }
        let end = self.counts[n] - self.counts[n - 1];
        let beyond = total - inside;
        if beyond > 0.0 {
            // the last bin takes what lies beyond
            let term = |count: f64, q: f64| {
                let p = count / total;
                if p > 0.0 { p * (p / q).ln() } else { 0.0 }
            };
            let q = if end > 0.0 { last } else { FLOOR };
            sum += term(end + beyond, q) - term(end, q);
        }
        sum
    }
}
