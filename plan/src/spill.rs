//! Activations in memory: areas of more than so many values lie there. The layers that read or write one run
//! in strips of rows, each with areas of its own on chip: the rows that a strip needs are loaded, those
//! that it gives are stored.

use crate::layers::{Area, HwLayer, LayerKind, Layers, Stored};
use crate::region::{Region, StorageId};
use crate::strips::{has_rows_of_two, needed_rows, piece, rows_of};
use crate::wide::Wide;
use std::ops::Range;

/// Into how many parts the largest area that may lie in memory is divided, of what is looked at.
const PARTS: [usize; 11] = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];

/// Most values of an area on chip that are worth looking at, most first; empty where no area can lie in memory.
pub fn choices(layers: &Layers) -> Vec<usize> {
    let movable = movable(layers);
    let largest = movable.iter().map(|&area| values(layers, area)).max();
    let mut choices: Vec<usize> = largest.map_or(Vec::new(), |largest| {
        PARTS.map(|parts| largest.div_ceil(parts)).into()
    });
    choices.dedup();
    choices
}

/// The layers with all areas of more than `most` values in memory that can lie there. `None` where there is
/// none, or a row of a strip has more values.
pub fn apply(layers: &Layers, most: usize) -> Option<Layers> {
    let mut spilled = layers.clone();
    let areas = movable(layers);
    let large = areas
        .into_iter()
        .filter(|&area| values(layers, area) > most);
    for area in large {
        spilled.areas[area.0].memory = true;
    }
    if spilled.areas.iter().all(|area| !area.memory) {
        return None;
    }
    let resets = spilled.reset_layers;
    let mut pass = Pass {
        layers: &mut spilled,
        most,
        done: Vec::new(),
    };
    for (index, layer) in layers.layers.iter().enumerate() {
        let touched = std::iter::once(&layer.input)
            .chain([&layer.output])
            .chain(layer.residual())
            .any(|region| pass.in_memory(region));
        if touched && index >= resets {
            pass.divide(layer)?;
        } else {
            pass.done.push(layer.clone());
        }
    }
    let done = pass.done;
    spilled.layers = done;
    Some(spilled)
}

fn values(layers: &Layers, area: StorageId) -> usize {
    layers.areas[area.0].hwc.iter().product()
}

/// The areas that may lie in memory: those that whole layers read and write row by row, and of the inputs
/// the largest one.
fn movable(layers: &Layers) -> Vec<StorageId> {
    let areas = (0..layers.areas.len()).map(StorageId);
    let (inputs, mut others): (Vec<_>, Vec<_>) = areas
        .filter(|&area| is_movable(layers, area))
        .partition(|area| {
            let mut inputs = layers.inputs.iter();
            inputs.any(|port| port.region.storage == *area)
        });
    let largest = inputs.into_iter().max_by_key(|&area| values(layers, area));
    others.extend(largest);
    others
}

fn is_movable(layers: &Layers, id: StorageId) -> bool {
    let area = &layers.areas[id.0];
    let whole = Region::whole(id, area.hwc);
    let elsewhere = |region: &Region| region.storage != id;
    let fits = |region: &Region| elsewhere(region) || *region == whole;
    let divided = |layer: &HwLayer| {
        let untouched = elsewhere(&layer.input)
            && elsewhere(&layer.output)
            && layer.residual().is_none_or(elsewhere);
        let global = !elsewhere(&layer.input) && layer.window().kernel[0] >= area.hwc[0];
        let completes = |stored: &Stored| {
            elsewhere(&stored.region)
                || (stored.region == whole && layer.output == whole && stored.first_row == 0)
        };
        layer.completes.iter().all(completes) && (untouched || (is_divisible(layer) && !global))
    };
    !area.keeps
        && !area.dense
        && area.hwc[0] > 1
        && layers.outputs.iter().all(|port| elsewhere(&port.region))
        && layers.inputs.iter().all(|port| fits(&port.region))
        && layers.regions().all(fits)
        && layers.layers[..layers.reset_layers]
            .iter()
            .all(|layer| elsewhere(&layer.output))
        && layers.layers.iter().all(divided)
}

/// Some rows of it can be computed without the others.
fn is_divisible(layer: &HwLayer) -> bool {
    !layer.is_unit()
        && !has_rows_of_two(layer)
        && !layer.wraps
        && layer.wide == Wide::default()
        && layer.output.hwc[0] > 1
}

/// The state of the pass.
struct Pass<'a> {
    /// Areas; the layers are those from before.
    layers: &'a mut Layers,
    most: usize,
    done: Vec<HwLayer>,
}

impl Pass<'_> {
    fn in_memory(&self, region: &Region) -> bool {
        self.layers.areas[region.storage.0].memory
    }

    /// A layer in strips.
    fn divide(&mut self, layer: &HwLayer) -> Option<()> {
        let total = layer.output.hwc[0];
        let rows = self.rows(layer)?;
        let rows = total.div_ceil(total.div_ceil(rows));
        for (strip, start) in (0..total).step_by(rows).enumerate() {
            let outputs = start..total.min(start + rows);
            self.strip(layer, strip, outputs)?;
        }
        Some(())
    }

    /// Most rows of a strip.
    fn rows(&self, layer: &HwLayer) -> Option<usize> {
        let total = layer.output.hwc[0];
        let row = |region: &Region| region.hwc[1] * region.hwc[2];
        let written = std::iter::once(&layer.output).chain(layer.residual());
        let largest = written.filter(|r| self.in_memory(r)).map(row).max();
        let by_output = largest.map_or(total, |row| self.most / row);
        let window = layer.window();
        let reach = (window.kernel[0] - 1) * window.dilation[0] + 1;
        let by_input = if self.in_memory(&layer.input) {
            let most = (self.most / row(&layer.input)).checked_sub(reach)?;
            most / window.stride[0] + 1
        } else {
            total
        };
        Some(by_output.min(by_input)).filter(|&rows| rows > 0)
    }

    fn strip(&mut self, layer: &HwLayer, strip: usize, outputs: Range<usize>) -> Option<()> {
        let last = outputs.end == layer.output.hwc[0];
        let stored = self.in_memory(&layer.output);
        let name = format!("{}_strip{strip}", layer.name);
        let to = rows_of(&layer.output, &outputs);
        let own = if stored {
            self.area(&name, &to)
        } else {
            to.clone()
        };
        let mut piece = piece(layer, &outputs, own.clone(), last, strip)?;
        piece.again |= layer.again;
        let needed = rows_of(&layer.input, &needed_rows(layer, &outputs)?);
        piece.input = self.loaded(layer, format!("{name}_in"), needed);
        if let Some(residual) = &mut piece.residual {
            let rows = residual.region.clone();
            residual.region = self.loaded(layer, format!("{name}_operand"), rows);
        }
        if stored {
            let rows = |whole: &Stored| Stored {
                first_row: outputs.start,
                region: own.clone(),
                ..whole.clone()
            };
            piece.completes = layer.completes.iter().map(rows).collect();
        }
        self.done.push(piece);
        if stored {
            let source = format!("result of `{}`", layer.source);
            let kind = ("STORE", LayerKind::Store);
            let store = HwLayer::plain(format!("{name}_out"), kind, source, [own, to]);
            self.done.push(store);
        }
        Some(())
    }

    /// The rows on chip: themselves, or where they are loaded to.
    fn loaded(&mut self, layer: &HwLayer, name: String, rows: Region) -> Region {
        if !self.in_memory(&rows) {
            return rows;
        }
        let to = self.area(&name, &rows);
        self.layers.areas[to.storage.0].rows_of = Some(rows.storage);
        let source = format!("operand of `{}`", layer.source);
        let kind = ("LOAD", LayerKind::Load);
        let load = HwLayer::plain(name, kind, source, [rows, to.clone()]);
        self.done.push(load);
        to
    }

    /// An area on chip for rows of one in memory.
    fn area(&mut self, name: &str, rows: &Region) -> Region {
        let area = StorageId(self.layers.areas.len());
        self.layers.areas.push(Area::new(name.into(), rows.hwc));
        Region::whole(area, rows.hwc)
    }
}
