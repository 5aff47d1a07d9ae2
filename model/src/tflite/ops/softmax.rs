//! `SOFTMAX` over the last dimension.

use super::{OpContext, Refusal, malformed};
use crate::graph::OpKind;
use crate::tflite::schema::{options_type, softmax_options as f};

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let output = op.output_like(input)?;
    op.expect_same_shape(input, output)?;
    let beta: f32 = op.options(options_type::SOFTMAX)?.scalar(f::BETA, 0.0)?;
    if !(beta.is_finite() && beta > 0.0) {
        return malformed(f::BETA.name, format!("{beta}, wanted a positive number"));
    }
    Ok(OpKind::Softmax { beta })
}
