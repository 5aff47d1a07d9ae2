//! An LSTM with int8 weights, input and hidden state in the products, FP16 gates and cell state.

use crate::error::Result;
use crate::fp16::{Fp16, Fp16Factor, Fp16Quantizer};
use crate::lstm::Gate;

/// The arithmetic of one step, `macforge-fp16-lstm`. It is this project's own: what a runtime
/// computes in float32 is computed here from integer sums of products and FP16 operations, each
/// rounded once.
///
/// With `wx = sum(W (x - zx)) + bias` and `wh = sum(R (h - zh))` in int32, per unit:
///
/// ```text
/// s = fp16(wx * input) + fp16(wh * recurrent)            one s per gate
/// i, f, o = logistic(s)    g = tanh(s)                   Fp16::logistic, Fp16::tanh
/// c = f * c + i * g                                      two products, one sum
/// h = clamp8(round(o * tanh(c) / scale) + zero point)    ties to even
/// ```
///
/// The cell state is FP16 and starts at zero. The hidden state is FP16 until it is quantized; the
/// int8 is the output and what the next step multiplies, so it starts at the zero point. No operation
/// overflows where `|wx * input|` and `|wh * recurrent|` stay below [`Self::LARGEST_PART`], which the
/// planner proves: a cell state grows by at most one per step, and not beyond 2048.
#[derive(Clone, Debug, PartialEq)]
pub struct Fp16LstmRule {
    /// Factor of `wx`, per gate and unit: scale of the input times that of the weights.
    pub input: [Vec<Fp16Factor>; 4],
    /// Factor of `wh`, per gate and unit.
    pub recurrent: [Vec<Fp16Factor>; 4],
    /// FP16 to the hidden state's int8.
    pub output: Fp16Quantizer,
}

/// Real scales that an [`Fp16LstmRule`] is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Fp16LstmScales {
    /// Scale of the input.
    pub input: f32,
    /// Scales of the input's weights, per gate and unit.
    pub input_weights: [Vec<f32>; 4],
    /// Scales of the recurrent weights, per gate and unit.
    pub recurrent_weights: [Vec<f32>; 4],
    /// Scale of the hidden state.
    pub hidden: f32,
    /// Zero point of the hidden state.
    pub hidden_zero_point: i32,
}

impl Fp16LstmRule {
    /// Two parts below it add up to a finite number.
    pub const LARGEST_PART: f64 = 32_752.0;

    /// The rule of real scales.
    ///
    /// # Errors
    /// A scale is out of range ([`Fp16Factor::from_real`]), or the zero point no int8.
    pub fn new(scales: &Fp16LstmScales) -> Result<Self> {
        let factors = |weights: &[Vec<f32>; 4], x: f32| -> Result<[Vec<Fp16Factor>; 4]> {
            let gate = |w: &Vec<f32>| -> Result<Vec<Fp16Factor>> {
                w.iter()
                    .map(|&w| Fp16Factor::from_real(f64::from(x) * f64::from(w)))
                    .collect()
            };
            let [i, f, g, o] = weights.each_ref().map(gate);
            Ok([i?, f?, g?, o?])
        };
        Ok(Self {
            input: factors(&scales.input_weights, scales.input)?,
            recurrent: factors(&scales.recurrent_weights, scales.hidden)?,
            output: Fp16Quantizer::new(scales.hidden, scales.hidden_zero_point)?,
        })
    }

    /// A gate's sum; `wx` and `wh` are int32.
    pub fn gate_sum(&self, gate: Gate, unit: usize, wx: i64, wh: i64) -> Fp16 {
        let own = self.input[gate as usize][unit].dequantize(wx);
        own.plus(self.recurrent[gate as usize][unit].dequantize(wh))
    }

    /// A gate's activation function.
    pub fn activate(gate: Gate, sum: Fp16) -> Fp16 {
        match gate {
            Gate::Cell => sum.tanh(),
            _ => sum.logistic(),
        }
    }

    /// The new cell state from the old one and the gates `[i, f, g, _]`.
    pub fn cell(&self, cell: Fp16, [input, forget, candidate, _]: [Fp16; 4]) -> Fp16 {
        forget.times(cell).plus(input.times(candidate))
    }

    /// The hidden state before its clamp, from the output gate and the cell state.
    pub fn hidden_unclamped(&self, output_gate: Fp16, cell: Fp16) -> i64 {
        self.output.unclamped(output_gate.times(cell.tanh()))
    }
}
