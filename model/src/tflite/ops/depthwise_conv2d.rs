//! `DEPTHWISE_CONV_2D`: every input channel on its own, NHWC, weights `[1, KH, KW, OC]`.

use super::{OpContext, Refusal, check_window, malformed, pair};
use crate::graph::{Conv2dOptions, OpKind};
use crate::tflite::schema::{depthwise_conv2d_options as f, options_type};

/// The depth multiplier is `OC / IC`; the option of that name repeats it and is not read.
pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input_tensor = op.activation8(0)?;
    let output_tensor = op.output_like(input_tensor)?;
    let weights = op.weights(1, input_tensor)?;
    let (input, output) = (op.image(input_tensor)?, op.image(output_tensor)?);
    let shape = &op.tensor(weights).shape;
    let [1, kh, kw, oc] = *shape.as_slice() else {
        return malformed(
            "inputs[1]",
            format!(
                "weights `{}` have shape {shape:?}, wanted [1, KH, KW, OC]",
                op.tensor(weights).name
            ),
        );
    };
    if oc != output[2] || oc % input[2] != 0 {
        return malformed(
            "inputs[1]",
            format!("weights {shape:?} do not fit input {input:?} and output {output:?}"),
        );
    }
    op.check_bias(2, oc)?;
    let options = op.options(options_type::DEPTHWISE_CONV_2D)?;
    let read = Conv2dOptions {
        stride: pair(options, [f::STRIDE_H, f::STRIDE_W], 0)?,
        dilation: pair(options, [f::DILATION_H, f::DILATION_W], 1)?,
        padding: op.padding(options, f::PADDING)?,
        activation: op.fused(options, f::ACTIVATION)?,
    };
    check_window(
        read.padding,
        input,
        output,
        [kh, kw],
        read.stride,
        read.dilation,
    )?;
    Ok(OpKind::DepthwiseConv2d(read))
}
