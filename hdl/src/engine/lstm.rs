//! The LSTM unit: [`macforge_numeric::LstmRule`] or [`macforge_numeric::Fp16LstmRule`] over a sequence
//! in the activation buffer.
//!
//! | module | does |
//! | --- | --- |
//! | `lstm_unit` | control, states, cell update, hidden state |
//! | `lstm_loader`, `lstm_vector` | input vectors from the buffer; vectors of bytes |
//! | `lstm_gates` | the eight sums of a unit |
//! | `lstm_scale` | TFLite's multiplier with both roundings |
//! | `lstm_activation` | 16-bit logistic function and tanh from tables |
//! | `fp16_activation` | the same in FP16; the rest of its datapath are blocks ([`crate::blocks::fp16`]) |
//! | `lstm_writer` | hidden state into the buffer |
//! | `lstm_weight_rom`, `lstm_param_rom` | memories of both; no ROM where the weights are streamed |
//! | `lstm_base_rom`, `lstm_delta_rom` or `fp16_tanh_rom` | tables |
//!
//! Memory images, all for `$readmemh`:
//!
//! * `lstm_weights.mem`: per part ([`LstmConstants::parts`]) and unit, first its input weights, then its recurrent ones, `K` inputs a
//!   word; a word holds `K` bytes per gate, input gate lowest.
//!   In streamed designs a word of the weight stream has some of these words, lowest first.
//! * `lstm_params.mem`: per part eight words per unit, for each gate its input's and its hidden state's sum:
//!   bias (32 bits, zero point folded in), multiplier (31), left shift (3), right shift (5), lowest
//!   first; with FP16 bias (32), multiplier (17), exponent (7).
//! * `lstm_base.mem`, `lstm_delta.mem`: [`macforge_numeric::HalfTables`], function by function.
//! * `fp16_tanh.mem`: [`macforge_numeric::Fp16Tables`]' tanh.

use super::lstm_constants::{self, CellConstants, LstmConstants};
use super::{index_bits, module, render, rom};
use crate::VerilogModule;
use crate::blocks::fp16::{add, dequantize, mul, quantize};
use macforge_numeric::Fp16Quantizer;
use macforge_numeric::fp16::{TANH_FIRST, TANH_ONE};
use serde::Serialize;
use tera::Context;

/// Sums per unit: two per gate.
pub const SUMS: usize = 8;

/// Size and constants of an LSTM unit. A layer's constants are those of the number in its program word.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LstmUnit {
    /// Length of an input vector.
    pub inputs: usize,
    /// Length of the states.
    pub units: usize,
    /// Steps.
    pub length: usize,
    /// Products per gate and cycle (`K`).
    pub parallel: usize,
    /// Cycles from one unit to the next: at least a unit's products and [`SUMS`], and even, so that
    /// the lookups of gates and cell state take turns.
    pub interval: usize,
    /// Words of products' weights in a word of the weight stream; absent where `lstm_weight_rom` has
    /// them.
    pub parts: Option<usize>,
    /// From the sums to the hidden state, with the constants by number.
    #[serde(skip)]
    pub datapath: Datapath,
}

/// What computes gates and states.
#[derive(Clone, Debug, PartialEq)]
pub enum Datapath {
    /// TFLite's fixed-point numbers.
    Integer {
        /// Constants, by number.
        constants: Vec<LstmConstants<CellConstants>>,
        /// Functions in the tables.
        functions: usize,
        /// Block size of the tables, as a power of two.
        table_block: u32,
        /// Bits of a table's difference.
        delta_width: u32,
    },
    /// FP16, with the quantizers of the hidden state.
    Fp16(Vec<LstmConstants<Fp16Quantizer>>),
}

const PARTS: [(&str, &str); 3] = [
    ("lstm_loader", include_str!("lstm_loader.v")),
    ("lstm_vector", include_str!("lstm_vector.v")),
    ("lstm_gates", include_str!("lstm_gates.v")),
];
const INTEGER_PARTS: [(&str, &str); 2] = [
    ("lstm_scale", include_str!("lstm_scale.v")),
    ("lstm_activation", include_str!("lstm_activation.v")),
];

/// Cycles from the argument to the value of `fp16_activation`.
pub const FP16_ACTIVATION_LATENCY: usize = 5 + add::LATENCY;

impl LstmUnit {
    /// A unit; `sizes` are inputs, units and length, `shape` is `parallel` and `interval`.
    pub fn new(
        [inputs, units, length]: [usize; 3],
        [parallel, interval]: [usize; 2],
        datapath: Datapath,
    ) -> Self {
        Self {
            inputs,
            units,
            length,
            parallel,
            interval,
            parts: None,
            datapath,
        }
    }

    /// The same unit with weights from the weight stream.
    pub fn streamed(self, parts: Option<usize>) -> Self {
        Self { parts, ..self }
    }

    /// Sets of constants.
    pub fn constants(&self) -> usize {
        match &self.datapath {
            Datapath::Integer { constants, .. } => constants.len(),
            Datapath::Fp16(constants) => constants.len(),
        }
    }

    /// Bits of a word of the weight stream that the unit takes; 0 where its weights are on chip.
    pub fn ring_bits(&self) -> usize {
        self.parts.unwrap_or(0) * 4 * self.parallel * 8
    }

    /// Words of products per unit: input's, then hidden state's.
    pub fn steps(&self) -> [usize; 2] {
        [self.inputs, self.units].map(|n| n.div_ceil(self.parallel))
    }

    /// Registered levels of the tree that adds the products of a cycle.
    pub fn levels(&self) -> usize {
        self.parallel.next_power_of_two().trailing_zeros() as usize
    }

    /// The unit's modules; `lstm_unit` is the last one. They need `delay_line` and `sum_tree` besides,
    /// `word_select` where the weights are streamed, and `high_product` or the blocks of the FP16 lane.
    ///
    /// # Errors
    /// A template does not render; that is a defect of the template.
    pub fn render(&self) -> Result<Vec<VerilogModule>, tera::Error> {
        let mut context = self.context()?;
        let parts = |parts: &[(&str, &str)]| -> Vec<VerilogModule> {
            parts.iter().map(|(n, t)| module(n, t)).collect()
        };
        let mut modules = parts(&PARTS);
        modules.push(writer());
        if self.parts.is_none() {
            modules.push(rom("lstm_weight_rom", "lstm_weights.mem", "block")?);
        }
        modules.push(rom("lstm_param_rom", "lstm_params.mem", "block")?);
        let datapath = match self.datapath {
            Datapath::Integer { .. } => {
                modules.extend(parts(&INTEGER_PARTS));
                modules.push(rom("lstm_base_rom", "lstm_base.mem", "block")?);
                modules.push(rom("lstm_delta_rom", "lstm_delta.mem", "block")?);
                include_str!("lstm_integer.v.tera")
            }
            Datapath::Fp16(_) => {
                modules.push(fp16_tanh_rom()?);
                modules.push(fp16_activation()?);
                include_str!("lstm_fp16.v.tera")
            }
        };
        let datapath = render(datapath, &context)?;
        context.insert("datapath", &datapath);
        let text = render(include_str!("lstm_unit.v.tera"), &context)?;
        modules.push(module("lstm_unit", &text));
        Ok(modules)
    }

    fn context(&self) -> Result<Context, tera::Error> {
        let mut context = Context::from_serialize(self)?;
        let [input_steps, hidden_steps] = self.steps();
        let steps = input_steps + hidden_steps;
        let lane_width = index_bits(self.parallel);
        let numbers = [
            ("input_steps", input_steps),
            ("steps", steps),
            ("levels", self.levels()),
            ("lane_width", lane_width),
            ("vector_width", index_bits(input_steps.max(hidden_steps))),
            ("unit_width", index_bits(self.units)),
            ("ring_bits", self.ring_bits()),
            ("ring_wait", RING_CYCLES),
        ];
        for (name, value) in numbers {
            context.insert(name, &value);
        }
        if let Some(parts) = self.parts {
            let width = index_bits(parts);
            context.insert("part_width", &width);
            context.insert("part_last", &format!("{width}'d{}", parts - 1));
            context.insert("last_turn", &format!("1'b{}", (steps - 1) % 2));
        }
        context.insert("lane_last", &format!("{lane_width}'d{}", self.parallel - 1));
        match &self.datapath {
            Datapath::Integer {
                constants,
                functions,
                table_block,
                delta_width,
            } => {
                context.insert("table_block", table_block);
                context.insert("delta_width", delta_width);
                lstm_constants::integer(self, constants, *functions, &mut context);
            }
            Datapath::Fp16(constants) => {
                for (name, value) in FP16_LATENCIES {
                    context.insert(name, &value);
                }
                lstm_constants::fp16(self, constants, &mut context);
            }
        }
        context.insert("fp16", &matches!(self.datapath, Datapath::Fp16(_)));
        Ok(context)
    }
}

/// Latencies that the template of the FP16 datapath needs.
const FP16_LATENCIES: [(&str, usize); 6] = [
    ("dequantize_latency", dequantize::LATENCY),
    ("add_latency", add::LATENCY),
    ("mul_latency", mul::LATENCY),
    ("quantize_latency", quantize::LATENCY),
    ("activation_latency", FP16_ACTIVATION_LATENCY),
    ("cell_wait", CELL_WAIT),
];

/// Cycles that an FP16 cell state waits, so that from a unit's last gate to it an odd number goes by.
const CELL_WAIT: usize = (FP16_ACTIVATION_LATENCY + mul::LATENCY + add::LATENCY + 1) % 2;

/// Packs values into words of the activation buffer.
pub fn writer() -> VerilogModule {
    module("lstm_writer", include_str!("lstm_writer.v"))
}

/// The table of [`fp16_activation`].
///
/// # Errors
/// As [`LstmUnit::render`].
pub fn fp16_tanh_rom() -> Result<VerilogModule, tera::Error> {
    rom("fp16_tanh_rom", "fp16_tanh.mem", "block")
}

/// Logistic function and tanh of FP16 numbers; needs `fp16_add`, `delay_line` and `fp16_tanh_rom`.
///
/// # Errors
/// As [`LstmUnit::render`].
pub fn fp16_activation() -> Result<VerilogModule, tera::Error> {
    let mut context = Context::new();
    context.insert("first", &format!("{TANH_FIRST:04x}"));
    context.insert("one", &format!("{TANH_ONE:04x}"));
    context.insert("add_latency", &add::LATENCY);
    context.insert("latency", &FP16_ACTIVATION_LATENCY);
    let text = render(include_str!("fp16_activation.v.tera"), &context)?;
    Ok(module("fp16_activation", &text))
}

/// Cycles of a step besides its products and their tree (`(units - 1) * interval + steps + levels`): from the last sum to the last hidden value
/// (queue, scaling, two activation functions, cell state, scaling), and to the next step.
pub const STEP_CYCLES: usize = 57;

/// The same with FP16.
pub const FP16_STEP_CYCLES: usize = 108;

/// What a step takes longer with weights from the ring, which come later than those of a ROM.
pub const RING_CYCLES: usize = 4;
