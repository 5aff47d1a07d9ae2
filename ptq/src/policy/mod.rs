//! The policy: how precisely each layer is quantized, and how its ranges are found.
//!
//! ```toml
//! [default]
//! weights = { bits = 8, scheme = "symmetric", granularity = "channel", calibrator = "minmax" }
//! activations = { bits = 8, scheme = "asymmetric", calibrator = "percentile", percentile = 99.9 }
//! bias_correction = false
//! power_of_two = false
//! equalize = false
//! weights_only = false
//!
//! [[layer]]                # later entries win
//! match = "layer3.*"       # name, or pattern with * and ?
//! weights = { bits = 4 }   # 2, 4, 8 or 16; 16 bits are symmetric
//!
//! [[layer]]
//! match = "softmax"
//! float = true
//! ```

mod file;
mod pattern;
mod resolve;

pub use file::{CalibratorName, DefaultTable, LayerTable, Patch, PolicyFile, WeightGranularity};
pub use pattern::matches;
pub use resolve::{LayerName, LayerPolicy, Resolved};

use crate::calibrate::Calibrator;
use crate::scale::Scheme;

/// How one tensor is quantized.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorPolicy {
    /// 2, 4, 8 or 16.
    pub bits: u32,
    /// Whether zero lies in the middle.
    pub scheme: Scheme,
    /// How many values share a scale.
    pub granularity: Granularity,
    /// How the range is found.
    pub calibrator: Calibrator,
}

/// How many values share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// All.
    Tensor,
    /// Those of an output channel.
    Channel,
    /// Those of as many neighbouring output channels.
    Group(usize),
}

impl std::fmt::Display for Granularity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Granularity::Tensor => f.write_str("tensor"),
            Granularity::Channel => f.write_str("channel"),
            Granularity::Group(n) => write!(f, "group of {n}"),
        }
    }
}
