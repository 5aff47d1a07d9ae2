//! `READ_VARIABLE` and `ASSIGN_VARIABLE`: the handles were resolved before.

use super::{OpContext, Refusal, malformed, unsupported};
use crate::graph::{OpKind, Tensor};

pub(super) fn import_read(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let output = op.output()?;
    let (variable, initial) = variable(op)?;
    check(op, output, initial)?;
    Ok(OpKind::ReadVariable(variable))
}

pub(super) fn import_assign(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let value = op.activation8(1)?;
    let (variable, initial) = variable(op)?;
    check(op, value, initial)?;
    Ok(OpKind::AssignVariable(variable))
}

/// The variable behind input 0, and its reset value.
fn variable<'a>(op: &OpContext<'a>) -> Result<(usize, &'a Tensor), Refusal> {
    let Some(handle) = op.operand(0) else {
        return malformed("inputs", format!("{} has no input 0", op.name));
    };
    match op.handles.variable(handle) {
        Some(found) => Ok(found),
        None => unsupported(
            Some(handle),
            "a variable without a handle or without a value to start from",
            "VAR_HANDLE, and CALL_ONCE with a constant for it",
        ),
    }
}

/// A value of the variable has its type, shape and parameters.
fn check(op: &OpContext<'_>, value: usize, initial: &Tensor) -> Result<(), Refusal> {
    op.expect_8_bits(value)?;
    let tensor = op.tensor(value);
    let alike = tensor.dtype == initial.dtype
        && tensor.shape == initial.shape
        && tensor.quantization == initial.quantization;
    if alike {
        return Ok(());
    }
    unsupported(
        Some(value),
        format!(
            "{} {:?} for a variable {} {:?}",
            tensor.dtype, tensor.shape, initial.dtype, initial.shape
        ),
        "the variable's type, shape and quantization",
    )
}
