//! `manifest.json`: what a design is, so that later commands need nothing but its folder.

use crate::generate::WEIGHT_IMAGE;
use macforge_plan::{
    Choice, Estimate, Features, HwLayer, HwPlan, LstmTables, Packing, PlanError, Saving, Shape,
    WeightSource, WeightStream,
};
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
    /// Products that a DSP of the dot array makes per cycle: 2 of 8-bit operands, 4 of 4-bit ones.
    #[serde(default = "two")]
    pub products_per_dsp: usize,
    /// What else was chosen.
    pub choice: ChoiceEntry,
    /// Name of the rounding rules.
    pub semantics: String,
    /// `int8` or `float`.
    pub io: String,
    /// Top module.
    pub top: String,
    /// Layers of the program.
    pub layers: Vec<LayerEntry>,
    /// The precisions that register PRECISION (0x028) chooses from; absent where there is only one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub precisions: Vec<PrecisionEntry>,
    /// How the weights come from memory; absent where they are on chip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_stream: Option<StreamEntry>,
    /// Activations in memory; absent where all are on chip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_memory: Option<ActivationEntry>,
    /// Estimated resources.
    pub estimate: EstimateEntry,
    /// SHA-256 by file.
    pub files: BTreeMap<String, String>,
}

/// What folders have that do not say how many.
fn two() -> usize {
    2
}

/// What the planner chose besides the array's shape.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChoiceEntry {
    /// Pixels that the drain handles at once.
    pub drained_pixels: usize,
    /// Channels of an activation word.
    pub word_channels: usize,
    /// Chains of the dot array in LUTs.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lut_chains: usize,
    /// Short pitches and late shortcuts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compact: bool,
    /// Values of a strip, where the layers with the largest result run in strips.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_values: Option<usize>,
    /// Most values of an activation area on chip, where larger ones lie in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_chip_values: Option<usize>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl ChoiceEntry {
    /// From the plan.
    pub fn new(plan: &HwPlan) -> Self {
        ChoiceEntry {
            drained_pixels: plan.shape.drained,
            word_channels: plan.shape.word,
            lut_chains: plan.shape.fabric,
            compact: plan.saving.compact,
            strip_values: plan.saving.strips,
            on_chip_values: plan.saving.spill,
        }
    }
}

impl Manifest {
    /// All that the planner chose.
    ///
    /// # Errors
    /// The shape is not one.
    pub fn choice(&self) -> Result<Choice, PlanError> {
        let ChoiceEntry {
            drained_pixels,
            word_channels,
            lut_chains,
            ..
        } = self.choice;
        let stream = self.weight_stream.as_ref();
        Ok(Choice {
            shape: Shape {
                drained: drained_pixels,
                lanes: self.lanes / drained_pixels.max(1),
                word: word_channels,
                fabric: lut_chains,
                packing: Packing::of_products(self.products_per_dsp).unwrap_or_default(),
                ..self.shape.parse()?
            },
            source: stream.map_or(WeightSource::Chip, StreamEntry::source),
            saving: Saving {
                compact: self.choice.compact,
                strips: self.choice.strip_values,
                spill: self.choice.on_chip_values,
            },
        })
    }
}

/// One quantization of the network, in a design that has several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionEntry {
    /// Name: that of its policy or model file.
    pub name: String,
    /// What register PRECISION gets.
    pub value: usize,
    /// Model file in the folder.
    pub model_file: String,
    /// SHA-256 of the model file.
    pub model_sha256: String,
    /// SHA-256 of the policy file; absent where a quantized model was given.
    pub policy_sha256: Option<String>,
    /// First of its layers in `layers`.
    pub first_layer: usize,
    /// How many it has.
    pub layers: usize,
    /// Estimated cycles of one inference.
    pub estimated_cycles: u64,
    /// Its weights in memory; absent where they are on chip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<PrecisionStream>,
}

/// A precision's part of the weight image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionStream {
    /// Bytes that an inference reads.
    pub bytes: u64,
    /// Cycles that the memory needs for them.
    pub memory_floor: u64,
    /// First byte of each port's region.
    pub regions: Vec<usize>,
}

impl PrecisionStream {
    /// From the plan.
    pub fn new(stream: &WeightStream, set: usize) -> Self {
        PrecisionStream {
            bytes: stream.bytes(set),
            memory_floor: stream.floor_of(set),
            regions: regions(stream, set),
        }
    }
}

/// First byte of the region of a set at each port.
fn regions(stream: &WeightStream, set: usize) -> Vec<usize> {
    let ports = 0..stream.slices.len();
    ports.map(|port| stream.first_byte(set, port)).collect()
}

/// The weight stream of a design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamEntry {
    /// Image file, to be loaded at the address that WEIGHT_BASE (register 0x020) names.
    pub file: String,
    /// Its size.
    pub bytes: usize,
    /// AXI4 read ports.
    pub ports: usize,
    /// Data bits of each.
    pub bus_bits: usize,
    /// First byte of each port's region; of the first precision, where there are several.
    pub regions: Vec<usize>,
    /// Weight words on chip.
    pub ring_words: usize,
    /// Bytes of a weight word.
    pub word_bytes: usize,
    /// An LSTM's weights are on chip instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lstm_on_chip: bool,
}

impl StreamEntry {
    /// Where the design's weights are.
    pub fn source(&self) -> WeightSource {
        match self.lstm_on_chip {
            true => WeightSource::Mixed,
            false => WeightSource::Memory,
        }
    }

    /// From the plan.
    pub fn new(stream: &WeightStream, features: Features) -> Self {
        let ports = stream.slices.len();
        StreamEntry {
            file: WEIGHT_IMAGE.into(),
            bytes: stream.image_bytes(),
            ports,
            bus_bits: stream.bus,
            regions: regions(stream, 0),
            ring_words: stream.depth,
            word_bytes: stream.slices.iter().sum::<usize>() * stream.bus / 8,
            lstm_on_chip: features.lstm.is_some() && features.streamed_lstm().is_none(),
        }
    }
}

/// Activations in memory. The design writes and reads them; nothing is to be loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActivationEntry {
    /// First byte behind WEIGHT_BASE: the end of the weight image.
    pub first_byte: usize,
    /// Bytes that have to be free there.
    pub bytes: usize,
    /// Number of the AXI4 port, with write channels.
    pub port: usize,
    /// Bytes that an inference writes and reads.
    pub traffic: u64,
}

impl ActivationEntry {
    /// From the plan; `None` where all activations are on chip.
    pub fn new(plan: &HwPlan) -> Option<Self> {
        let (stream, memory) = plan.stream.as_ref().zip(plan.activation_memory.as_ref())?;
        Some(ActivationEntry {
            first_byte: stream.image_bytes(),
            bytes: memory.bytes(),
            port: stream.slices.len(),
            traffic: memory.traffic(&plan.layers),
        })
    }
}

/// A layer's share of the weight stream and the two lower bounds of its cycles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerStream {
    /// Bits of a weight in memory.
    pub weight_bits: usize,
    /// Bytes that are read.
    pub bytes: u64,
    /// Cycles that the memory needs for them.
    pub memory_floor: u64,
    /// Cycles of its multiply-accumulates at full use of the array.
    pub compute_floor: u64,
    /// Estimated cycles of waiting for weights.
    pub estimated_stalls: u64,
    /// `memory` or `compute`: which of the two would take longer.
    pub bound: String,
}

fn layer_stream(plan: &HwPlan, index: usize) -> Option<LayerStream> {
    let streamed = &plan.stream.as_ref()?.layers[index];
    let cycles = &plan.cycles[index];
    let bound = if streamed.floor > cycles.total() - cycles.stall {
        "memory"
    } else {
        "compute"
    };
    (streamed.tiles > 0).then(|| LayerStream {
        weight_bits: streamed.bits,
        bytes: streamed.bytes,
        memory_floor: streamed.floor,
        compute_floor: plan.macs[index].div_ceil(plan.shape.macs_per_cycle()),
        estimated_stalls: cycles.stall,
        bound: bound.into(),
    })
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
    /// Its weights in memory; absent where they are on chip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<LayerStream>,
    /// Activations that it moves to or from memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<LayerTransfer>,
}

/// Activations on their way to or from memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerTransfer {
    /// Bytes that are moved.
    pub bytes: u64,
    /// Cycles that the port needs for them, a beat each.
    pub memory_floor: u64,
}

fn layer_transfer(plan: &HwPlan, index: usize) -> Option<LayerTransfer> {
    let stream = plan.stream.as_ref()?;
    let beats = plan.cycles[index].busy;
    let transfer = plan.layers.layers[index].transfer();
    transfer.map(|_| LayerTransfer {
        bytes: beats * stream.bus as u64 / 8,
        memory_floor: beats,
    })
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
    /// Reachable low lanes of the packed chains; the lane holds -65536..=65535, with four products per DSP
    /// -512..=511. Only in layers that run on the dot array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_lane: Option<[i64; 2]>,
}

/// Bits of weights and activations; `out16` where the results are int16.
fn precision(layer: &HwLayer, packing: Packing) -> String {
    let fp16_state = |l: &macforge_plan::LstmLayer| matches!(l.tables, LstmTables::Fp16(_));
    if layer.wide.rule {
        let bits = |wide: bool| if wide { 16 } else { 8 };
        let (w, a) = (bits(layer.form.bytes), bits(layer.wide.row_pairs));
        let out = layer.wide.output.map_or("", |_| " out16");
        return format!("w{w}a{a}{out}");
    }
    let weights = layer.weighted().is_some() || layer.computed().is_some();
    let text = match layer.lstm() {
        Some(lstm) if fp16_state(lstm) => "w8a8 fp16",
        None if layer.attention().is_some() => "a8 fp16",
        None if !weights => "a8",
        _ => match layer.quad_form() {
            Some(form) if packing == Packing::Four && form.passes == 1 => "w4a4",
            Some(_) if packing == Packing::Four => "w4a8",
            _ => "w8a8",
        },
    };
    text.into()
}

/// The layers' entries.
pub fn layers(plan: &HwPlan) -> Vec<LayerEntry> {
    let layers = plan.layers.layers.iter().enumerate();
    layers
        .map(|(i, layer)| LayerEntry {
            name: layer.name.clone(),
            op: layer.op.clone(),
            source: layer.source.clone(),
            precision: precision(layer, plan.shape.packing),
            module: if layer.is_dot() {
                "dot_array"
            } else if layer.is_channel() {
                "channel_array"
            } else if layer.lstm().is_some() {
                "lstm_unit"
            } else if layer.attention().is_some() {
                "attention_unit"
            } else if layer.gather().is_some() {
                "gather_unit"
            } else if layer.transfer().is_some() {
                "activation_port"
            } else {
                "softmax_unit"
            }
            .to_string(),
            macs: plan.macs[i],
            estimated_cycles: plan.cycles[i].total(),
            proof: proof(plan, i),
            stream: layer_stream(plan, i),
            transfer: layer_transfer(plan, i),
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
