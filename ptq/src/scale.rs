//! From a real range to a scale and a zero point, and from real numbers to integers.

use macforge_numeric::AffineParams;
use serde::{Deserialize, Serialize};

/// Where zero lies in the range of the integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// In the middle; the integers are `-(2^(bits-1) - 1)..=2^(bits-1) - 1`.
    Symmetric,
    /// Anywhere; the integers are `-2^(bits-1)..=2^(bits-1) - 1`.
    Asymmetric,
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Scheme::Symmetric => "symmetric",
            Scheme::Asymmetric => "asymmetric",
        })
    }
}

/// A closed range of real values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Smallest value.
    pub lo: f64,
    /// Largest value.
    pub hi: f64,
}

impl Range {
    /// The smallest range that holds both, and zero.
    pub fn hull(self, other: Range) -> Range {
        Range {
            lo: self.lo.min(other.lo).min(0.0),
            hi: self.hi.max(other.hi).max(0.0),
        }
    }
}

/// The integers that a tensor uses inside its int8 or int16 container, and what they stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Scale and zero point.
    pub params: AffineParams,
    /// Smallest integer.
    pub lo: i32,
    /// Largest integer.
    pub hi: i32,
}

/// Smallest scale that is given out: far above the float32 subnormals, so that products of two
/// scales stay normal.
const MIN_SCALE: f64 = 1e-15;

impl Grid {
    /// The grid that covers `range`, which is widened to hold zero.
    ///
    /// With `power_of_two` the scale is the next larger power of two. A range that is only zero
    /// gets the scale 1.
    pub fn cover(range: Range, bits: u32, scheme: Scheme, power_of_two: bool) -> Grid {
        let half = 1i32 << (bits - 1);
        let (lo, hi) = match scheme {
            Scheme::Symmetric => (1 - half, half - 1),
            Scheme::Asymmetric => (-half, half - 1),
        };
        let range = range.hull(range);
        let mut scale = match scheme {
            Scheme::Symmetric => range.hi.max(-range.lo) / f64::from(hi),
            Scheme::Asymmetric => (range.hi - range.lo) / f64::from(hi - lo),
        };
        if scale == 0.0 {
            scale = 1.0;
        }
        scale = scale.max(MIN_SCALE);
        if power_of_two {
            scale = next_power_of_two(scale);
        }
        let scale = scale as f32;
        let zero_point = match scheme {
            Scheme::Symmetric => 0,
            Scheme::Asymmetric => {
                let steps = (-range.lo / f64::from(scale)).round();
                (lo + steps as i32).clamp(lo, hi)
            }
        };
        Grid {
            params: AffineParams { scale, zero_point },
            lo,
            hi,
        }
    }

    /// The integers need an int16.
    pub fn is_wide(&self) -> bool {
        self.hi > 127
    }

    /// The same grid without the narrow range: activations keep the lowest integer of their type.
    #[must_use]
    pub fn widened(mut self) -> Grid {
        self.lo = -self.hi - 1;
        self
    }

    /// The integer for a real value: round half to even, as ONNX's QuantizeLinear.
    pub fn quantize(&self, value: f32) -> i32 {
        let steps = (value / self.params.scale).round_ties_even() as i32;
        steps
            .saturating_add(self.params.zero_point)
            .clamp(self.lo, self.hi)
    }

    /// The real value of an integer.
    pub fn dequantize(&self, q: i32) -> f32 {
        self.params.scale * (q - self.params.zero_point) as f32
    }

    /// The real value that stands for `value` after quantization.
    pub fn fake(&self, value: f32) -> f32 {
        self.dequantize(self.quantize(value))
    }

    /// Smallest and largest real value on the grid.
    pub fn range(&self) -> Range {
        Range {
            lo: f64::from(self.dequantize(self.lo)),
            hi: f64::from(self.dequantize(self.hi)),
        }
    }
}

fn next_power_of_two(scale: f64) -> f64 {
    let guess = scale.log2().ceil() as i32;
    // log2 may be off by one unit in the last place on either side
    let candidates = (guess - 1..=guess + 1).map(|e| 2f64.powi(e));
    candidates
        .into_iter()
        .find(|&c| c >= scale)
        .unwrap_or(scale)
}
