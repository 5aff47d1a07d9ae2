//! `CONCATENATION`.

use super::{OpContext, Refusal, malformed, unsupported};
use crate::graph::{Activation, OpKind};
use crate::tflite::schema::{concatenation_options as f, options_type};

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let output = op.output()?;
    op.expect_8_bits(output)?;
    let options = op.options(options_type::CONCATENATION)?;
    if op.fused(options, f::ACTIVATION)? != Activation::None {
        return unsupported(None, "a fused activation", "none, as TFLite demands");
    }
    let out = &op.tensor(output).shape;
    let axis = op.axis(options.scalar(f::AXIS, 0i32)?.into(), out.len())?;
    let mut length = 0;
    for position in 0..op.inputs.len() {
        let index = op.activation(position)?;
        op.expect_type(index, op.tensor(output).dtype)?;
        let shape = &op.tensor(index).shape;
        let fits =
            shape.len() == out.len() && (0..out.len()).all(|d| d == axis || shape[d] == out[d]);
        if !fits {
            return malformed(
                &format!("inputs[{position}]"),
                format!("{shape:?} along axis {axis} is no part of {out:?}"),
            );
        }
        length += shape[axis];
    }
    if op.inputs.is_empty() || length != out[axis] {
        return malformed(
            "outputs[0]",
            format!("the inputs have {length} elements along axis {axis} of {out:?}"),
        );
    }
    Ok(OpKind::Concat { axis })
}
