//! `RELU`, `RELU6` and `RELU_N1_TO_1` as operators of their own.

use super::{OpContext, Refusal};
use crate::graph::{Activation, OpKind};

pub(super) fn import(op: &OpContext<'_>, activation: Activation) -> Result<OpKind, Refusal> {
    let input = op.int8_activation(0)?;
    let output = op.int8_output()?;
    op.expect_same_shape(input, output)?;
    Ok(OpKind::Activation(activation))
}
