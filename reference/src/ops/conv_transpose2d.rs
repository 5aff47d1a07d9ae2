//! TRANSPOSE_CONV: every input pixel adds its products to a window of the output.

use macforge_quant::Conv2d;

use super::{Context, Output, conv2d};
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context, op: &Conv2d) -> Result<Output, ReferenceError> {
    let input = cx.input_image()?;
    let zero_point = i64::from(cx.input_params()?.zero_point);
    let [height, width, channels] = cx.output_hwc();
    let [kernel_h, kernel_w] = op.window.kernel;
    let group_in = op.group_channels();
    let rows = conv2d::rows(cx, op);
    cx.expect("input channels", op.in_channels, input.dim().2)?;
    cx.expect("output channels", op.out_channels, channels)?;
    rows.check(cx, channels, kernel_h * kernel_w * group_in)?;

    let group_out = channels / op.groups;
    let target = |from: usize, tap: usize, axis: usize, size: usize| {
        (from * op.window.stride[axis] + tap * op.window.dilation[axis])
            .checked_sub(op.window.pad[axis])
            .filter(|&at| at < size)
    };
    let mut sums = vec![0i64; height * width * channels];
    for ((y, x, channel), &q) in input.indexed_iter() {
        let value = i64::from(q) - zero_point;
        let group = channel / group_in;
        for ky in 0..kernel_h {
            for kx in 0..kernel_w {
                let (Some(oy), Some(ox)) = (target(y, ky, 0, height), target(x, kx, 1, width))
                else {
                    continue;
                };
                for oc in group * group_out..(group + 1) * group_out {
                    let row = (oc * kernel_h + ky) * kernel_w + kx;
                    let weight = op.weights[row * group_in + channel % group_in];
                    let centred = i64::from(weight) - i64::from(op.weight_zero_points[oc]);
                    sums[(oy * width + ox) * channels + oc] += centred * value;
                }
            }
        }
    }
    let mut elements = rows.elements(sums.len());
    for (index, &sum) in sums.iter().enumerate() {
        rows.finish(cx, index % channels, sum, &mut elements)?;
    }
    cx.accumulated(elements)
}
