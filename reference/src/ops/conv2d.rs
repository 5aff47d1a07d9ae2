//! CONV_2D: `y[oc] = requant(sum(w * (x - zx)) + bias)`.

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
    let depth = kernel_h * kernel_w * op.in_channels;
    let rows = Rows {
        weights: &op.weights,
        bias: &op.bias,
        requant: &op.requant,
        lower_is_activation: op.lower_is_activation,
    };
    cx.expect("input channels", op.in_channels, input.dim().2)?;
    cx.expect("output channels", op.out_channels, channels)?;
    rows.check(cx, channels, depth)?;

    let mut elements = vec![0; height * width * channels];
    let mut patch = vec![0; depth];
    let mut saturations = 0;
    for (position, pixel) in elements.chunks_exact_mut(channels).enumerate() {
        let out = [position / width, position % width];
        gather(op, &input, zero_point, out, &mut patch);
        saturations += rows.apply(cx, &patch, pixel)?;
    }
    cx.output(elements, saturations)
}

/// The inputs of one output position, less the zero point, in the order of the weights
/// (kernel row, kernel column, channel). Padding is the zero point, so it contributes zero.
fn gather(
    op: &Conv2d,
    input: &ArrayView3<i8>,
    zero_point: i32,
    out: [usize; 2],
    patch: &mut [i16],
) {
    let (height, width, _) = input.dim();
    let [_, kernel_w] = op.window.kernel;
    for (tap, values) in patch.chunks_exact_mut(op.in_channels).enumerate() {
        let y = window::tap(&op.window, 0, out[0], tap / kernel_w, height);
        let x = window::tap(&op.window, 1, out[1], tap % kernel_w, width);
        match (y, x) {
            (Some(y), Some(x)) => {
                for (channel, value) in values.iter_mut().enumerate() {
                    *value = i16::from(input[[y, x, channel]]) - zero_point as i16;
                }
            }
            _ => values.fill(0),
        }
    }
}
