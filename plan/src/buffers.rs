//! Pass 2: a layer reads its input and its residual from different buffers (each bank has one read
//! port), so areas are split in two sides; where that is not possible the residual is copied.

use crate::layers::{Area, HwLayer, Layers, copy};
use crate::region::{Region, StorageId};
use crate::sets::grown;

/// A forest of areas that know on which side they lie relative to one another.
#[derive(Clone, Debug)]
pub struct Sides {
    parent: Vec<(usize, bool)>,
}

impl Sides {
    /// `count` areas without relations.
    pub fn new(count: usize) -> Self {
        Sides {
            parent: (0..count).map(|i| (i, false)).collect(),
        }
    }

    /// The group of an area and its side within it.
    pub fn find(&self, area: StorageId) -> (usize, bool) {
        let (mut at, mut side) = (area.0, false);
        while self.parent[at].0 != at {
            side ^= self.parent[at].1;
            at = self.parent[at].0;
        }
        (at, side)
    }

    /// Puts two areas on different sides, unless they are bound to the same one.
    pub fn separate(&mut self, a: StorageId, b: StorageId) -> bool {
        let ((group_a, side_a), (group_b, side_b)) = (self.find(a), self.find(b));
        if group_a == group_b {
            return side_a != side_b;
        }
        self.parent[group_b] = (group_a, side_a == side_b);
        true
    }
}

/// Runs the pass.
pub fn separate(layers: &mut Layers) {
    let mut sides = Sides::new(layers.areas.len());
    let mut done = Vec::with_capacity(layers.layers.len());
    let mut inserted = Vec::new();
    for (index, mut layer) in std::mem::take(&mut layers.layers).into_iter().enumerate() {
        let input = layer.input.storage;
        if let Some(residual) = &mut layer.residual
            && !sides.separate(input, residual.region.storage)
        {
            let area = StorageId(layers.areas.len());
            let copied = Region::whole(area, residual.region.hwc);
            let name = format!("{}_operand", layer.name);
            layers.areas.push(Area::new(name, copied.hwc));
            sides.parent.push((area.0, false));
            sides.separate(input, area);
            let from = std::mem::replace(&mut residual.region, copied.clone());
            done.push(operand_copy(&layer, from, copied));
            inserted.push(index);
        }
        done.push(layer);
    }
    layers.layers = done;
    layers.reset_layers = grown(&(0..layers.reset_layers), &inserted).end;
    for set in &mut layers.sets {
        *set = grown(set, &inserted);
    }
}

/// The copy of a residual operand for `layer`.
fn operand_copy(layer: &HwLayer, from: Region, to: Region) -> HwLayer {
    let name = format!("{}_operand", layer.name);
    HwLayer::plain(name, ("COPY", copy()), layer.source.clone(), [from, to])
}
