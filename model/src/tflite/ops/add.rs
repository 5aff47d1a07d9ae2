//! `ADD`: element-wise sum of two computed tensors.

use super::{OpContext, Refusal, unsupported};
use crate::graph::OpKind;
use crate::tflite::schema::{add_options as f, options_type};

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let (a, b) = (op.int8_activation(0)?, op.int8_activation(1)?);
    let output = op.int8_output()?;
    if op.tensor(a).shape != op.tensor(b).shape {
        return unsupported(
            Some(b),
            format!(
                "broadcast of {:?} and {:?}",
                op.tensor(a).shape,
                op.tensor(b).shape
            ),
            "two operands of the same shape",
        );
    }
    op.expect_same_shape(a, output)?;
    let options = op.options(options_type::ADD)?;
    Ok(OpKind::Add(op.fused(options, f::ACTIVATION)?))
}
