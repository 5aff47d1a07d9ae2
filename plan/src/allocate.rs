//! Pass 4: buffer and address of every area. A layer reads its input from one buffer and its
//! residual from the other (each bank has one read port); its output may lie in either. Addresses
//! are first fit by lifetime; a result may overwrite its residual in place.

use crate::buffers::Sides;
use crate::layers::Layers;
use crate::layout::{Layout, Placement};
use crate::region::{Region, StorageId};
use std::collections::BTreeMap;

/// Runs the pass; one placement per area.
pub fn place(layers: &Layers, layout: &Layout) -> Vec<Placement> {
    let mut sides = Sides::new(layers.areas.len());
    for layer in &layers.layers {
        if let Some(residual) = layer.residual() {
            sides.separate(layer.input.storage, residual.storage);
        }
    }
    let lifetimes = lifetimes(layers);
    let mut order: Vec<StorageId> = (0..layers.areas.len()).map(StorageId).collect();
    order.sort_by_key(|area| (lifetimes[area.0].0, area.0));
    let mut placed: Vec<Option<Placement>> = vec![None; layers.areas.len()];
    let mut group_buffer: BTreeMap<usize, usize> = BTreeMap::new();
    for area in order {
        let (group, side) = sides.find(area);
        let side = usize::from(side);
        let candidates: Vec<usize> = match group_buffer.get(&group) {
            Some(flip) => vec![side ^ flip],
            None => vec![0, 1],
        };
        let best = candidates
            .into_iter()
            .map(|buffer| first_fit(layers, layout, &placed, lifetimes[area.0], area, buffer))
            .min_by_key(|p| p.base + p.size())
            .expect("one or two candidates");
        group_buffer.entry(group).or_insert(best.buffer ^ side);
        placed[area.0] = Some(best);
    }
    placed.into_iter().flatten().collect()
}

/// First and last layer (1-based; the input is written at 0) at which an area is needed.
fn lifetimes(layers: &Layers) -> Vec<(usize, usize)> {
    let end = layers.layers.len() + 1;
    let mut live: Vec<Option<(usize, usize)>> = vec![None; layers.areas.len()];
    let mut touch = |region: &Region, at: usize| {
        let range = live[region.storage.0].get_or_insert((at, at));
        *range = (range.0.min(at), range.1.max(at));
    };
    for port in &layers.inputs {
        touch(&port.region, 0);
    }
    for (index, layer) in layers.layers.iter().enumerate() {
        touch(&layer.output, index + 1);
        touch(&layer.input, index + 1);
        layer
            .residual()
            .into_iter()
            .for_each(|r| touch(r, index + 1));
    }
    for port in &layers.outputs {
        touch(&port.region, end);
    }
    let range = |(area, live): (usize, Option<(usize, usize)>)| {
        if layers.areas[area].keeps {
            (0, end)
        } else {
            live.unwrap_or((0, 0))
        }
    };
    live.into_iter().enumerate().map(range).collect()
}

fn first_fit(
    layers: &Layers,
    layout: &Layout,
    placed: &[Option<Placement>],
    live: (usize, usize),
    area: StorageId,
    buffer: usize,
) -> Placement {
    let mut placement = Placement {
        storage: layout.storage(area).clone(),
        buffer,
        base: 0,
        live,
    };
    if let Some(in_place) = residual_place(layers, placed, area, &placement) {
        placement.base = in_place;
        return placement;
    }
    let mut taken: Vec<(usize, usize)> = placed
        .iter()
        .flatten()
        .filter(|p| p.buffer == buffer && p.live.1 >= live.0 && live.1 >= p.live.0)
        .map(|p| (p.base, p.base + p.size()))
        .collect();
    taken.sort_unstable();
    for (start, end) in taken {
        if placement.base + placement.size() <= start {
            break;
        }
        placement.base = placement.base.max(end);
    }
    placement
}

/// Base of the residual operand when the result can take its place.
fn residual_place(
    layers: &Layers,
    placed: &[Option<Placement>],
    area: StorageId,
    result: &Placement,
) -> Option<usize> {
    let layer = &layers.layers[result.live.0.checked_sub(1)?];
    let from = layer.residual()?;
    let residual = placed[from.storage.0].as_ref()?;
    let whole = |r: &Region| *r == Region::whole(r.storage, layers.areas[r.storage.0].hwc);
    let in_place = layer.output.storage == area
        && whole(&layer.output)
        && whole(from)
        && residual.buffer == result.buffer
        && residual.storage == result.storage
        && residual.live.1 == result.live.0;
    in_place.then_some(residual.base)
}
