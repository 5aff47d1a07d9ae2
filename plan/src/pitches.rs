//! The distance of two rows of every area. Readers compute columns that nobody needs where the pitch does
//! not suit them (see [`crate::layout`]); longer rows take more memory.

use crate::input::InputMode;
use crate::layers::{HwLayer, Layers};
use crate::layout::{Storage, enumerated, steps};
use crate::region::StorageId;
use crate::shape::Shape;

/// What a reader that cannot run counts for; better one that is refused later than none at all.
const IMPOSSIBLE: usize = 1 << 20;

/// Areas are sized for a depth that is a multiple of a block RAM's least.
const DEPTH_STEP: usize = 512;

/// The areas of a graph on a shape.
struct Areas<'a> {
    layers: &'a Layers,
    mode: &'a InputMode,
    shape: &'a Shape,
}

/// The pitch in `W..W+P` for which the readers of an area compute the fewest unused columns.
pub fn fast(layers: &Layers, mode: &InputMode, shape: &Shape) -> Vec<Storage> {
    let areas = Areas {
        layers,
        mode,
        shape,
    };
    let ids = (0..layers.areas.len()).map(StorageId);
    ids.map(|area| {
        let pitches = areas.pitches(area);
        let best = pitches.min_by_key(|&pitch| areas.wasted(area, pitch, |_| 1));
        areas.storage(area, best.expect("P is at least 1"))
    })
    .collect()
}

/// The same as long as no area becomes larger than the largest one has to be; a result that has no place
/// beside the operand that it replaces gets the same pitch.
pub fn short(layers: &Layers, mode: &InputMode, shape: &Shape) -> Vec<Storage> {
    let areas = Areas {
        layers,
        mode,
        shape,
    };
    let ids: Vec<StorageId> = (0..layers.areas.len()).map(StorageId).collect();
    let least = |&area: &StorageId| areas.storage(area, areas.width(area)).size();
    let on_chip = |id: &StorageId| !layers.strips.contains(id) && !layers.areas[id.0].memory;
    let whole = ids.iter().filter(|id| on_chip(id));
    let limit = (whole.map(least).max().unwrap_or(0)).next_multiple_of(DEPTH_STEP);
    let mut groups: Vec<Vec<StorageId>> = ids.iter().map(|&id| vec![id]).collect();
    let best = |group: &[StorageId]| {
        let fits = |&pitch: &usize| {
            let sizes = group.iter().map(|&area| areas.storage(area, pitch).size());
            pitch == areas.width(group[0]) || sizes.max() <= Some(limit)
        };
        let wasted = |pitch: usize| -> usize {
            let of_areas = group.iter().map(|&a| areas.wasted(a, pitch, weights));
            of_areas.sum()
        };
        let pitches = areas.pitches(group[0]).filter(fits);
        pitches.min_by_key(|&pitch| wasted(pitch))
    };
    let mut storages: Vec<Storage> = (groups.iter())
        .map(|group| areas.storage(group[0], best(group).expect("the width itself")))
        .collect();
    for layer in &layers.layers {
        let Some([operand, result]) = replaced(layers, layer) else {
            continue;
        };
        let [a, b] = [operand, result].map(|area| &storages[area.0]);
        let roomy = layers.strips.is_empty() && a.size() + b.size() <= limit;
        if a.pitch == b.pitch || roomy {
            continue;
        }
        let at = |area: StorageId| groups.iter().position(|g| g.contains(&area));
        let (Some(first), Some(second)) = (at(operand), at(result)) else {
            continue;
        };
        let group = if first == second {
            groups[first].clone()
        } else {
            let joined = std::mem::take(&mut groups[second]);
            groups[first].extend(joined);
            groups[first].clone()
        };
        let pitch = best(&group).expect("the width itself");
        for area in group {
            storages[area.0] = areas.storage(area, pitch);
        }
    }
    storages
}

/// The areas of the residual operand that a layer's result could replace, and of the result.
fn replaced(layers: &Layers, layer: &HwLayer) -> Option<[StorageId; 2]> {
    let (operand, result) = (layer.residual()?, &layer.output);
    let areas = [operand, result].map(|region| &layers.areas[region.storage.0]);
    let alike = areas[0].hwc == areas[1].hwc && areas.iter().all(|area| !area.dense);
    (alike && operand.is_place_of(result)).then_some([operand.storage, result.storage])
}

/// What a column of a layer costs.
fn weights(layer: &HwLayer) -> usize {
    layer.weighted().map_or(1, |w| w.weights.len())
}

impl Areas<'_> {
    fn hwc(&self, area: StorageId) -> [usize; 3] {
        self.mode.stored_hwc(self.layers, area)
    }

    fn width(&self, area: StorageId) -> usize {
        self.hwc(area)[1]
    }

    fn storage(&self, area: StorageId, pitch: usize) -> Storage {
        Storage::new(self.hwc(area), pitch, self.shape)
    }

    /// Pitches that make a difference.
    fn pitches(&self, area: StorageId) -> std::ops::Range<usize> {
        let width = self.width(area);
        if self.layers.areas[area.0].dense {
            width..width + 1
        } else {
            width..width + self.shape.p
        }
    }

    /// Columns that the readers of an area compute in vain, times what one of them costs.
    fn wasted(&self, area: StorageId, pitch: usize, cost: impl Fn(&HwLayer) -> usize) -> usize {
        let readers = self.layers.layers.iter();
        let readers = readers.filter(|l| l.input.storage == area && !l.is_unit());
        let of_reader = |layer: &HwLayer| {
            let window = self.mode.stored_window(self.layers, layer);
            let distance = [layer.input.row, layer.input.column].map(|d| d.flat(pitch));
            let [rows, columns, _] = layer.output.hwc;
            let steps = steps(&window, distance, [rows, columns], self.shape.p);
            match enumerated(self.shape.p, steps, columns) {
                None => IMPOSSIBLE,
                Some(we) if rows > 1 => rows * (we - columns) * cost(layer),
                Some(_) => 0,
            }
        };
        readers.map(of_reader).sum()
    }
}
