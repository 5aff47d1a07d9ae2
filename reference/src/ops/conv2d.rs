//! CONV_2D, dense, grouped and depthwise: `y[oc] = requant(sum((w - zw) * (x - zx)) + bias)`.

use std::ops::Range;

use macforge_quant::Conv2d;
use ndarray::ArrayView3;

use super::{Context, Output, window};
use crate::dot::Rows;
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context, op: &Conv2d) -> Result<Output, ReferenceError> {
    let input = cx.input_image()?;
    let zero_point = cx.input_params()?.zero_point;
    let [height, width, channels] = cx.output_hwc();
    let [kernel_h, kernel_w] = op.window.kernel;
    let depth = kernel_h * kernel_w * op.group_channels();
    let rows = rows(op);
    cx.expect("input channels", op.in_channels, input.dim().2)?;
    cx.expect("output channels", op.out_channels, channels)?;
    rows.check(cx, channels, depth)?;

    let (group_in, group_out) = (op.group_channels(), channels / op.groups);
    let mut elements = rows.elements(height * width * channels);
    let mut patch = vec![0; depth];
    for position in 0..height * width {
        let out = [position / width, position % width];
        for group in 0..op.groups {
            let inputs = group * group_in..(group + 1) * group_in;
            gather(op, &input, zero_point, out, inputs, &mut patch);
            let outputs = group * group_out..(group + 1) * group_out;
            rows.apply(cx, &patch, outputs, &mut elements)?;
        }
    }
    cx.accumulated(elements)
}

/// The layer's weights and what follows the sums.
pub(super) fn rows(op: &Conv2d) -> Rows<'_> {
    Rows {
        weights: &op.weights,
        weight_zero_points: &op.weight_zero_points,
        bias: &op.bias,
        requant: &op.requant,
        lower_is_activation: op.lower_is_activation,
    }
}

/// The inputs of one output position and group, less the zero point, in the order of the weights
/// (kernel row, kernel column, channel). Padding is the zero point, so it contributes zero.
fn gather(
    op: &Conv2d,
    input: &ArrayView3<i8>,
    zero_point: i32,
    out: [usize; 2],
    channels: Range<usize>,
    patch: &mut [i16],
) {
    let (height, width, _) = input.dim();
    let [_, kernel_w] = op.window.kernel;
    for (tap, values) in patch.chunks_exact_mut(channels.len()).enumerate() {
        let y = window::tap(&op.window, 0, out[0], tap / kernel_w, height);
        let x = window::tap(&op.window, 1, out[1], tap % kernel_w, width);
        match (y, x) {
            (Some(y), Some(x)) => {
                for (channel, value) in channels.clone().zip(values) {
                    *value = i16::from(input[[y, x, channel]]) - zero_point as i16;
                }
            }
            _ => values.fill(0),
        }
    }
}
