//! UNIDIRECTIONAL_SEQUENCE_LSTM: one step per row of the input, from a reset state.

use macforge_numeric::lstm::Gate;
use macforge_numeric::{Clamp, LstmRule};
use macforge_quant::Lstm;

use super::{Context, Output};
use crate::dot::dot;
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context, op: &Lstm) -> Result<Output, ReferenceError> {
    let zx = cx.input_params()?.zero_point as i16;
    let zh = cx.output_params()?.zero_point as i16;
    check(cx, op)?;
    let x: Vec<i16> = cx.input(0)?.iter().map(|&q| i16::from(q) - zx).collect();
    let (mut hidden, mut cell) = (vec![0i16; op.units], vec![0i16; op.units]);
    let mut elements = Vec::new();
    let mut saturations = 0;
    for x in x.chunks_exact(op.inputs) {
        let mut next = Vec::with_capacity(op.units);
        for (unit, cell) in cell.iter_mut().enumerate() {
            let mut gates = [0i16; 4];
            for (value, gate) in gates.iter_mut().zip(Gate::ALL) {
                *value = activation(cx, op, gate, unit, x, &hidden)?;
            }
            *cell = op.rule.cell(*cell, gates);
            let y = op.rule.hidden_unclamped(gates[3], *cell);
            saturations += u64::from(Clamp::INT8.saturates(y, false));
            next.push(Clamp::INT8.apply(y) as i8);
        }
        hidden = next.iter().map(|&h| i16::from(h) - zh).collect();
        elements.extend(next);
    }
    cx.output(elements, saturations)
}

/// One gate of one unit, in Q0.15.
fn activation(
    cx: &Context,
    op: &Lstm,
    gate: Gate,
    unit: usize,
    x: &[i16],
    hidden: &[i16],
) -> Result<i16, ReferenceError> {
    let weights = &op.gates[gate as usize];
    let own = dot(&weights.input_weights[unit * op.inputs..][..op.inputs], x);
    let back = dot(
        &weights.recurrent_weights[unit * op.units..][..op.units],
        hidden,
    );
    let (wx, wh) = (own + i64::from(weights.bias[unit]), back);
    if let Some(&value) = [wx, wh].iter().find(|&&sum| i32::try_from(sum).is_err()) {
        return Err(ReferenceError::AccumulatorOverflow {
            node: cx.node.name.clone(),
            channel: unit,
            value,
        });
    }
    let sum = op.rule.gate_sum(gate, wx, wh);
    Ok(LstmRule::activate(gate, sum))
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
