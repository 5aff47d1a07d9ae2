//! `TRANSPOSE_CONV`: weights `[OC, KH, KW, IC]`; the output's size is an operand.

use super::{OpContext, Refusal, check_window, malformed, pair};
use crate::graph::{Conv2dOptions, OpKind};
use crate::tflite::schema::{options_type, transpose_conv_options as f};

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input_tensor = op.activation8(2)?;
    let output_tensor = op.output_like(input_tensor)?;
    let weights = op.weights(1, input_tensor)?;
    let (input, output) = (op.image(input_tensor)?, op.image(output_tensor)?);
    let stated = op.integers(0)?;
    if !stated.iter().skip(1).eq(output.map(|d| d as i64).iter()) {
        return malformed("inputs[0]", format!("{stated:?}, the output is {output:?}"));
    }
    let shape = &op.tensor(weights).shape;
    let [oc, kh, kw, ic] = *shape.as_slice() else {
        return malformed("inputs[1]", format!("weights {shape:?}, wanted rank 4"));
    };
    if oc != output[2] || ic != input[2] {
        return malformed(
            "inputs[1]",
            format!("weights {shape:?} do not fit input {input:?} and output {output:?}"),
        );
    }
    op.check_bias(3, oc)?;
    let options = op.options(options_type::TRANSPOSE_CONV)?;
    let read = Conv2dOptions {
        stride: pair(options, [f::STRIDE_H, f::STRIDE_W], 0)?,
        dilation: [1, 1],
        padding: op.padding(options, f::PADDING)?,
        activation: op.fused(options, f::ACTIVATION)?,
    };
    // the convolution that it transposes goes from the output to the input
    check_window(read.padding, output, input, [kh, kw], read.stride, [1, 1])?;
    Ok(OpKind::TransposeConv(read))
}
