//! Pass 2: how the input tensor is written. A first convolution with few channels would leave most
//! of the IC dimension idle, so its kernel columns are folded into the channels while the image
//! streams in.

use crate::layers::{LayerKind, Layers};
use crate::region::StorageId;
use crate::shape::Shape;
use macforge_quant::Window;

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
pub fn choose(layers: &Layers, shape: &Shape) -> InputMode {
    let [input] = layers.inputs.as_slice() else {
        return InputMode::Direct;
    };
    let area = input.region.storage;
    let reads = |l: &usize| {
        let layer = &layers.layers[*l];
        layer.input.storage == area || layer.residual().is_some_and(|r| r.storage == area)
    };
    let readers: Vec<usize> = (0..layers.layers.len()).filter(reads).collect();
    let &[reader] = readers.as_slice() else {
        return InputMode::Direct;
    };
    let layer = &layers.layers[reader];
    let LayerKind::Dot { window, .. } = &layer.kind else {
        return InputMode::Direct;
    };
    let [_, _, channels] = input.region.hwc;
    let whole = input.region == layer.input
        && input.region.covers(layers.areas[area.0].hwc)
        && !layers.areas[area.0].dense;
    let [_, columns, _] = layer.output.hwc;
    let kernel_w = window.kernel[1];
    let folded_steps = (kernel_w * channels).div_ceil(shape.ic);
    let plain_steps = kernel_w * channels.div_ceil(shape.ic);
    let useful = folded_steps < plain_steps
        && whole
        && layers.outputs.iter().all(|o| o.region.storage != area)
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
        pad_value: layer.input_zero_point,
    }
}

impl InputMode {
    /// Shape `[H, W, C]` in which an area is stored.
    pub fn stored_hwc(&self, layers: &Layers, area: StorageId) -> [usize; 3] {
        let [h, w, c] = layers.areas[area.0].hwc;
        match *self {
            InputMode::Folded {
                columns, kernel_w, ..
            } if area == layers.inputs[0].region.storage => [h, columns, c * kernel_w],
            _ => [h, w, c],
        }
    }

    /// Shape in which layer `index` reads its input.
    pub fn input_hwc(&self, layers: &Layers, index: usize) -> [usize; 3] {
        let input = &layers.layers[index].input;
        match self {
            InputMode::Folded { layer, .. } if *layer == index => {
                self.stored_hwc(layers, input.storage)
            }
            _ => input.hwc,
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
