//! TFLite's fully integer LSTM: int8 input, weights and hidden state, int16 gates and cell state.

use crate::error::{NumericError, Result};
use crate::fixed::{
    multiply_double_rounding, multiply_single_rounding, quantize_multiplier, rounding_divide_by_pot,
};
use crate::format::{Clamp, Semantics};
use crate::requant::{RequantRule, Requantizer};
use crate::transcendental::{logistic, tanh};

/// Gates in the order of all per-gate arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// How much of the candidate enters the cell.
    Input,
    /// How much of the cell stays.
    Forget,
    /// The candidate.
    Cell,
    /// How much of the cell is shown.
    Output,
}

impl Gate {
    /// All gates, in order.
    pub const ALL: [Gate; 4] = [Gate::Input, Gate::Forget, Gate::Cell, Gate::Output];
}

/// Integer bits of a gate's sum before its activation function (Q3.12).
pub const GATE_INTEGER_BITS: u32 = 3;

/// A TFLite multiplier and its rounding: `x * multiplier * 2^(shift - 31)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    /// In `2^30..2^31`, or 0.
    pub multiplier: i32,
    /// In -31..=30; positive shifts left, before the product.
    pub shift: i32,
    /// One rounding after the full product instead of gemmlowp's two.
    pub single_rounding: bool,
}

impl Factor {
    /// The product with an int32, rounded.
    pub fn apply(self, x: i64) -> i64 {
        if self.single_rounding {
            multiply_single_rounding(x, self.multiplier, self.shift)
        } else {
            multiply_double_rounding(x, self.multiplier, self.shift)
        }
    }

    /// The requantizer that rounds the same way, zero point 0, for [`crate::LaneConstants`].
    pub fn requantizer(self) -> Requantizer {
        let (multiplier, shift) = (self.multiplier, self.shift);
        Requantizer {
            rule: if self.single_rounding {
                RequantRule::TfliteSingle { multiplier, shift }
            } else {
                RequantRule::TfliteDouble { multiplier, shift }
            },
            zero_point: 0,
            clamp: Clamp::INT8,
        }
    }

    fn tflite(semantics: Semantics, real: f32) -> Result<Self> {
        let (multiplier, shift) = quantize_multiplier(real.into())?;
        if shift > 30 {
            return Err(NumericError::MultiplierRange {
                found: real.into(),
                semantics: OPERATOR,
                wanted: "below 2^30",
            });
        }
        Ok(Self {
            multiplier,
            shift,
            single_rounding: semantics == Semantics::TfliteSingle,
        })
    }
}

const OPERATOR: &str = "tflite UNIDIRECTIONAL_SEQUENCE_LSTM";

/// The arithmetic of one LSTM step (TFLite `LstmStepInteger8x8_16`; no projection, peephole, layer
/// normalization or coupled gates).
///
/// With `wx = sum(W (x - zx)) + bias` and `wh = sum(R (h - zh))` in int32, per unit:
///
/// ```text
/// s = clamp16(clamp16(wx * input) + wh * recurrent)      Q3.12, one s per gate
/// i, f, o = logistic(s)    g = tanh(s)                   Q0.15, gemmlowp's 16-bit functions
/// c = clamp16(round(f * c / 2^15) + round(i * g / 2^(15 + m)))   then the cell clip
/// h = clamp8(o * tanh(c) * output + zero point)
/// ```
///
/// `m` is the number of integer bits of the cell state: its scale is `2^(m - 15)`. `round` is half away
/// from zero. Neither product of the cell's line leaves int16: a logistic value is in 0..=32767 and
/// `m` is not negative. Both sums and `o * tanh(c)` are int32 values.
#[derive(Clone, Debug, PartialEq)]
pub struct LstmRule {
    /// Factor of `wx`, per gate.
    pub input: [Factor; 4],
    /// Factor of `wh`, per gate.
    pub recurrent: [Factor; 4],
    /// `m`, in 0..=6.
    pub cell_integer_bits: u32,
    /// Bound of the cell state's magnitude, at least 1; `None` where it is not clipped.
    pub cell_clip: Option<i16>,
    /// Factor of `o * tanh(c)` (Q0.30).
    pub output: Factor,
    /// Zero point of the hidden state.
    pub output_zero_point: i32,
}

/// Real scales that an [`LstmRule`] is made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LstmScales {
    /// Scale of the input.
    pub input: f32,
    /// Scales of the input's weights, per gate.
    pub input_weights: [f32; 4],
    /// Scales of the recurrent weights, per gate.
    pub recurrent_weights: [f32; 4],
    /// Scale of the hidden state, which is the output.
    pub hidden: f32,
    /// Zero point of the hidden state.
    pub hidden_zero_point: i32,
    /// Scale of the cell state.
    pub cell: f32,
    /// Bound of the cell state in real numbers; 0 where it is not clipped.
    pub cell_clip: f32,
}

impl LstmRule {
    /// Most integer bits of the cell state that TFLite has a tanh for.
    pub const MAX_CELL_INTEGER_BITS: u32 = 6;

    /// The rule that TFLite derives (`PopulateQuantizedLstmParams8x8_16`); `semantics` is one of the
    /// two TFLite ones.
    ///
    /// # Errors
    /// The cell's scale is no power of two in `2^-15..=2^-9`; a multiplier is out of range.
    pub fn tflite(semantics: Semantics, scales: &LstmScales) -> Result<Self> {
        // Products and quotients in float32, as TFLite has them; dividing by 2^-12 is exact.
        let unit = 2f32.powi(GATE_INTEGER_BITS as i32 - 15);
        let factors = |weights: [f32; 4], x: f32| -> Result<[Factor; 4]> {
            let [i, f, g, o] = weights.map(|w| Factor::tflite(semantics, w * x / unit));
            Ok([i?, f?, g?, o?])
        };
        Ok(Self {
            input: factors(scales.input_weights, scales.input)?,
            recurrent: factors(scales.recurrent_weights, scales.hidden)?,
            cell_integer_bits: cell_integer_bits(scales.cell)?,
            // Truncated; a bound that becomes 0 switches the clip off, as in TFLite.
            cell_clip: Some((scales.cell_clip / scales.cell).min(32767.0) as i16)
                .filter(|&clip| clip > 0),
            output: Factor::tflite(
                semantics,
                (2f64.powi(-30) / f64::from(scales.hidden)) as f32,
            )?,
            output_zero_point: scales.hidden_zero_point,
        })
    }

    /// A gate's sum in Q3.12; `wx` and `wh` are int32.
    pub fn gate_sum(&self, gate: Gate, wx: i64, wh: i64) -> i16 {
        let own = clamp16(self.input[gate as usize].apply(wx));
        clamp16(self.recurrent[gate as usize].apply(wh) + i64::from(own))
    }

    /// A gate's activation function, Q3.12 to Q0.15.
    pub fn activate(gate: Gate, sum: i16) -> i16 {
        match gate {
            Gate::Cell => tanh::<16>(sum.into(), GATE_INTEGER_BITS) as i16,
            _ => logistic::<16>(sum.into(), GATE_INTEGER_BITS) as i16,
        }
    }

    /// The new cell state from the old one and the gates `[i, f, g, _]`.
    pub fn cell(&self, cell: i16, gates: [i16; 4]) -> i16 {
        let [input, forget, candidate, _] = gates.map(i64::from);
        let kept = rounding_divide_by_pot(forget * i64::from(cell), 15);
        let entering = rounding_divide_by_pot(input * candidate, 15 + self.cell_integer_bits);
        let sum = clamp16(kept + entering);
        self.cell_clip.map_or(sum, |clip| sum.clamp(-clip, clip))
    }

    /// `tanh` of the cell state in Q0.15.
    pub fn cell_tanh(&self, cell: i16) -> i16 {
        tanh::<16>(cell.into(), self.cell_integer_bits) as i16
    }

    /// The hidden state before its clamp, from the output gate and the cell state.
    pub fn hidden_unclamped(&self, output_gate: i16, cell: i16) -> i64 {
        let product = i64::from(output_gate) * i64::from(self.cell_tanh(cell));
        self.output.apply(product) + i64::from(self.output_zero_point)
    }
}

/// `m` of a cell state's scale `2^(m - 15)`.
fn cell_integer_bits(scale: f32) -> Result<u32> {
    let bits = 0..=LstmRule::MAX_CELL_INTEGER_BITS;
    bits.into_iter()
        .find(|&m| scale == 2f32.powi(m as i32 - 15))
        .ok_or(NumericError::MultiplierRange {
            found: scale.into(),
            semantics: OPERATOR,
            wanted: "a cell state's scale that is a power of two in 2^-15..=2^-9",
        })
}

fn clamp16(value: i64) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}
