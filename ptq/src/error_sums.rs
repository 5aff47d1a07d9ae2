//! How far quantized values are from the real ones.

use serde::Serialize;

use crate::scale::Grid;

/// Sums over pairs of a real value and what stands for it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ErrorSums {
    count: u64,
    signal: f64,
    noise: f64,
    dot: f64,
    other: f64,
    rounding: f64,
    saturation: f64,
    saturated: u64,
}

/// What the sums say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fidelity {
    /// Signal to quantization noise ratio in dB; `None` where there is no noise or no signal.
    pub sqnr_db: Option<f64>,
    /// Cosine of the angle between the two vectors.
    pub cosine: f64,
}

/// The parts of the mean squared error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Split {
    /// Part of the values inside the range.
    pub rounding: f64,
    /// Part of the values beyond the range.
    pub saturation: f64,
    /// Share of the values beyond the range.
    pub saturated_share: f64,
}

impl ErrorSums {
    /// Takes pairs.
    pub fn add(&mut self, pairs: impl IntoIterator<Item = (f32, f32)>) {
        for (real, other) in pairs {
            let (real, other) = (f64::from(real), f64::from(other));
            self.count += 1;
            self.signal += real * real;
            self.other += other * other;
            self.dot += real * other;
            self.noise += (real - other) * (real - other);
        }
    }

    /// Takes real values and puts them on `grid`.
    pub fn add_quantized(&mut self, values: impl IntoIterator<Item = f32>, grid: &Grid) {
        // up to half a step beyond the ends, rounding is all that happens
        let half = f64::from(grid.params.scale) / 2.0;
        let range = grid.range();
        for real in values {
            let other = grid.fake(real);
            self.add([(real, other)]);
            let error = f64::from(real) - f64::from(other);
            let real = f64::from(real);
            if real < range.lo - half || real > range.hi + half {
                self.saturation += error * error;
                self.saturated += 1;
            } else {
                self.rounding += error * error;
            }
        }
    }

    /// SQNR and cosine.
    pub fn fidelity(&self) -> Fidelity {
        let lengths = (self.signal * self.other).sqrt();
        Fidelity {
            sqnr_db: (self.noise > 0.0 && self.signal > 0.0)
                .then(|| 10.0 * (self.signal / self.noise).log10()),
            cosine: if lengths > 0.0 {
                self.dot / lengths
            } else {
                f64::from(u8::from(self.noise == 0.0))
            },
        }
    }

    /// Noise power over signal power.
    pub fn noise_share(&self) -> f64 {
        if self.signal > 0.0 {
            self.noise / self.signal
        } else {
            0.0
        }
    }

    /// Rounding and saturation.
    pub fn split(&self) -> Split {
        let count = self.count.max(1) as f64;
        Split {
            rounding: self.rounding / count,
            saturation: self.saturation / count,
            saturated_share: self.saturated as f64 / count,
        }
    }
}
