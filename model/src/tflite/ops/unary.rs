//! Functions of one value: `RELU` and its kin, `LEAKY_RELU`, `LOGISTIC`, `TANH`, `HARD_SWISH`.

use super::{OpContext, Refusal, malformed};
use crate::graph::OpKind;
use crate::tflite::schema::{leaky_relu_options as f, options_type};

pub(super) fn import(op: &OpContext<'_>, kind: OpKind) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let output = op.output_like(input)?;
    op.expect_same_shape(input, output)?;
    Ok(kind)
}

pub(super) fn import_leaky_relu(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let alpha: f32 = op
        .options(options_type::LEAKY_RELU)?
        .scalar(f::ALPHA, 0.0)?;
    if !alpha.is_finite() {
        return malformed(f::ALPHA.name, format!("{alpha}, wanted a number"));
    }
    import(op, OpKind::LeakyRelu { alpha })
}
