//! Layers in strips: where a layer's result is the largest and only the layer behind it reads it, the two
//! take turns, some rows at a time, so that no more than a strip of the result is ever stored. Rows
//! that two strips need are copied from one to the next.

use crate::layers::{Area, HwLayer, LayerKind, Layers, Stored, copy};
use crate::region::{Region, StorageId};
use std::ops::Range;

/// Into how many parts the largest result is divided, of what is looked at.
const STRIPS: [usize; 9] = [2, 3, 4, 6, 8, 12, 16, 24, 32];

/// Values of a strip that are worth looking at, most first; empty where no layer can run in strips. The
/// layers may be those of several sets, each of which runs its own largest result in strips then.
pub fn choices(layers: &Layers) -> Vec<usize> {
    let Some(first) = largest(layers) else {
        return Vec::new();
    };
    let largest = values(layers, first);
    let mut choices: Vec<usize> = STRIPS.map(|strips| largest.div_ceil(strips)).into();
    choices.dedup();
    choices
}

/// The layers with the pair of the largest intermediate result in strips of about so many values. `None`
/// where there is no such pair, or its windows do not allow it.
pub fn apply(layers: &Layers, strip: usize) -> Option<Layers> {
    let first = largest(layers)?;
    let mut stripped = layers.clone();
    let pair = first..first + 2;
    let count = values(layers, first).div_ceil(strip);
    let pieces = divide(&mut stripped, &layers.layers[pair.clone()], count)?;
    stripped.layers.splice(pair, pieces);
    Some(stripped)
}

/// The first of the two neighbours with the largest result between them.
fn largest(layers: &Layers) -> Option<usize> {
    let candidates = (0..layers.layers.len()).filter(|&first| divisible(layers, first));
    candidates.max_by_key(|&first| (values(layers, first), std::cmp::Reverse(first)))
}

/// The pieces of two neighbours that take turns; their strips become areas of `layers`.
fn divide(layers: &mut Layers, pair: &[HwLayer], strips: usize) -> Option<Vec<HwLayer>> {
    let [maker, taker] = pair else {
        return None;
    };
    let [height, width, channels] = maker.output.hwc;
    let total = taker.output.hwc[0];
    let rows = total.div_ceil(strips);
    let starts: Vec<usize> = (0..total).step_by(rows).collect();
    let mut pieces = Vec::new();
    let mut areas = Vec::new();
    let mut before: Option<(Region, Range<usize>)> = None;
    for (strip, &start) in starts.iter().enumerate() {
        let last = strip + 1 == starts.len();
        let outputs = start..total.min(start + rows);
        let needed = needed_rows(taker, &outputs)?;
        let made = before.as_ref().map_or(0, |(_, rows)| rows.end);
        let end = if last { height } else { needed.end };
        let stored = needed.start.min(made)..end;
        if made >= end {
            return None;
        }
        areas.push(stored.len());
        let id = strip_id(layers, maker, strip);
        let area = Region::whole(id, [stored.len(), width, channels]);
        let part = |region: &Region, of: &Range<usize>| {
            let rows = [of.len(), region.hwc[1], region.hwc[2]];
            region.part([of.start - stored.start, 0, 0], [1, 1], rows)
        };
        if let Some((from, rows)) = before.take().filter(|_| stored.start < made) {
            let shared = stored.start..made;
            let at = shared.start.checked_sub(rows.start)?;
            let source = from.part([at, 0, 0], [1, 1], [shared.len(), width, channels]);
            let to = part(&area, &shared);
            pieces.push(carry(taker, strip, [source, to]));
        }
        let fresh = made..end;
        let mut make = piece(maker, &fresh, part(&area, &fresh), last, strip)?;
        let stored_rows = |whole: &Stored| Stored {
            first_row: fresh.start,
            region: make.output.clone(),
            ..whole.clone()
        };
        make.completes = maker.completes.iter().map(stored_rows).collect();
        let read = needed_rows(maker, &fresh)?;
        make.input = rows_of(&maker.input, &read);
        let whole = &taker.output;
        let mut take = piece(taker, &outputs, rows_of(whole, &outputs), last, strip)?;
        take.input = part(&area, &needed);
        pieces.extend([make, take]);
        before = Some((area, stored));
    }
    for (strip, rows) in areas.into_iter().enumerate() {
        add_area(layers, maker, strip, rows);
    }
    Some(pieces)
}

/// Values of the result between layer `first` and the next one.
fn values(layers: &Layers, first: usize) -> usize {
    layers.layers[first].output.hwc.iter().product()
}

/// Whether nothing but the next layer reads the result of layer `first`.
fn divisible(layers: &Layers, first: usize) -> bool {
    let pair = layers.layers.get(first..first + 2);
    let Some([maker, taker]) = pair.filter(|_| first >= layers.reset_layers) else {
        return false;
    };
    let storage = maker.output.storage;
    let area = &layers.areas[storage.0];
    let whole = Region::whole(storage, area.hwc);
    let uses = (layers.regions())
        .chain(layers.inputs.iter().map(|p| &p.region))
        .chain(layers.outputs.iter().map(|p| &p.region))
        .filter(|r| r.storage == storage);
    let global = taker.window().kernel[0] >= area.hwc[0];
    maker.output == whole
        && taker.input == whole
        && uses.count() == 2
        && !area.keeps
        && !area.dense
        && !global
        && taker.output.hwc[0] > 1
        && ![maker, taker]
            .iter()
            .any(|l| l.is_unit() || has_rows_of_two(l))
        && maker.input.storage != taker.output.storage
        && maker.completes.iter().all(|s| s.region == whole)
}

/// Its window joins rows of two tensors, or rows and what lies outside of the image.
pub fn has_rows_of_two(layer: &HwLayer) -> bool {
    layer.product().is_some() || layer.computed().is_some()
}

/// Rows of its input that a layer reads for rows of its output.
pub fn needed_rows(layer: &HwLayer, outputs: &Range<usize>) -> Option<Range<usize>> {
    let window = layer.window();
    let (stride, pad) = (window.stride[0], window.pad[0]);
    let reach = (window.kernel[0] - 1) * window.dilation[0];
    let end = ((outputs.end - 1) * stride + reach + 1).checked_sub(pad)?;
    let needed = (outputs.start * stride).saturating_sub(pad)..end.min(layer.input.hwc[0]);
    (!needed.is_empty()).then_some(needed)
}

pub fn rows_of(region: &Region, rows: &Range<usize>) -> Region {
    let [_, w, c] = region.hwc;
    region.part([rows.start, 0, 0], [1, 1], [rows.len(), w, c])
}

/// Where a strip will lie; the first one takes the place of the whole result.
fn strip_id(layers: &Layers, maker: &HwLayer, strip: usize) -> StorageId {
    match strip {
        0 => maker.output.storage,
        further => StorageId(layers.areas.len() + further - 1),
    }
}

/// Gives a strip its area.
fn add_area(layers: &mut Layers, maker: &HwLayer, strip: usize, rows: usize) {
    let whole = maker.output.storage;
    let [_, width, channels] = maker.output.hwc;
    let area = Area {
        hwc: [rows, width, channels],
        ..layers.areas[whole.0].clone()
    };
    if strip == 0 {
        layers.strips.push(whole);
        layers.areas[whole.0] = area;
    } else {
        layers.strips.push(StorageId(layers.areas.len()));
        layers.areas.push(area);
    }
}

/// A layer for `outputs` of its rows; only the last one completes the node.
pub fn piece(
    layer: &HwLayer,
    outputs: &Range<usize>,
    output: Region,
    last: bool,
    strip: usize,
) -> Option<HwLayer> {
    let window = layer.window();
    let pad = window.pad[0].saturating_sub(outputs.start * window.stride[0]);
    let mut piece = layer.clone();
    piece.output = output;
    piece.again = strip > 0;
    if let Some(residual) = &mut piece.residual {
        residual.region = rows_of(&residual.region, outputs);
    }
    match &mut piece.kind {
        LayerKind::Dot { window, .. }
        | LayerKind::Depthwise { window, .. }
        | LayerKind::Max(window, _)
        | LayerKind::Copy(window, _)
        | LayerKind::Average { window, .. } => window.pad[0] = pad,
        LayerKind::ComputedDot(_)
        | LayerKind::Product(_)
        | LayerKind::Softmax(_)
        | LayerKind::Lstm(_)
        | LayerKind::Attention(_)
        | LayerKind::Gather(_)
        | LayerKind::Store
        | LayerKind::Load => return None,
    }
    if !last {
        piece.completes.clear();
        piece.name = format!("{}_strip{strip}", layer.name);
        piece.nodes.clear();
    }
    Some(piece)
}

/// Copies rows from one strip to the next.
fn carry(taker: &HwLayer, strip: usize, regions: [Region; 2]) -> HwLayer {
    let name = format!("{}_rows{strip}", taker.name);
    let source = format!("rows of `{}`", taker.source);
    HwLayer {
        again: strip > 1,
        ..HwLayer::plain(name, ("COPY", copy()), source, regions)
    }
}
