//! `CONV_2D`: dense or grouped convolution, NHWC, weights `[OC, KH, KW, IC / groups]`.

use super::{OpContext, Refusal, check_window, malformed, pair};
use crate::graph::{Conv2dOptions, OpKind};
use crate::tflite::schema::{conv2d_options as f, options_type};

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input_tensor = op.activation8(0)?;
    let output_tensor = op.output_like(input_tensor)?;
    let weights = op.weights(1, input_tensor)?;
    let (input, output) = (op.image(input_tensor)?, op.image(output_tensor)?);
    let [oc, kh, kw, ic] = *op.tensor(weights).shape else {
        return malformed(
            "inputs[1]",
            format!(
                "weights `{}` have rank {}, wanted 4",
                op.tensor(weights).name,
                op.tensor(weights).shape.len()
            ),
        );
    };
    if oc != output[2] || ic == 0 || input[2] % ic != 0 || oc % (input[2] / ic) != 0 {
        return malformed(
            "inputs[1]",
            format!(
                "weights [{oc}, {kh}, {kw}, {ic}] do not fit input {input:?} and output {output:?}"
            ),
        );
    }
    op.check_bias(2, oc)?;
    let options = op.options(options_type::CONV_2D)?;
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
    Ok(OpKind::Conv2d(read))
}
