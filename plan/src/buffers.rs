//! Pass 2: a layer reads its input and its residual from different buffers (each bank has one read
//! port), so areas are split in two sides; where that is not possible the residual is copied.

use crate::layers::{Area, HwLayer, Layers, WeightForm, copy};
use crate::region::{Region, StorageId};
use crate::sets::grown;
use crate::wide::Wide;
use macforge_numeric::Interval;

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
            layers.areas.push(Area {
                name: format!("{}_operand", layer.name),
                hwc: copied.hwc,
                dense: false,
                keeps: false,
            });
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
    HwLayer {
        name: format!("{}_operand", layer.name),
        source: layer.source.clone(),
        op: "COPY".into(),
        nodes: Vec::new(),
        kind: copy(),
        input: from,
        input_zero_point: 0,
        input_range: Interval::INT8,
        output: to,
        lower_is_activation: true,
        table: None,
        residual: None,
        completes: Vec::new(),
        form: WeightForm::default(),
        again: false,
        wraps: false,
        wide: Wide::default(),
    }
}
