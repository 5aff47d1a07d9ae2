//! `UNIDIRECTIONAL_SEQUENCE_LSTM`, fully integer: int8 activations and weights, int16 cell state.

use super::{OpContext, Refusal, malformed, unsupported};
use crate::graph::{ElementType, LstmOptions, OpKind};
use crate::tflite::schema::{operator, options_type, unidirectional_sequence_lstm_options as f};

/// Operand positions of TFLite's full LSTM kernel.
const INPUT_WEIGHTS: std::ops::Range<usize> = 1..5;
const RECURRENT_WEIGHTS: std::ops::Range<usize> = 5..9;
const PEEPHOLES: std::ops::Range<usize> = 9..12;
const BIASES: std::ops::Range<usize> = 12..16;
const PROJECTION: std::ops::Range<usize> = 16..18;
const HIDDEN_STATE: usize = 18;
const CELL_STATE: usize = 19;
const NORMALIZATION: std::ops::Range<usize> = 20..24;

/// Number of tensors that TFLite keeps the gates' and the hidden state's quantization in.
const INTERMEDIATES: usize = 5;

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let output = op.output_like(input)?;
    op.expect_type(input, ElementType::I8)?;
    let [steps, inputs] = sequence(op, input)?;
    let [out_steps, units] = sequence(op, output)?;
    if steps != out_steps {
        return malformed(
            "outputs[0]",
            format!("{out_steps} steps from a sequence of {steps}"),
        );
    }
    left_out(op, PEEPHOLES, "peepholes", "an LSTM without peepholes")?;
    left_out(
        op,
        PROJECTION,
        "a projection",
        "a FULLY_CONNECTED behind the LSTM",
    )?;
    left_out(
        op,
        NORMALIZATION,
        "layer normalization",
        "an LSTM without it",
    )?;
    for position in INPUT_WEIGHTS {
        matrix(op, position, [units, inputs])?;
    }
    for position in RECURRENT_WEIGHTS {
        matrix(op, position, [units, units])?;
    }
    for position in BIASES {
        let bias = op.constant(position, ElementType::I32)?;
        elements(op, position, bias, units)?;
    }
    for (position, dtype) in [
        (HIDDEN_STATE, ElementType::I8),
        (CELL_STATE, ElementType::I16),
    ] {
        let state = op.activation(position)?;
        op.expect_type(state, dtype)?;
        elements(op, position, state, units)?;
    }
    options(op)
}

fn options(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let options = op.options(options_type::UNIDIRECTIONAL_SEQUENCE_LSTM)?;
    let activation = options.scalar(f::ACTIVATION, 0i8)?;
    if activation != 4 {
        return unsupported(None, format!("fused activation {activation}"), "TANH (4)");
    }
    if options.scalar(f::TIME_MAJOR, 0u8)? != 0 {
        return unsupported(
            None,
            "a time-major sequence",
            "shape [1, T, I], batch first",
        );
    }
    if options.scalar(f::DIAGONAL_RECURRENT, 0u8)? != 0 {
        return unsupported(None, "diagonal recurrent weights", "full matrices");
    }
    let cell_clip: f32 = options.scalar(f::CELL_CLIP, 0.0)?;
    if !(cell_clip.is_finite() && cell_clip >= 0.0) {
        return malformed(f::CELL_CLIP.name, format!("{cell_clip}, wanted 0 or more"));
    }
    match *op.intermediates {
        [_, _, _, _, Some(hidden)] => Ok(OpKind::Lstm(LstmOptions { cell_clip, hidden })),
        _ => unsupported(
            None,
            format!("{} intermediate tensors", op.intermediates.len()),
            format!("{INTERMEDIATES}, as a fully integer LSTM has"),
        ),
    }
}

/// A sequence `[1, T, C]`.
fn sequence(op: &OpContext<'_>, index: usize) -> Result<[usize; 2], Refusal> {
    match *op.tensor(index).shape {
        [1, t, c] if t > 0 && c > 0 => Ok([t, c]),
        [_, t, c] if t > 0 && c > 0 => unsupported(
            Some(index),
            format!("shape {:?}", op.tensor(index).shape),
            "batch 1 as the first dimension",
        ),
        _ => malformed(
            "inputs",
            format!(
                "tensor `{}` has shape {:?}, wanted [1, T, C]",
                op.tensor(index).name,
                op.tensor(index).shape
            ),
        ),
    }
}

/// Operands of a variant that is not built.
fn left_out(
    op: &OpContext<'_>,
    positions: std::ops::Range<usize>,
    found: &str,
    needed: &str,
) -> Result<(), Refusal> {
    match positions.into_iter().find_map(|p| op.operand(p)) {
        Some(index) => unsupported(Some(index), found, needed),
        None => Ok(()),
    }
}

/// Constant int8 weights of one gate. Where the input gate's are left out, it is coupled to the forget gate.
fn matrix(op: &OpContext<'_>, position: usize, wanted: [usize; 2]) -> Result<(), Refusal> {
    let coupled = [INPUT_WEIGHTS.start, RECURRENT_WEIGHTS.start].contains(&position);
    if coupled && op.operand(position).is_none() {
        return unsupported(
            None,
            "an input gate that is coupled to the forget gate (CIFG)",
            "an LSTM with four gates",
        );
    }
    let weights = op.constant(position, ElementType::I8)?;
    if op.tensor(weights).shape == wanted {
        return Ok(());
    }
    malformed(
        operator::INPUTS.name,
        format!(
            "weights `{}` have shape {:?}, wanted {wanted:?}",
            op.tensor(weights).name,
            op.tensor(weights).shape
        ),
    )
}

fn elements(
    op: &OpContext<'_>,
    position: usize,
    index: usize,
    units: usize,
) -> Result<(), Refusal> {
    if op.tensor(index).elements() == units {
        return Ok(());
    }
    malformed(
        format!("inputs[{position}]").as_str(),
        format!(
            "`{}` has shape {:?}, wanted {units} elements",
            op.tensor(index).name,
            op.tensor(index).shape
        ),
    )
}
