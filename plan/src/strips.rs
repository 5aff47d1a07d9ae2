//! Layers in strips: where a layer's result is large and only the layer behind it reads it, the two
//! take turns, some rows at a time, so that no more than a strip of the result is ever stored. Rows
//! that two strips need are copied from one to the next.

use crate::layers::{Area, HwLayer, LayerKind, Layers, copy};
use crate::region::{Region, StorageId};
use std::ops::Range;

/// Numbers of strips that are looked at.
const STRIPS: [usize; 7] = [2, 3, 4, 6, 8, 12, 16];

/// Rows of the pair's result per strip that are worth looking at, most first; empty where no layer
/// can run in strips.
pub fn choices(layers: &Layers) -> Vec<usize> {
    let Some(first) = pair(layers).filter(|_| layers.sets.len() == 1) else {
        return Vec::new();
    };
    let rows = layers.layers[first + 1].output.hwc[0];
    let mut choices: Vec<usize> = STRIPS.map(|strips| rows.div_ceil(strips)).into();
    choices.dedup();
    choices
}

/// The layers with the pair of the largest intermediate result in strips of `rows` rows. `None` where
/// there is no such pair, or its windows do not allow it.
pub fn apply(layers: &Layers, rows: usize) -> Option<Layers> {
    let first = pair(layers)?;
    let mut stripped = Layers {
        layers: layers.layers[..first].to_vec(),
        ..layers.clone()
    };
    let [maker, taker] = [&layers.layers[first], &layers.layers[first + 1]];
    let [height, width, channels] = maker.output.hwc;
    let total = taker.output.hwc[0];
    let starts: Vec<usize> = (0..total).step_by(rows).collect();
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
        let area = Region::whole(
            strip_area(&mut stripped, maker, strip, stored.len()),
            [stored.len(), width, channels],
        );
        let part = |region: &Region, of: &Range<usize>| {
            let rows = [of.len(), region.hwc[1], region.hwc[2]];
            region.part([of.start - stored.start, 0, 0], [1, 1], rows)
        };
        if let Some((from, rows)) = before.take().filter(|_| stored.start < made) {
            let shared = stored.start..made;
            let at = shared.start.checked_sub(rows.start)?;
            let source = from.part([at, 0, 0], [1, 1], [shared.len(), width, channels]);
            let to = part(&area, &shared);
            stripped.layers.push(carry(taker, strip, source, to));
        }
        let fresh = made..end;
        let mut make = piece(maker, &fresh, part(&area, &fresh), last, strip)?;
        // the tensor between the two is never complete
        make.completes.clear();
        let read = needed_rows(maker, &fresh)?;
        make.input = rows_of(&maker.input, &read);
        let whole = &taker.output;
        let mut take = piece(taker, &outputs, rows_of(whole, &outputs), last, strip)?;
        take.input = part(&area, &needed);
        stripped.layers.extend([make, take]);
        before = Some((area, stored));
    }
    stripped
        .layers
        .extend_from_slice(&layers.layers[first + 2..]);
    Some(stripped)
}

/// Index of the first of the two neighbours with the largest result between them.
fn pair(layers: &Layers) -> Option<usize> {
    let candidates = layers.reset_layers..layers.layers.len().saturating_sub(1);
    candidates
        .filter(|&first| divisible(layers, first))
        .max_by_key(|&first| {
            let result: usize = layers.layers[first].output.hwc.iter().product();
            (result, std::cmp::Reverse(first))
        })
}

/// Whether nothing but the next layer reads the result of layer `first`.
fn divisible(layers: &Layers, first: usize) -> bool {
    let [maker, taker] = [&layers.layers[first], &layers.layers[first + 1]];
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
}

/// Its window joins rows of two tensors, or rows and what lies outside of the image.
fn has_rows_of_two(layer: &HwLayer) -> bool {
    layer.product().is_some() || layer.computed().is_some()
}

/// Rows of its input that a layer reads for rows of its output.
fn needed_rows(layer: &HwLayer, outputs: &Range<usize>) -> Option<Range<usize>> {
    let window = layer.window();
    let (stride, pad) = (window.stride[0], window.pad[0]);
    let reach = (window.kernel[0] - 1) * window.dilation[0];
    let end = ((outputs.end - 1) * stride + reach + 1).checked_sub(pad)?;
    let needed = (outputs.start * stride).saturating_sub(pad)..end.min(layer.input.hwc[0]);
    (!needed.is_empty()).then_some(needed)
}

fn rows_of(region: &Region, rows: &Range<usize>) -> Region {
    let [_, w, c] = region.hwc;
    region.part([rows.start, 0, 0], [1, 1], [rows.len(), w, c])
}

/// The area of a strip; the first one takes the place of the whole result.
fn strip_area(layers: &mut Layers, maker: &HwLayer, strip: usize, rows: usize) -> StorageId {
    let id = if strip == 0 {
        maker.output.storage
    } else {
        StorageId(layers.areas.len())
    };
    let whole = &layers.areas[maker.output.storage.0];
    let area = Area {
        hwc: [rows, whole.hwc[1], whole.hwc[2]],
        ..whole.clone()
    };
    match layers.areas.get_mut(id.0) {
        Some(first) => *first = area,
        None => layers.areas.push(area),
    }
    layers.strips.push(id);
    id
}

/// A layer for `outputs` of its rows; only the last one completes the node.
fn piece(
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
        | LayerKind::Gather(_) => return None,
    }
    if !last {
        piece.completes.clear();
        piece.name = format!("{}_strip{strip}", layer.name);
        piece.nodes.clear();
    }
    Some(piece)
}

/// Copies rows from one strip to the next.
fn carry(taker: &HwLayer, strip: usize, input: Region, output: Region) -> HwLayer {
    HwLayer {
        name: format!("{}_rows{strip}", taker.name),
        source: format!("rows of `{}`", taker.source),
        op: "COPY".into(),
        nodes: Vec::new(),
        kind: copy(),
        input,
        input_zero_point: 0,
        output,
        lower_is_activation: true,
        table: None,
        residual: None,
        completes: Vec::new(),
        form: crate::layers::WeightForm::default(),
        again: strip > 1,
        wraps: false,
    }
}
