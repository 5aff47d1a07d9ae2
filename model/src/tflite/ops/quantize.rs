//! `QUANTIZE` (float32 or int8 to int8) and `DEQUANTIZE` (int8 to float32).

use super::{OpContext, Refusal};
use crate::graph::{ElementType, OpKind};

pub(super) fn import_quantize(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation(0)?;
    let output = op.int8_output()?;
    if op.tensor(input).dtype != ElementType::F32 {
        op.expect_type(input, ElementType::I8)?;
    }
    op.expect_same_shape(input, output)?;
    Ok(OpKind::Quantize)
}

pub(super) fn import_dequantize(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.int8_activation(0)?;
    let output = op.output()?;
    op.expect_type(output, ElementType::F32)?;
    op.expect_same_shape(input, output)?;
    Ok(OpKind::Dequantize)
}
