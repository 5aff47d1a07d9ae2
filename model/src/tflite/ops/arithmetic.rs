//! Functions of two operands: `ADD`, `SUB`, `MUL`, `MINIMUM`, `MAXIMUM`, and `PRELU`.

use super::{OpContext, Refusal, malformed, unsupported};
use crate::graph::{Activation, BinaryKind, OpKind};
use crate::tflite::schema::arithmetic_options as f;

/// `options`: type of the options table with the fused activation, where there is one.
pub(super) fn import(
    op: &OpContext<'_>,
    kind: BinaryKind,
    options: Option<u8>,
) -> Result<OpKind, Refusal> {
    let output = op.output()?;
    op.expect_8_bits(output)?;
    let (a, b) = (operand(op, 0, output)?, operand(op, 1, output)?);
    if op.tensor(a).data.is_some() && op.tensor(b).data.is_some() {
        return unsupported(
            Some(output),
            "both operands are constants",
            "constant folding in the converter",
        );
    }
    let (x, y, out) = (op.tensor(a), op.tensor(b), op.tensor(output));
    if broadcast(&x.shape, &y.shape).as_ref() != Some(&out.shape) {
        return malformed(
            "inputs[1]",
            format!(
                "{:?} and {:?} do not give {:?}",
                x.shape, y.shape, out.shape
            ),
        );
    }
    let activation = match options {
        Some(kind) => op.fused(op.options(kind)?, f::ACTIVATION)?,
        None => Activation::None,
    };
    Ok(OpKind::Binary(kind, activation))
}

/// An operand of the output's type; a constant one has one element.
fn operand(op: &OpContext<'_>, position: usize, output: usize) -> Result<usize, Refusal> {
    let Some(index) = op.operand(position) else {
        return malformed("inputs", format!("{} has no input {position}", op.name));
    };
    op.expect_type(index, op.tensor(output).dtype)?;
    let tensor = op.tensor(index);
    if tensor.data.is_some() && tensor.elements() != 1 {
        return unsupported(
            Some(index),
            format!("constant operand of shape {:?}", tensor.shape),
            "a constant of one element, or an operand computed at run time",
        );
    }
    Ok(index)
}

pub(super) fn import_prelu(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let output = op.output_like(input)?;
    op.expect_same_shape(input, output)?;
    let slope = op.constant(1, op.tensor(input).dtype)?;
    let (x, a) = (&op.tensor(input).shape, &op.tensor(slope).shape);
    let channels = a.last().copied().unwrap_or(1);
    let shared = op.tensor(slope).elements() == channels;
    if !shared || !(channels == 1 || x.last() == Some(&channels)) {
        return unsupported(
            Some(slope),
            format!("slopes of shape {a:?} for an input {x:?}"),
            "one slope, or one per channel (shared over height and width)",
        );
    }
    Ok(OpKind::Prelu)
}

/// Numpy's rule.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], d: usize| match (d + shape.len()).checked_sub(rank) {
        Some(own) => shape[own],
        None => 1,
    };
    let join = |d| match (size(a, d), size(b, d)) {
        (x, y) if x == y => Some(x),
        (1, other) | (other, 1) => Some(other),
        _ => None,
    };
    (0..rank).map(join).collect()
}
