//! CONV_2D, dense, grouped and depthwise: `y[oc] = requant(sum((w - zw) * (x - zx)) + bias)`.

use std::ops::Range;

use macforge_quant::{Conv2d, Window};
use ndarray::ArrayView3;

use super::{Context, Output, window};
use crate::dot::Rows;
use crate::error::ReferenceError;
use crate::prepare::Prepared;
use crate::product::{BLOCK, Product, biased};

pub(super) fn eval(cx: &Context, op: &Conv2d) -> Result<Output, ReferenceError> {
    let hwc = cx.graph.tensor(cx.node.inputs[0]).hwc();
    let [height, width, channels] = cx.output_hwc();
    let [kernel_h, kernel_w] = op.window.kernel;
    let depth = kernel_h * kernel_w * op.group_channels();
    let rows = rows(cx, op);
    cx.expect("input channels", op.in_channels, hwc[2])?;
    cx.expect("output channels", op.out_channels, channels)?;
    rows.check(cx, channels, depth)?;

    if let Prepared::Product(product) = cx.prepared {
        return dense(cx, op, product);
    }
    let centred = cx.centred_input()?;
    let input = ArrayView3::from_shape(hwc, &centred).expect("hwc() keeps the number of elements");
    let (group_in, group_out) = (op.group_channels(), channels / op.groups);
    let mut elements = rows.elements(height * width * channels);
    let mut patch = vec![0; depth];
    for position in 0..height * width {
        let out = [position / width, position % width];
        for group in 0..op.groups {
            let inputs = group * group_in..(group + 1) * group_in;
            gather(op, &input, out, inputs, &mut patch);
            let outputs = group * group_out..(group + 1) * group_out;
            rows.apply(cx, &patch, outputs, &mut elements)?;
        }
    }
    cx.accumulated(elements)
}

/// A dense convolution with prepared weights: the input with its padding laid out, then blocks of
/// output pixels.
fn dense(cx: &Context, op: &Conv2d, product: &Product) -> Result<Output, ReferenceError> {
    let [height, width, channels] = cx.output_hwc();
    let window = &op.window;
    let padded = Padded::new(cx, window, [height, width])?;
    let mut elements = vec![0; height * width * channels];
    let mut saturations = 0;
    let mut patches = vec![0; product.stride() * BLOCK];
    for (block, out) in elements.chunks_mut(BLOCK * channels).enumerate() {
        let count = out.len() / channels;
        for (index, patch) in patches
            .chunks_exact_mut(product.stride())
            .take(count)
            .enumerate()
        {
            let position = block * BLOCK + index;
            padded.patch(window, [position / width, position % width], patch);
        }
        saturations += product.apply(&patches[..product.stride() * count], out);
    }
    cx.output(elements, saturations)
}

/// An input as [`biased`] bytes with its padding around it, rows behind one another.
struct Padded {
    bytes: Vec<u8>,
    /// Bytes of a row.
    pitch: usize,
    channels: usize,
}

impl Padded {
    /// As many rows and columns as the windows of `out` output positions reach.
    fn new(cx: &Context, window: &Window, out: [usize; 2]) -> Result<Self, ReferenceError> {
        let input = cx.input_image()?;
        let (_, width, channels) = input.dim();
        let reach = |axis: usize| {
            (out[axis] - 1) * window.stride[axis]
                + (window.kernel[axis] - 1) * window.dilation[axis]
                + 1
        };
        let zero = biased(cx.input_params()?.zero_point as i8);
        let pitch = reach(1) * channels;
        let mut bytes = vec![zero; reach(0) * pitch];
        let [top, left] = window.pad;
        let used = width.min(reach(1).saturating_sub(left)) * channels;
        let source = input.as_standard_layout();
        let source = source.as_slice().expect("standard layout is contiguous");
        let rows = bytes.chunks_exact_mut(pitch).skip(top);
        for (row, source) in rows.zip(source.chunks_exact(width * channels)) {
            // all columns may be padding
            let columns = row.get_mut(left * channels..).unwrap_or_default();
            for (byte, &q) in columns.iter_mut().zip(&source[..used]) {
                *byte = biased(q);
            }
        }
        Ok(Self {
            bytes,
            pitch,
            channels,
        })
    }

    /// The inputs of one output position in the order of the weights.
    fn patch(&self, window: &Window, out: [usize; 2], patch: &mut [u8]) {
        let [kernel_h, kernel_w] = window.kernel;
        // without horizontal dilation a kernel row is contiguous
        let (runs, length) = match window.dilation[1] {
            1 => (1, kernel_w * self.channels),
            _ => (kernel_w, self.channels),
        };
        let first = out[1] * window.stride[1] * self.channels;
        for ky in 0..kernel_h {
            let y = out[0] * window.stride[0] + ky * window.dilation[0];
            for run in 0..runs {
                let from = y * self.pitch + first + run * window.dilation[1] * self.channels;
                let to = (ky * runs + run) * length;
                patch[to..to + length].copy_from_slice(&self.bytes[from..from + length]);
            }
        }
    }
}

/// The layer's weights and what follows the sums.
pub(super) fn rows<'a>(cx: &Context, op: &'a Conv2d) -> Rows<'a> {
    Rows {
        weights: &op.weights,
        weight_zero_points: &op.weight_zero_points,
        bias: &op.bias,
        requant: &op.requant,
        lower_is_activation: op.lower_is_activation,
        limits: cx.output_limits(),
    }
}

/// The inputs of one output position and group, which are less their zero point, in the order of the
/// weights (kernel row, kernel column, channel). Padding is the zero point, so it contributes zero.
fn gather(
    op: &Conv2d,
    input: &ArrayView3<i16>,
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
                    *value = input[[y, x, channel]];
                }
            }
            _ => values.fill(0),
        }
    }
}
