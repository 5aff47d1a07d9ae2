//! Pass 4: buffer and address of every tensor. A layer reads its input from one buffer and its
//! residual from the other (each bank has one read port); its output may lie in either. Addresses
//! are first fit by lifetime; a result may overwrite its residual in place.

use crate::error::PlanError;
use crate::layers::Layers;
use crate::layout::{Layout, Placement};
use macforge_quant::TensorId;
use std::collections::BTreeMap;

/// Placements by tensor.
pub type Placements = BTreeMap<TensorId, Placement>;

/// Runs the pass.
pub fn place(layers: &Layers, layout: &Layout) -> Result<Placements, PlanError> {
    let order: Vec<TensorId> = std::iter::once(layers.input)
        .chain(layers.layers.iter().map(|l| l.output))
        .collect();
    let colours = colour(layers, &order)?;
    let lifetimes = lifetimes(layers, &order);
    let mut placed: Placements = BTreeMap::new();
    let mut component_buffer: BTreeMap<usize, usize> = BTreeMap::new();
    for tensor in order {
        let (component, side) = colours[&tensor];
        let candidates: Vec<usize> = match component_buffer.get(&component) {
            Some(flip) => vec![side ^ flip],
            None => vec![0, 1],
        };
        let best = candidates
            .into_iter()
            .map(|buffer| first_fit(layers, layout, &placed, &lifetimes, tensor, buffer))
            .min_by_key(|p| p.base + p.size())
            .expect("one or two candidates");
        component_buffer
            .entry(component)
            .or_insert(best.buffer ^ side);
        placed.insert(tensor, best);
    }
    Ok(placed)
}

/// Two-colours the graph whose edges join a layer's input and its residual. Returns, per tensor,
/// its component and its side within it.
fn colour(
    layers: &Layers,
    order: &[TensorId],
) -> Result<BTreeMap<TensorId, (usize, usize)>, PlanError> {
    let mut colours: BTreeMap<TensorId, (usize, usize)> = BTreeMap::new();
    let edges: Vec<(TensorId, TensorId, &str)> = layers
        .layers
        .iter()
        .filter_map(|l| {
            l.residual
                .as_ref()
                .map(|r| (l.input, r.tensor, l.source.as_str()))
        })
        .collect();
    for (component, &seed) in order.iter().enumerate() {
        if colours.contains_key(&seed) {
            continue;
        }
        colours.insert(seed, (component, 0));
        let mut open = vec![seed];
        while let Some(at) = open.pop() {
            let side = colours[&at].1;
            for &(a, b, source) in edges.iter().filter(|(a, b, _)| *a == at || *b == at) {
                let other = if a == at { b } else { a };
                match colours.get(&other) {
                    None => {
                        colours.insert(other, (component, 1 - side));
                        open.push(other);
                    }
                    Some(&(_, s)) if s == side => {
                        return Err(PlanError::Unsupported {
                            layer: source.to_string(),
                            found: "input and residual must lie in the same buffer".into(),
                            remedy: "insert a copy (a 1x1 max pool) on one of the two operands"
                                .into(),
                        });
                    }
                    Some(_) => {}
                }
            }
        }
    }
    Ok(colours)
}

/// First and last layer index (1-based; the input is written at 0) at which a tensor is needed.
fn lifetimes(layers: &Layers, order: &[TensorId]) -> BTreeMap<TensorId, (usize, usize)> {
    let mut live: BTreeMap<TensorId, (usize, usize)> = order
        .iter()
        .enumerate()
        .map(|(at, &t)| (t, (at, at)))
        .collect();
    for (index, layer) in layers.layers.iter().enumerate() {
        for read in std::iter::once(layer.input).chain(layer.residual.as_ref().map(|r| r.tensor)) {
            if let Some(range) = live.get_mut(&read) {
                range.1 = range.1.max(index + 1);
            }
        }
    }
    if let Some(range) = live.get_mut(&layers.output) {
        range.1 = layers.layers.len() + 1;
    }
    live
}

fn first_fit(
    layers: &Layers,
    layout: &Layout,
    placed: &Placements,
    lifetimes: &BTreeMap<TensorId, (usize, usize)>,
    tensor: TensorId,
    buffer: usize,
) -> Placement {
    let storage = layout.storages[&tensor].clone();
    let live = lifetimes[&tensor];
    let mut placement = Placement {
        storage,
        buffer,
        base: 0,
        live,
    };
    if let Some(in_place) = residual_place(layers, placed, lifetimes, &placement) {
        placement.base = in_place;
        return placement;
    }
    let mut taken: Vec<(usize, usize)> = placed
        .values()
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
    placed: &Placements,
    lifetimes: &BTreeMap<TensorId, (usize, usize)>,
    result: &Placement,
) -> Option<usize> {
    let layer = layers
        .layers
        .iter()
        .find(|l| l.output == result.storage.tensor)?;
    let residual = placed.get(&layer.residual.as_ref()?.tensor)?;
    let same_geometry = residual.storage.pitch == result.storage.pitch
        && residual.storage.plane == result.storage.plane
        && residual.storage.words == result.storage.words;
    let dies_here = lifetimes[&residual.storage.tensor].1 == result.live.0;
    (residual.buffer == result.buffer && same_geometry && dies_here).then_some(residual.base)
}
