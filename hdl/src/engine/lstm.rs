//! The LSTM unit: [`macforge_numeric::LstmRule`] over a sequence in the activation buffer.
//!
//! | module | does |
//! | --- | --- |
//! | `lstm_unit` | control, states, cell update, hidden state |
//! | `lstm_loader`, `lstm_vector` | input vectors from the buffer; vectors of bytes |
//! | `lstm_gates` | the eight sums of a unit |
//! | `lstm_scale` | TFLite's multiplier with both roundings |
//! | `lstm_activation` | logistic function and tanh from tables |
//! | `lstm_writer` | hidden state into the buffer |
//! | `lstm_weight_rom`, `lstm_param_rom`, `lstm_base_rom`, `lstm_delta_rom` | memories |
//!
//! Memory images, all for `$readmemh`:
//!
//! * `lstm_weights.mem`: per unit, first its input weights, then its recurrent ones, `K` inputs a
//!   word; a word holds `K` bytes per gate, input gate lowest.
//! * `lstm_params.mem`: eight words per unit, for each gate its input's and its hidden state's sum:
//!   bias (32 bits, zero point folded in), multiplier (31), left shift (3), right shift (5), lowest
//!   first.
//! * `lstm_base.mem`, `lstm_delta.mem`: [`macforge_numeric::HalfTables`], function by function.

use super::{index_bits, module, render, rom};
use crate::VerilogModule;
use macforge_numeric::{HalfTables, LstmRule};
use serde::Serialize;
use tera::Context;

/// Sums per unit: two per gate.
pub const SUMS: usize = 8;

/// Size and constants of an LSTM unit.
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
    /// Integer bits of the cell state.
    pub cell_integer_bits: u32,
    /// Bound of the cell state; 0 where it is not clipped.
    pub clip: i16,
    /// Zero point of the hidden state.
    pub zero_point: i32,
    /// Factor of the hidden state: multiplier.
    pub output_multiplier: i32,
    /// Factor of the hidden state: right shift.
    pub output_right: i32,
    /// Functions in the tables.
    pub functions: usize,
    /// Block size of the tables, as a power of two.
    pub table_block: u32,
    /// Bits of a table's difference.
    pub delta_width: u32,
}

const PARTS: [(&str, &str); 6] = [
    ("lstm_loader", include_str!("lstm_loader.v")),
    ("lstm_vector", include_str!("lstm_vector.v")),
    ("lstm_gates", include_str!("lstm_gates.v")),
    ("lstm_scale", include_str!("lstm_scale.v")),
    ("lstm_activation", include_str!("lstm_activation.v")),
    ("lstm_writer", include_str!("lstm_writer.v")),
];

impl LstmUnit {
    /// A unit for a rule and its tables, with `parallel` and `interval`.
    pub fn new(
        [inputs, units, length]: [usize; 3],
        [parallel, interval]: [usize; 2],
        rule: &LstmRule,
        tables: &HalfTables,
    ) -> Self {
        Self {
            inputs,
            units,
            length,
            parallel,
            interval,
            cell_integer_bits: rule.cell_integer_bits,
            clip: rule.cell_clip.unwrap_or(0),
            zero_point: rule.output_zero_point,
            output_multiplier: rule.output.multiplier,
            output_right: -rule.output.shift,
            functions: tables.base.len(),
            table_block: tables.block_bits,
            delta_width: tables.delta_bits,
        }
    }

    /// Words of products per unit: input's, then hidden state's.
    pub fn steps(&self) -> [usize; 2] {
        [self.inputs, self.units].map(|n| n.div_ceil(self.parallel))
    }

    /// Registered levels of the tree that adds the products of a cycle.
    pub fn levels(&self) -> usize {
        self.parallel.next_power_of_two().trailing_zeros() as usize
    }

    /// The unit's modules; `lstm_unit` is the last one. They need `high_product`, `delay_line` and
    /// `sum_tree` besides.
    ///
    /// # Errors
    /// A template does not render; that is a defect of the template.
    pub fn render(&self) -> Result<Vec<VerilogModule>, tera::Error> {
        let mut modules: Vec<VerilogModule> = PARTS.iter().map(|(n, t)| module(n, t)).collect();
        for (name, file) in [
            ("lstm_weight_rom", "lstm_weights.mem"),
            ("lstm_param_rom", "lstm_params.mem"),
            ("lstm_base_rom", "lstm_base.mem"),
            ("lstm_delta_rom", "lstm_delta.mem"),
        ] {
            modules.push(rom(name, file, "block")?);
        }
        let text = render(include_str!("lstm_unit.v.tera"), &self.context()?)?;
        modules.push(module("lstm_unit", &text));
        Ok(modules)
    }

    fn context(&self) -> Result<Context, tera::Error> {
        let mut context = Context::from_serialize(self)?;
        let [input_steps, hidden_steps] = self.steps();
        let steps = input_steps + hidden_steps;
        let function_width = index_bits(self.functions);
        let lane_width = index_bits(self.parallel);
        let enter_shift = 15 + self.cell_integer_bits;
        let numbers = [
            ("input_steps", input_steps),
            ("steps", steps),
            ("levels", self.levels()),
            ("lane_width", lane_width),
            ("vector_width", index_bits(input_steps.max(hidden_steps))),
            ("unit_width", index_bits(self.units)),
            ("weight_depth", self.units * steps),
            ("weight_width", index_bits(self.units * steps)),
            ("param_depth", self.units * SUMS),
            ("param_width", index_bits(self.units * SUMS)),
            ("function_width", function_width),
            ("enter_shift", enter_shift as usize),
            ("enter_pad", self.cell_integer_bits as usize),
            ("keep_half", 1 << 14),
            ("enter_half", 1 << (enter_shift - 1)),
            ("zero_point_bits", usize::from(self.zero_point as u8)),
            (
                "zero_point_magnitude",
                self.zero_point.unsigned_abs() as usize,
            ),
        ];
        for (name, value) in numbers {
            context.insert(name, &value);
        }
        let function = |index: usize| format!("{function_width}'d{index}");
        context.insert("tanh_function", &function(1));
        context.insert("cell_function", &function(self.functions - 1));
        context.insert("lane_last", &format!("{lane_width}'d{}", self.parallel - 1));
        Ok(context)
    }
}

/// Cycles of a step besides its products and their tree (`(units - 1) * interval + steps + levels`): from the last sum to the last hidden value
/// (queue, scaling, two activation functions, cell state, scaling), and to the next step.
pub const STEP_CYCLES: usize = 57;
