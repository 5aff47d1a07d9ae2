//! The recurrent layer: one step per row of the input, from a reset state.

use macforge_numeric::lstm::Gate;
use macforge_numeric::{Clamp, Fp16, Fp16LstmRule, LstmRule};
use macforge_quant::{Lstm, LstmArithmetic};

use super::{Context, Output};
use crate::dot::dot;
use crate::error::ReferenceError;

/// One step's arithmetic on gates and cell states of one type.
trait Arithmetic {
    type Value: Copy + Default;
    /// A gate from its two sums.
    fn gate(&self, gate: Gate, unit: usize, wx: i64, wh: i64) -> Self::Value;
    /// The new cell state.
    fn cell(&self, cell: Self::Value, gates: [Self::Value; 4]) -> Self::Value;
    /// The hidden state before its clamp.
    fn hidden(&self, output_gate: Self::Value, cell: Self::Value) -> i64;
}

impl Arithmetic for LstmRule {
    type Value = i16;

    fn gate(&self, gate: Gate, _: usize, wx: i64, wh: i64) -> i16 {
        LstmRule::activate(gate, self.gate_sum(gate, wx, wh))
    }

    fn cell(&self, cell: i16, gates: [i16; 4]) -> i16 {
        self.cell(cell, gates)
    }

    fn hidden(&self, output_gate: i16, cell: i16) -> i64 {
        self.hidden_unclamped(output_gate, cell)
    }
}

impl Arithmetic for Fp16LstmRule {
    type Value = Fp16;

    fn gate(&self, gate: Gate, unit: usize, wx: i64, wh: i64) -> Fp16 {
        Fp16LstmRule::activate(gate, self.gate_sum(gate, unit, wx, wh))
    }

    fn cell(&self, cell: Fp16, gates: [Fp16; 4]) -> Fp16 {
        self.cell(cell, gates)
    }

    fn hidden(&self, output_gate: Fp16, cell: Fp16) -> i64 {
        self.hidden_unclamped(output_gate, cell)
    }
}

pub(super) fn eval(cx: &Context, op: &Lstm) -> Result<Output, ReferenceError> {
    check(cx, op)?;
    match &op.rule {
        LstmArithmetic::Integer(rule) => sequence(cx, op, rule),
        LstmArithmetic::Fp16(rule) => {
            for factors in rule.input.iter().chain(&rule.recurrent) {
                cx.expect("gate factors", factors.len(), op.units)?;
            }
            sequence(cx, op, rule)
        }
    }
}

fn sequence<A: Arithmetic>(cx: &Context, op: &Lstm, rule: &A) -> Result<Output, ReferenceError> {
    let zx = cx.input_params()?.zero_point as i16;
    let zh = cx.output_params()?.zero_point as i16;
    let x: Vec<i16> = cx.input(0)?.iter().map(|&q| i16::from(q) - zx).collect();
    let mut hidden = vec![0i16; op.units];
    let mut cell = vec![A::Value::default(); op.units];
    let mut elements = Vec::new();
    let mut saturations = 0;
    for x in x.chunks_exact(op.inputs) {
        let mut next = Vec::with_capacity(op.units);
        for (unit, cell) in cell.iter_mut().enumerate() {
            let mut gates = [A::Value::default(); 4];
            for (value, gate) in gates.iter_mut().zip(Gate::ALL) {
                let [wx, wh] = sums(cx, op, gate, unit, x, &hidden)?;
                *value = rule.gate(gate, unit, wx, wh);
            }
            *cell = rule.cell(*cell, gates);
            let y = rule.hidden(gates[3], *cell);
            saturations += u64::from(Clamp::INT8.saturates(y, false));
            next.push(Clamp::INT8.apply(y) as i8);
        }
        hidden = next.iter().map(|&h| i16::from(h) - zh).collect();
        elements.extend(next);
    }
    cx.output(elements, saturations)
}

/// The input's and the hidden state's sum of one gate of one unit.
fn sums(
    cx: &Context,
    op: &Lstm,
    gate: Gate,
    unit: usize,
    x: &[i16],
    hidden: &[i16],
) -> Result<[i64; 2], ReferenceError> {
    let weights = &op.gates[gate as usize];
    let own = dot(&weights.input_weights[unit * op.inputs..][..op.inputs], x);
    let back = dot(
        &weights.recurrent_weights[unit * op.units..][..op.units],
        hidden,
    );
    let sums = [own + i64::from(weights.bias[unit]), back];
    if let Some(&value) = sums.iter().find(|&&sum| i32::try_from(sum).is_err()) {
        return Err(ReferenceError::AccumulatorOverflow {
            node: cx.node.name.clone(),
            channel: unit,
            value,
            bits: 32,
        });
    }
    Ok(sums)
}

/// Sizes of sequences, weights and biases.
fn check(cx: &Context, op: &Lstm) -> Result<(), ReferenceError> {
    let [_, _, inputs] = cx.graph.tensor(cx.node.inputs[0]).hwc();
    cx.expect("input features", inputs, op.inputs.max(1))?;
    for gate in &op.gates {
        cx.expect(
            "input weights",
            gate.input_weights.len(),
            op.units * op.inputs,
        )?;
        cx.expect(
            "recurrent weights",
            gate.recurrent_weights.len(),
            op.units * op.units,
        )?;
        cx.expect("biases", gate.bias.len(), op.units)?;
    }
    Ok(())
}
