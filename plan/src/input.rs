//! Pass 2: how the input tensor is written. A first convolution with few channels would leave most
//! of the IC dimension idle, so kernel columns are folded into the channels while the image streams
//! in: all of them, or as many as fill the array, which stores each column fewer times.

use crate::layers::{HwLayer, Layers, Port};
use crate::region::{Region, StorageId};
use crate::shape::Shape;
use macforge_quant::Window;

/// Widest folded window in bytes (it is a shift register).
const MAX_WINDOW: usize = 96;

/// How the input loader stores the graph input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputMode {
    /// As it comes: row, column, channel.
    Direct,
    /// `F[y][x][k*C + c] = in[y][x*sx + k - pad][c]` for the layers that read it.
    Folded {
        /// The input's area.
        area: StorageId,
        /// Columns of the image in a folded pixel.
        fold: usize,
        /// Folded pixels of a kernel row, `fold` image columns apart.
        windows: usize,
        /// Horizontal stride of the layers.
        stride: usize,
        /// Left padding.
        pad: usize,
        /// Columns of the folded tensor.
        columns: usize,
        /// Value outside the image: the input's zero point.
        pad_value: i32,
    },
}

/// Decides for `shape`: the largest input that can be folded is.
pub fn choose(layers: &Layers, shape: &Shape) -> InputMode {
    let elements = |port: &Port| port.region.hwc.iter().product::<usize>();
    let foldings = (layers.inputs.iter())
        .filter_map(|port| Some((elements(port), folding(layers, shape, port)?)));
    let largest = foldings.max_by_key(|(elements, _)| *elements);
    largest.map_or(InputMode::Direct, |(_, mode)| mode)
}

/// How an input is folded; that must save steps, and the image must only be read by convolutions with
/// one geometry of columns. Of foldings with equally many steps the smaller one is taken.
fn folding(layers: &Layers, shape: &Shape, input: &Port) -> Option<InputMode> {
    let area = input.region.storage;
    let readers = || {
        let layers_of = layers.layers.iter();
        layers_of.filter(|l| reads(layers, l, area) && l.transfer().is_none())
    };
    let (first, [_, _, channels]) = (readers().next()?, input.region.hwc);
    let (window, columns) = (first.window(), first.output.hwc[1]);
    let columns_of = |w: Window| [w.kernel[1], w.stride[1], w.pad[1], w.dilation[1]];
    let alike = readers().all(|l| {
        l.is_dot()
            && l.residual().is_none_or(|r| !is_of(layers, r, area))
            && columns_of(l.window()) == columns_of(window)
            && l.output.hwc[1] == columns
            && l.input_zero_point == first.input_zero_point
            && l.input == whole_rows(&l.input, &input.region)
    });
    let [kernel_w, stride] = [window.kernel[1], window.stride[1]];
    let plain_steps = kernel_w * channels.div_ceil(shape.ic);
    let foldable = alike
        && input.region.covers(layers.areas[area.0].hwc)
        && !layers.areas[area.0].dense
        && layers.outputs.iter().all(|o| o.region.storage != area)
        && window.dilation[1] == 1
        && columns > 1;
    let folded = |fold: usize| {
        let windows = kernel_w.div_ceil(fold);
        let stored = columns + (windows - 1) * fold / stride;
        let steps = windows * (fold * channels).div_ceil(shape.ic);
        let words = stored * (fold * channels).div_ceil(shape.word);
        (steps, words, fold, stored)
    };
    // the whole kernel row in one pixel, or pixels that begin a multiple of the stride apart
    let parts = (stride..kernel_w).step_by(stride);
    let best = std::iter::once(kernel_w)
        .chain(parts)
        .filter(|fold| fold * channels <= MAX_WINDOW)
        .map(folded)
        .min_by_key(|&(steps, words, ..)| (steps, words));
    let (steps, _, fold, columns) = best?;
    (foldable && steps < plain_steps).then_some(InputMode::Folded {
        area,
        fold,
        windows: kernel_w.div_ceil(fold),
        stride,
        pad: window.pad[1],
        columns,
        pad_value: first.input_zero_point,
    })
}

fn reads(layers: &Layers, layer: &HwLayer, area: StorageId) -> bool {
    let of_area = |region: &Region| is_of(layers, region, area);
    of_area(&layer.input) || layer.residual().is_some_and(of_area)
}

/// A part of an area, or of rows that were loaded from it.
fn is_of(layers: &Layers, region: &Region, area: StorageId) -> bool {
    region.storage == area || layers.areas[region.storage.0].rows_of == Some(area)
}

/// The rows of `region` in the whole width of an area that looks like `whole`.
fn whole_rows(region: &Region, whole: &Region) -> Region {
    let [rows, columns, channels] = [region.hwc[0], whole.hwc[1], whole.hwc[2]];
    let of_whole = whole.part([region.start.rows, 0, 0], [1, 1], [rows, columns, channels]);
    Region {
        storage: region.storage,
        ..of_whole
    }
}

impl InputMode {
    /// Shape `[H, W, C]` in which an area is stored.
    pub fn stored_hwc(&self, layers: &Layers, area: StorageId) -> [usize; 3] {
        let [h, w, c] = layers.areas[area.0].hwc;
        match *self {
            InputMode::Folded {
                area: folded,
                columns,
                fold,
                ..
            } if area == folded || layers.areas[area.0].rows_of == Some(folded) => {
                [h, columns, c * fold]
            }
            _ => [h, w, c],
        }
    }

    /// A region of an area as it is stored: of the folded input the same rows.
    pub fn stored_region(&self, layers: &Layers, region: &Region) -> Region {
        match self {
            InputMode::Folded { area, .. } if is_of(layers, region, *area) => {
                let whole = Region::whole(*area, self.stored_hwc(layers, region.storage));
                whole_rows(region, &whole)
            }
            _ => region.clone(),
        }
    }

    /// Shape in which a layer reads its input.
    pub fn input_hwc(&self, layers: &Layers, layer: &HwLayer) -> [usize; 3] {
        self.stored_region(layers, &layer.input).hwc
    }

    /// Window of a layer over the stored tensor.
    pub fn stored_window(&self, layers: &Layers, layer: &HwLayer) -> Window {
        let window = layer.window();
        match *self {
            InputMode::Folded {
                area,
                fold,
                windows,
                stride,
                ..
            } if is_of(layers, &layer.input, area) && layer.transfer().is_none() => Window {
                kernel: [window.kernel[0], windows],
                stride: [window.stride[0], 1],
                dilation: [
                    window.dilation[0],
                    if windows > 1 { fold / stride } else { 1 },
                ],
                pad: [window.pad[0], 0],
            },
            _ => window,
        }
    }
}
