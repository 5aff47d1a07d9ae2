//! `QUANTIZE` (float32, int8 or uint8 to int8 or uint8) and `DEQUANTIZE` (to float32).

use super::{OpContext, Refusal};
use crate::graph::{ElementType, OpKind};

pub(super) fn import_quantize(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let (input, output) = (op.activation(0)?, op.output()?);
    op.expect_8_bits(output)?;
    if op.tensor(input).dtype != ElementType::F32 {
        op.expect_8_bits(input)?;
    }
    op.expect_same_shape(input, output)?;
    Ok(OpKind::Quantize)
}

pub(super) fn import_dequantize(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let (input, output) = (op.activation8(0)?, op.output()?);
    op.expect_type(output, ElementType::F32)?;
    op.expect_same_shape(input, output)?;
    Ok(OpKind::Dequantize)
}
