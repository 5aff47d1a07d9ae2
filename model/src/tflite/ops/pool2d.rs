//! `AVERAGE_POOL_2D` and `MAX_POOL_2D`.

use super::{OpContext, Refusal, check_window, malformed, pair};
use crate::graph::PoolOptions;
use crate::tflite::schema::{options_type, pool2d_options as f};

pub(super) fn import(op: &OpContext<'_>) -> Result<PoolOptions, Refusal> {
    let tensor = op.activation8(0)?;
    let input = op.image(tensor)?;
    let output = op.image(op.output_like(tensor)?)?;
    if input[2] != output[2] {
        return malformed(
            "outputs[0]",
            format!("{} channels in, {} channels out", input[2], output[2]),
        );
    }
    let options = op.options(options_type::POOL_2D)?;
    let read = PoolOptions {
        kernel: pair(options, [f::FILTER_H, f::FILTER_W], 0)?,
        stride: pair(options, [f::STRIDE_H, f::STRIDE_W], 0)?,
        padding: op.padding(options, f::PADDING)?,
        activation: op.fused(options, f::ACTIVATION)?,
    };
    check_window(
        read.padding,
        input,
        output,
        read.kernel,
        read.stride,
        [1, 1],
    )?;
    Ok(read)
}
