//! Pass 3: row pitches. Pixel `f = y*pitch + x` of a tensor lies in bank `f mod P`; the P lanes of
//! a group must meet P different banks at every kernel position.
//!
//! Lane i starts at output pixel i of the enumerated (`We` columns wide) output. Along a row its
//! bank is `sx*i mod P`, all different because gcd(sx, P) = 1; over a row end the flat index grows
//! by `sy*pitch - sx*We` more, so the banks stay what they are exactly when
//! `sy*pitch = sx*We (mod P)`. Either the pitch or We (columns that are computed and not written)
//! grows until that holds.

use crate::allocate::MEMORY;
use crate::error::PlanError;
use crate::input::InputMode;
use crate::layers::{LayerKind, Layers};
use crate::pitches;
use crate::region::{Region, StorageId};
use crate::shape::Shape;
use macforge_quant::Window;

/// How an area lies in the activation buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Stored shape `[H, W, C]`.
    pub hwc: [usize; 3],
    /// Distance of two rows in pixels.
    pub pitch: usize,
    /// Channel words (of the shape's `word` channels each).
    pub words: usize,
    /// Bank words of one channel word: ceil(H * pitch / P).
    pub span: usize,
    /// Bank words from one channel word to the next, at least `span`.
    pub plane: usize,
}

impl Storage {
    /// The densest storage of this pitch.
    pub fn new(hwc: [usize; 3], pitch: usize, shape: &Shape) -> Self {
        let span = (hwc[0] * pitch).div_ceil(shape.p);
        Storage {
            hwc,
            pitch,
            words: hwc[2].div_ceil(shape.word),
            span,
            plane: span,
        }
    }

    /// Bank words from the first to the last one.
    pub fn size(&self) -> usize {
        (self.words - 1) * self.plane + self.span
    }
}

/// A storage with its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// How it lies.
    pub storage: Storage,
    /// Activation buffer, 0 or 1, or [`MEMORY`].
    pub buffer: usize,
    /// First bank word.
    pub base: usize,
    /// Steps from the first writing to the last reading: 0 is the input, i the i-th layer, the last
    /// one the output; nothing else may lie here in between.
    pub live: (usize, usize),
}

impl Placement {
    /// Bank, bank word and byte of an element of a region of this storage.
    pub fn locate(
        &self,
        shape: &Shape,
        region: &Region,
        [y, x, channel]: [usize; 3],
    ) -> (usize, usize, usize) {
        let flat = region.flat(self.storage.pitch, y, x);
        let channel = region.channel + channel;
        let word = channel / shape.word;
        let address = self.base + word * self.storage.plane + flat / shape.p;
        (flat % shape.p, address, channel % shape.word)
    }

    /// Bank words in use.
    pub fn size(&self) -> usize {
        self.storage.size()
    }

    /// The buffer as one bit; any for what is in memory.
    pub fn buffer_bit(&self) -> usize {
        self.buffer % MEMORY
    }
}

/// Row geometry of the whole graph for one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Storages by [`StorageId`].
    pub storages: Vec<Storage>,
    /// How each layer looks at its stored input.
    pub views: Vec<View>,
}

impl Layout {
    /// The storage of an area.
    pub fn storage(&self, area: StorageId) -> &Storage {
        &self.storages[area.0]
    }
}

/// A layer's geometry as the feeder walks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Kernel geometry over the stored input.
    pub window: Window,
    /// Rows and columns of the input.
    pub in_hw: [usize; 2],
    /// Channels before the first one in its word, and all from the word's begin on.
    pub channels: [usize; 2],
    /// First pixel of the input in its storage.
    pub start: usize,
    /// Distance of two input rows and of two input columns in pixels.
    pub distance: [usize; 2],
    /// Pixels from one output row, and from one output column, to the next in the input.
    pub steps: [usize; 2],
    /// Enumerated output columns; columns beyond the output's are not written.
    pub enum_cols: usize,
    /// The P lanes hold partial sums of one output pixel (a global average).
    pub reduce: bool,
}

/// Greatest common divisor.
pub fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Smallest `We >= columns` with `row = column * We (mod p)`, for the distances of two output rows
/// and columns in the input; always below `columns + p`. `None` where the column distance shares a
/// factor with `p`.
pub fn enumerated(p: usize, [row, column]: [usize; 2], columns: usize) -> Option<usize> {
    if gcd(column, p) != 1 {
        return None;
    }
    (columns..columns + p).find(|we| row % p == (column * we) % p)
}

/// Runs the pass.
pub fn arrange(layers: &Layers, mode: &InputMode, shape: &Shape) -> Result<Layout, PlanError> {
    let storages = if layers.compact {
        pitches::short(layers, mode, shape)
    } else {
        pitches::fast(layers, mode, shape)
    };
    let views = (0..layers.layers.len())
        .map(|index| view(layers, mode, shape, &storages, index))
        .collect::<Result<_, _>>()?;
    Ok(Layout { storages, views })
}

fn view(
    layers: &Layers,
    mode: &InputMode,
    shape: &Shape,
    storages: &[Storage],
    index: usize,
) -> Result<View, PlanError> {
    let layer = &layers.layers[index];
    let storage = &storages[layer.input.storage.0];
    let [h, w, c] = mode.input_hwc(layers, layer);
    let [rows, columns, _] = layer.output.hwc;
    let before = layer.input.channel % shape.word;
    let window = mode.stored_window(layers, layer);
    let distance = [layer.input.row, layer.input.column].map(|d| d.flat(storage.pitch));
    let mut view = View {
        window,
        in_hw: [h, w],
        channels: [before, before + c],
        start: layer.input.start.flat(storage.pitch),
        distance,
        steps: steps(&window, distance, [rows, columns], shape.p),
        enum_cols: columns,
        reduce: false,
    };
    let global = matches!(layer.kind, LayerKind::Average { count, .. } if count == h * w)
        && window.kernel == [h, w]
        && [rows, columns] == [1, 1]
        && window.pad == [0, 0];
    let line = h == 1 || distance[0] == w * distance[1];
    if global && shape.p > 1 && line && gcd(distance[1], shape.p) == 1 {
        return Ok(global_average(view, h * w, shape.p));
    }
    if layer.is_unit() {
        return Ok(view);
    }
    match enumerated(shape.p, view.steps, columns) {
        None => {
            return Err(PlanError::Shape {
                shape: shape.to_string(),
                reason: format!(
                    "stride {} of {} shares a factor with P",
                    view.steps[1], layer.source
                ),
            });
        }
        Some(_) if rows == 1 => {}
        Some(enumerated) => view.enum_cols = enumerated,
    }
    Ok(view)
}

/// Pixels from one output row, and from one output column, to the next in the input. Where there
/// is one column, its distance may be anything that keeps the lanes in different banks.
pub fn steps(window: &Window, distance: [usize; 2], out: [usize; 2], p: usize) -> [usize; 2] {
    let [row, column] = [0, 1].map(|i| window.stride[i] * distance[i]);
    match out {
        [1, 1] => [1, 1],
        [_, 1] if gcd(row, p) == 1 => [row, row],
        [_, 1] => [row, distance[1]],
        _ => [row, column],
    }
}

/// Lane i takes positions i, i+P, ... of the image as one row; the lanes are summed at the end.
fn global_average(view: View, positions: usize, p: usize) -> View {
    View {
        window: Window {
            kernel: [1, positions.div_ceil(p)],
            stride: [1, 1],
            dilation: [1, p],
            pad: [0, 0],
        },
        in_hw: [1, positions],
        steps: [view.distance[1]; 2],
        enum_cols: p,
        reduce: true,
        ..view
    }
}
