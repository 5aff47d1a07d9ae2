//! Pass 3: row pitches. Pixel `f = y*pitch + x` of a tensor lies in bank `f mod P`; the P lanes of
//! a group must meet P different banks at every kernel position.
//!
//! Lane i starts at output pixel i of the enumerated (`We` columns wide) output. Along a row its
//! bank is `sx*i mod P`, all different because gcd(sx, P) = 1; over a row end the flat index grows
//! by `sy*pitch - sx*We` more, so the banks stay what they are exactly when
//! `sy*pitch = sx*We (mod P)`. Either the pitch or We (columns that are computed and not written)
//! grows until that holds.

use crate::error::PlanError;
use crate::input::InputMode;
use crate::layers::{HwLayer, LayerKind, Layers};
use crate::shape::Shape;
use macforge_quant::{QGraph, TensorId, Window};
use std::collections::BTreeMap;

/// How one tensor lies in the activation buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// The tensor.
    pub tensor: TensorId,
    /// Stored shape `[H, W, C]`.
    pub hwc: [usize; 3],
    /// Distance of two rows in pixels.
    pub pitch: usize,
    /// Channel words (of the shape's `word` channels each).
    pub words: usize,
    /// Bank words of one channel word: ceil(H * pitch / P).
    pub plane: usize,
}

/// A storage with its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// What is stored.
    pub storage: Storage,
    /// Activation buffer, 0 or 1.
    pub buffer: usize,
    /// First bank word.
    pub base: usize,
    /// Steps from writing to last reading: 0 is the input, i the i-th layer, the last one the
    /// output; nothing else may lie here in between.
    pub live: (usize, usize),
}

impl Placement {
    /// Bank, bank word and byte of an element.
    pub fn locate(
        &self,
        shape: &Shape,
        y: usize,
        x: usize,
        channel: usize,
    ) -> (usize, usize, usize) {
        let flat = y * self.storage.pitch + x;
        let word = channel / shape.word;
        let address = self.base + word * self.storage.plane + flat / shape.p;
        (flat % shape.p, address, channel % shape.word)
    }

    /// Bank words in use.
    pub fn size(&self) -> usize {
        self.storage.words * self.storage.plane
    }
}

/// Row geometry of the whole graph for one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Storages by tensor.
    pub storages: BTreeMap<TensorId, Storage>,
    /// How each layer looks at its stored input.
    pub views: Vec<View>,
}

/// A layer's geometry as the feeder walks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Kernel geometry over the stored input.
    pub window: Window,
    /// Rows and columns of the stored input.
    pub in_hw: [usize; 2],
    /// Distance of two input rows in pixels.
    pub pitch: usize,
    /// Enumerated output columns; columns beyond the output's are not written.
    pub enum_cols: usize,
    /// The P lanes hold partial sums of one output pixel (a global average).
    pub reduce: bool,
}

/// Greatest common divisor.
pub fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The window without strides that are never taken: those of a single row or column.
fn steps_taken(mut window: Window, outputs: [usize; 2]) -> Window {
    for (stride, outputs) in window.stride.iter_mut().zip(outputs) {
        if outputs == 1 {
            *stride = 1;
        }
    }
    window
}

/// Smallest `We >= columns` with `sy*pitch = sx*We (mod p)`; always below `columns + p`.
fn enumerated(p: usize, sy: usize, sx: usize, pitch: usize, columns: usize) -> usize {
    (columns..columns + p)
        .find(|we| (sy * pitch) % p == (sx * we) % p)
        .expect("gcd(sx, p) = 1, so p consecutive values meet every residue")
}

/// Runs the pass.
pub fn arrange(
    graph: &QGraph,
    layers: &Layers,
    mode: &InputMode,
    shape: &Shape,
) -> Result<Layout, PlanError> {
    let mut storages = BTreeMap::new();
    let producers = layers.layers.iter().map(|l| l.output);
    for tensor in std::iter::once(layers.input).chain(producers) {
        let hwc = mode.stored_hwc(graph, layers, tensor);
        let pitch = choose_pitch(graph, layers, mode, shape, tensor, hwc);
        let channels = written_channels(layers, shape, tensor, hwc[2]);
        storages.insert(
            tensor,
            Storage {
                tensor,
                hwc,
                pitch,
                words: channels.div_ceil(shape.word),
                plane: (hwc[0] * pitch).div_ceil(shape.p),
            },
        );
    }
    let views = (0..layers.layers.len())
        .map(|index| view(graph, layers, mode, shape, &storages, index))
        .collect::<Result<_, _>>()?;
    Ok(Layout { storages, views })
}

fn view(
    graph: &QGraph,
    layers: &Layers,
    mode: &InputMode,
    shape: &Shape,
    storages: &BTreeMap<TensorId, Storage>,
    index: usize,
) -> Result<View, PlanError> {
    let layer = &layers.layers[index];
    let input = &storages[&layer.input];
    let [h, w, _] = input.hwc;
    let [rows, columns, _] = graph.tensor(layer.output).hwc();
    let window = steps_taken(mode.stored_window(index, layer.window()), [rows, columns]);
    let [sy, sx] = window.stride;
    if gcd(sx, shape.p) != 1 {
        return Err(PlanError::Shape {
            shape: shape.to_string(),
            reason: format!("stride {sx} of {} shares a factor with P", layer.source),
        });
    }
    let global = matches!(layer.kind, LayerKind::Average(..)) && window.kernel == [h, w];
    if global && shape.p > 1 && (input.pitch == w || h == 1) {
        return Ok(global_average(h * w, shape.p));
    }
    let enum_cols = if rows == 1 || layer.is_unit() {
        columns
    } else {
        enumerated(shape.p, sy, sx, input.pitch, columns)
    };
    Ok(View {
        window,
        in_hw: [h, w],
        pitch: input.pitch,
        enum_cols,
        reduce: false,
    })
}

/// Lane i takes positions i, i+P, ... of the image as one row; the lanes are summed at the end.
fn global_average(positions: usize, p: usize) -> View {
    View {
        window: Window {
            kernel: [1, positions.div_ceil(p)],
            stride: [1, 1],
            dilation: [1, p],
            pad: [0, 0],
        },
        in_hw: [1, positions],
        pitch: positions,
        enum_cols: p,
        reduce: true,
    }
}

/// The drain writes whole tiles, so the last tile's unused channels need room as well.
fn written_channels(layers: &Layers, shape: &Shape, tensor: TensorId, channels: usize) -> usize {
    let writer = layers.layers.iter().find(|l| l.output == tensor);
    let tile = writer.map_or(shape.word, |layer| shape.tile(layer));
    if channels <= tile {
        channels
    } else {
        channels.div_ceil(tile) * tile
    }
}

/// The pitch in `W..W+P` for which the readers of the tensor compute the fewest unused columns.
fn choose_pitch(
    graph: &QGraph,
    layers: &Layers,
    mode: &InputMode,
    shape: &Shape,
    tensor: TensorId,
    hwc: [usize; 3],
) -> usize {
    let readers: Vec<(usize, &HwLayer)> = layers
        .layers
        .iter()
        .enumerate()
        .filter(|(_, l)| l.input == tensor && !l.is_unit())
        .collect();
    let wasted = |pitch: usize| -> usize {
        readers
            .iter()
            .map(|(index, layer)| {
                let [rows, columns, _] = graph.tensor(layer.output).hwc();
                let window = mode.stored_window(*index, layer.window());
                let [sy, sx] = steps_taken(window, [rows, columns]).stride;
                if rows == 1 || gcd(sx, shape.p) != 1 {
                    0
                } else {
                    rows * (enumerated(shape.p, sy, sx, pitch, columns) - columns)
                }
            })
            .sum()
    };
    (hwc[1]..hwc[1] + shape.p)
        .min_by_key(|&pitch| wasted(pitch))
        .expect("P is at least 1")
}
