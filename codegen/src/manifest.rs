//! `manifest.json`: what a design is, so that later commands need nothing but its folder.

use macforge_plan::{Estimate, HwPlan, LstmTables};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The manifest. Keys are a contract: they stay stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `macforge <version>`.
    pub tool: String,
    /// Version of macforge.
    pub version: String,
    /// Model name.
    pub model: String,
    /// Model file in the folder.
    pub model_file: String,
    /// SHA-256 of the model file.
    pub model_sha256: String,
    /// SHA-256 of the policy file; absent without a policy.
    pub policy_sha256: Option<String>,
    /// Board.
    pub board: String,
    /// Device, e.g. `xc7z020`.
    pub device: String,
    /// Full part name.
    pub part: String,
    /// Clock that the constraints ask for.
    pub clock_mhz: f64,
    /// Array shape `PxOCxIC`.
    pub shape: String,
    /// Requantizer lanes.
    pub lanes: usize,
    /// Name of the rounding rules.
    pub semantics: String,
    /// `int8` or `float`.
    pub io: String,
    /// Top module.
    pub top: String,
    /// Layers of the program.
    pub layers: Vec<LayerEntry>,
    /// Estimated resources.
    pub estimate: EstimateEntry,
    /// SHA-256 by file.
    pub files: BTreeMap<String, String>,
}

/// Estimated resources and cycles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EstimateEntry {
    /// DSP48E1.
    pub dsp: u64,
    /// Block RAMs of 36 Kbit.
    pub bram36: f64,
    /// LUTs.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Cycles of one inference.
    pub cycles: u64,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerEntry {
    /// Name.
    pub name: String,
    /// Fused operators.
    pub op: String,
    /// Source nodes.
    pub source: String,
    /// Weights and activations, `w8a8`.
    pub precision: String,
    /// Block that computes it.
    pub module: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Estimated cycles.
    pub estimated_cycles: u64,
    /// What was proved at compile time.
    pub proof: Option<ProofEntry>,
}

/// Proofs of a layer, summed over its channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProofEntry {
    /// Output channels proved.
    pub channels: usize,
    /// Requantizer thresholds compared, all channels.
    pub thresholds: usize,
    /// Reachable accumulators, bias included.
    pub accumulator: [i64; 2],
    /// Reachable low lanes of the packed chains; the lane holds -65536..=65535. Only in layers that
    /// run on the dot array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_lane: Option<[i64; 2]>,
}

/// The layers' entries.
pub fn layers(plan: &HwPlan) -> Vec<LayerEntry> {
    let layers = plan.layers.layers.iter().enumerate();
    layers
        .map(|(i, layer)| LayerEntry {
            name: layer.name.clone(),
            op: layer.op.clone(),
            source: layer.source.clone(),
            precision: if layer
                .lstm()
                .is_some_and(|l| matches!(l.tables, LstmTables::Fp16(_)))
            {
                "w8a8 fp16"
            } else if layer.weighted().is_some() || layer.lstm().is_some() {
                "w8a8"
            } else {
                "a8"
            }
            .to_string(),
            module: if layer.is_dot() {
                "dot_array"
            } else if layer.is_channel() {
                "channel_array"
            } else if layer.lstm().is_some() {
                "lstm_unit"
            } else {
                "softmax_unit"
            }
            .to_string(),
            macs: plan.macs[i],
            estimated_cycles: plan.cycles[i].total(),
            proof: proof(plan, i),
        })
        .collect()
}

fn proof(plan: &HwPlan, layer: usize) -> Option<ProofEntry> {
    let channels = &plan.proofs[layer].channels;
    let first = channels.first()?;
    let reach = channels.iter().fold(first.reach, |r, c| r.union(c.reach));
    let lanes = channels.iter().filter_map(|c| c.low_lane);
    let low = lanes.reduce(|a, b| a.union(b));
    Some(ProofEntry {
        channels: channels.len(),
        thresholds: channels.iter().map(|c| c.steps).sum(),
        accumulator: [reach.lo, reach.hi],
        low_lane: low.map(|low| [low.lo, low.hi]),
    })
}

impl EstimateEntry {
    /// From the plan's model.
    pub fn new(estimate: &Estimate, cycles: u64) -> Self {
        EstimateEntry {
            dsp: estimate.dsp,
            bram36: estimate.bram36,
            lut: estimate.lut,
            ff: estimate.ff,
            cycles,
        }
    }
}
