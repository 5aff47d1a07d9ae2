//! Pass 2: how the input tensor is written. A first convolution with few channels would leave most
//! of the IC dimension idle, so its kernel columns are folded into the channels while the image
//! streams in.

use crate::layers::{LayerKind, Layers};
use crate::shape::Shape;
use macforge_quant::{QGraph, TensorId, Window};

/// Widest folded window in bytes (it is a shift register).
const MAX_WINDOW: usize = 96;

/// How the input loader stores the graph input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputMode {
    /// As it comes: row, column, channel.
    Direct,
    /// `F[y][ox][kx*C + c] = in[y][ox*sx + kx - pad][c]` for the layer `layer`.
    Folded {
        /// Layer that reads it.
        layer: usize,
        /// Kernel columns.
        kernel_w: usize,
        /// Horizontal stride.
        stride: usize,
        /// Left padding.
        pad: usize,
        /// Columns of the folded tensor: output columns of the layer.
        columns: usize,
        /// Value outside the image: the input's zero point.
        pad_value: i32,
    },
}

/// Decides for `shape`; folding must save steps and the image must have this one reader.
pub fn choose(graph: &QGraph, layers: &Layers, shape: &Shape) -> InputMode {
    let readers: Vec<usize> = (0..layers.layers.len())
        .filter(|&l| {
            let layer = &layers.layers[l];
            layer.input == layers.input
                || layer
                    .residual
                    .as_ref()
                    .is_some_and(|r| r.tensor == layers.input)
        })
        .collect();
    let &[reader] = readers.as_slice() else {
        return InputMode::Direct;
    };
    let layer = &layers.layers[reader];
    let LayerKind::Dot { window, .. } = &layer.kind else {
        return InputMode::Direct;
    };
    let tensor = graph.tensor(layers.input);
    let [_, _, channels] = tensor.hwc();
    let [_, columns, _] = graph.tensor(layer.output).hwc();
    let kernel_w = window.kernel[1];
    let folded_steps = (kernel_w * channels).div_ceil(shape.ic);
    let plain_steps = kernel_w * channels.div_ceil(shape.ic);
    let useful = folded_steps < plain_steps
        && layers.output != layers.input
        && window.dilation[1] == 1
        && kernel_w * channels <= MAX_WINDOW
        && columns > 1;
    if !useful {
        return InputMode::Direct;
    }
    InputMode::Folded {
        layer: reader,
        kernel_w,
        stride: window.stride[1],
        pad: window.pad[1],
        columns,
        pad_value: tensor.quant.expect("the storage is int8").zero_point,
    }
}

impl InputMode {
    /// Shape `[H, W, C]` in which `tensor` is stored.
    pub fn stored_hwc(&self, graph: &QGraph, layers: &Layers, tensor: TensorId) -> [usize; 3] {
        let [h, w, c] = graph.tensor(tensor).hwc();
        match *self {
            InputMode::Folded {
                columns, kernel_w, ..
            } if tensor == layers.input => [h, columns, c * kernel_w],
            _ => [h, w, c],
        }
    }

    /// Window of layer `index` over the stored tensor.
    pub fn stored_window(&self, index: usize, window: Window) -> Window {
        match *self {
            InputMode::Folded { layer, .. } if layer == index => Window {
                kernel: [window.kernel[0], 1],
                stride: [window.stride[0], 1],
                dilation: window.dilation,
                pad: [window.pad[0], 0],
            },
            _ => window,
        }
    }
}
