//! What a co-simulation found; the JSON keys are a contract.

use serde::{Deserialize, Serialize};

/// Result of `macforge simulate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Simulation {
    /// Samples simulated.
    pub samples: usize,
    /// Integers compared: outputs, with `--layers` every stored tensor, and the saturation counters.
    pub values_compared: u64,
    /// How many differed.
    pub mismatches: u64,
    /// From the design's own counter; the largest over all samples.
    pub cycles_per_inference: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Of the array at full use.
    pub macs_per_cycle_peak: u64,
    /// macs / (cycles * peak).
    pub utilization: f64,
    /// Clock that the constraints ask for; not shown by any place and route.
    pub clock_mhz: f64,
    /// Cycles at that clock.
    pub latency_us: f64,
    /// Speed of the simulation.
    pub sim_cycles_per_second: f64,
    /// Layers in execution order.
    pub layers: Vec<Layer>,
    /// The first differences, as text.
    pub differences: Vec<String>,
    /// Each precision by itself, in designs with several; the figures above are then the first one's, but
    /// for `values_compared`, `mismatches` and `differences`, which are of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub precisions: Vec<Precision>,
}

/// One precision of a design with several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Precision {
    /// Its name.
    pub name: String,
    /// Integers compared.
    pub values_compared: u64,
    /// How many differed.
    pub mismatches: u64,
    /// From the design's own counter; the largest over all samples.
    pub cycles_per_inference: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// macs / (cycles * peak).
    pub utilization: f64,
    /// Cycles at the clock that the constraints ask for.
    pub latency_us: f64,
    /// Layers in execution order.
    pub layers: Vec<Layer>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Name.
    pub name: String,
    /// Fused operators.
    pub op: String,
    /// From the design's own counter.
    pub cycles: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// macs / (cycles * peak).
    pub utilization: f64,
    /// Outputs that saturated, summed over the samples; from the design's own counter.
    pub saturations: u64,
    /// Cycles in which it waited for weights from memory, from the design's own counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalls: Option<u64>,
}

/// macs / (cycles * peak), 0 for layers without products.
pub fn utilization(macs: u64, cycles: u64, peak: u64) -> f64 {
    if cycles == 0 {
        0.0
    } else {
        macs as f64 / (cycles * peak) as f64
    }
}
