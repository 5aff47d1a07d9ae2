//! Pass 4: buffer and address of every area. A layer reads its input from one buffer and its
//! residual from the other (each bank has one read port); its output may lie in either. Addresses
//! are first fit by lifetime; a result may overwrite its residual in place. Where layers run in strips,
//! each row of an area has a lifetime of its own. One set of layers runs per inference, so lifetimes are
//! those within a set: areas of different sets may share addresses, unless a state or stream needs them.

use crate::buffers::Sides;
use crate::layers::Layers;
use crate::layout::{Layout, Placement, Storage};
use crate::memories;
use crate::region::{Distance, Region, StorageId};
use crate::resources::Memory;
use crate::shape::Shape;
use std::collections::BTreeMap;
use std::ops::Range;

/// A part of an area, and when it is needed.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// First bank word.
    from: usize,
    /// The one behind the last.
    to: usize,
    /// Layers (1-based; the input is written at 0) of its first and last use.
    live: (usize, usize),
}

/// Which of the places that an area may have it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// The one with the lowest end: both buffers grow alike.
    Lowest,
    /// The one that lets its buffer grow least: one buffer may stay small.
    LeastGrowth,
}

/// Runs the pass; one placement per area. Of two policies the one with less block RAM is taken.
pub fn place(layers: &Layers, layout: &Layout, shape: &Shape) -> Vec<Placement> {
    let placements =
        [Policy::Lowest, Policy::LeastGrowth].map(|policy| place_by(policy, layers, layout, shape));
    let cost = |placements: &Vec<Placement>| {
        let depths = depths(placements);
        let memories = memories::activations(shape, depths);
        let ramb18: usize = memories.iter().map(Memory::ramb18).sum();
        (ramb18, depths.iter().sum::<usize>())
    };
    let best = placements.into_iter().min_by_key(cost);
    best.expect("a constant list")
}

/// In the place of a buffer's number: in memory, where areas have room of their own. Their bank words only tell
/// them apart; [`crate::ActivationMemory`] has the addresses.
pub const MEMORY: usize = 2;

/// Bank words that each buffer needs, at least one.
pub fn depths(placements: &[Placement]) -> [usize; 2] {
    [0, 1].map(|buffer| {
        let own = placements.iter().filter(|p| p.buffer == buffer);
        own.map(|p| p.base + p.size()).max().unwrap_or(1)
    })
}

fn place_by(policy: Policy, layers: &Layers, layout: &Layout, shape: &Shape) -> Vec<Placement> {
    let mut sides = Sides::new(layers.areas.len());
    for layer in &layers.layers {
        if let Some(residual) = layer.residual() {
            sides.separate(layer.input.storage, residual.storage);
        }
    }
    let mut places = Places {
        policy,
        placed: vec![None; layers.areas.len()],
        group_buffer: BTreeMap::new(),
    };
    places.place_in_memory(layers, layout);
    for set in &layers.sets {
        places.place_set(&View { layers, set }, layout, shape, &sides);
    }
    let placed = places.placed.into_iter();
    placed.map(|p| p.expect("a set uses it")).collect()
}

/// What has its place.
struct Places {
    policy: Policy,
    placed: Vec<Option<Placement>>,
    /// By group of areas that know on which side of one another they lie: the buffer of the one side.
    group_buffer: BTreeMap<usize, usize>,
}

/// A set of layers and those that restore states, which run before it.
struct View<'a> {
    layers: &'a Layers,
    set: &'a Range<usize>,
}

impl Places {
    /// Areas in memory, one behind the other.
    fn place_in_memory(&mut self, layers: &Layers, layout: &Layout) {
        let mut base = 0;
        for (area, storage) in layout.storages.iter().enumerate() {
            if layers.areas[area].memory {
                let placement = Placement {
                    storage: storage.clone(),
                    buffer: MEMORY,
                    base,
                    live: (0, layers.layers.len() + 1),
                };
                base += placement.size();
                self.placed[area] = Some(placement);
            }
        }
    }

    /// Places the areas of a set; those that it shares with sets before it have their place.
    fn place_set(&mut self, view: &View, layout: &Layout, shape: &Shape, sides: &Sides) {
        let layers = view.layers;
        let lifetimes = view.lifetimes();
        let mut taken: [Vec<Run>; 2] = Default::default();
        let mut order = Vec::new();
        for (area, live) in (0..layers.areas.len()).map(StorageId).zip(&lifetimes) {
            match (&self.placed[area.0], *live) {
                (Some(placed), _) if placed.buffer == MEMORY => {}
                (Some(placed), Some(live)) => {
                    let rows = view.row_lives(area, &placed.storage);
                    let own = runs(&placed.storage, &rows, live, shape.p);
                    taken[placed.buffer].extend(own.iter().map(|run| run.at(placed.base)));
                }
                (None, Some(live)) => order.push((area, live)),
                (_, None) => {}
            }
        }
        // strips last: they go where the areas at both of their ends have room
        order.sort_by_key(|(area, live)| (layers.strips.contains(area), live.0, area.0));
        for (area, live) in order {
            let (group, side) = sides.find(area);
            let side = usize::from(side);
            let buffers: Vec<usize> = match self.group_buffer.get(&group) {
                Some(flip) => vec![side ^ flip],
                None => vec![0, 1],
            };
            let storage = layout.storage(area);
            let rows = view.row_lives(area, storage);
            let placed = &self.placed;
            let candidates = buffers.into_iter().flat_map(|buffer| {
                planes(layers, placed, area, buffer, storage)
                    .into_iter()
                    .map(move |plane| (buffer, plane))
            });
            let fitted = candidates.map(|(buffer, plane)| {
                let mut placement = Placement {
                    storage: storage.clone(),
                    buffer,
                    base: 0,
                    live,
                };
                placement.storage.plane = plane;
                let own = runs(&placement.storage, &rows, live, shape.p);
                placement.base = view
                    .residual_place(placed, area, (&placement, &rows), &lifetimes)
                    .unwrap_or_else(|| first_fit(&taken[buffer], &own));
                (placement, own)
            });
            let depths = depths_of(&taken);
            let rank = |p: &Placement| {
                let end = p.base + p.size();
                match self.policy {
                    Policy::Lowest => (0, end),
                    Policy::LeastGrowth => (end.saturating_sub(depths[p.buffer]), end),
                }
            };
            let (best, own) = fitted
                .min_by_key(|(placement, _)| rank(placement))
                .expect("one or two candidates");
            self.group_buffer.entry(group).or_insert(best.buffer ^ side);
            taken[best.buffer].extend(own.iter().map(|run| run.at(best.base)));
            self.placed[area.0] = Some(best);
        }
    }
}

/// Bank words in use, per buffer.
fn depths_of(taken: &[Vec<Run>; 2]) -> [usize; 2] {
    [0, 1].map(|buffer| taken[buffer].iter().map(|run| run.to).max().unwrap_or(0))
}

impl Run {
    fn at(&self, base: usize) -> Run {
        Run {
            from: self.from + base,
            to: self.to + base,
            live: self.live,
        }
    }

    fn meets(&self, other: &Run) -> bool {
        self.together(other) && self.from < other.to && other.from < self.to
    }

    /// Needed at the same time.
    fn together(&self, other: &Run) -> bool {
        self.live.0 <= other.live.1 && other.live.0 <= self.live.1
    }
}

/// Distances of an area's channel words: as close as possible, for a strip also those of other areas,
/// between whose words it may lie.
fn planes(
    layers: &Layers,
    placed: &[Option<Placement>],
    area: StorageId,
    buffer: usize,
    storage: &Storage,
) -> Vec<usize> {
    let mut planes = vec![storage.plane];
    if layers.strips.contains(&area) {
        let others = placed.iter().flatten().filter(|p| p.buffer == buffer);
        planes.extend(others.map(|p| p.storage.plane));
        planes.retain(|&plane| plane >= storage.span);
        planes.sort_unstable();
        planes.dedup();
    }
    planes
}

/// The bank words of an area by time of need; as a whole where its rows are not told apart.
fn runs(
    storage: &Storage,
    rows: &[Option<(usize, usize)>],
    live: (usize, usize),
    p: usize,
) -> Vec<Run> {
    if rows.is_empty() {
        return vec![Run {
            from: 0,
            to: storage.size(),
            live,
        }];
    }
    let mut runs: Vec<Run> = Vec::new();
    for word in 0..storage.words {
        for at in 0..storage.span {
            let last = ((at * p + p - 1) / storage.pitch).min(rows.len() - 1);
            let of_rows = rows[(at * p / storage.pitch).min(last)..=last].iter();
            let needed = of_rows.copied().flatten();
            let Some(live) = needed.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
                continue;
            };
            let from = word * storage.plane + at;
            match runs.last_mut() {
                Some(run) if run.to == from && run.live == live => run.to += 1,
                _ => runs.push(Run {
                    from,
                    to: from + 1,
                    live,
                }),
            }
        }
    }
    runs
}

/// The lowest base at which none of the runs meets one that is taken.
fn first_fit(taken: &[Run], own: &[Run]) -> usize {
    let mut bases: Vec<usize> = taken.iter().map(|run| run.to).collect();
    bases.push(0);
    bases.sort_unstable();
    bases.dedup();
    let fits = |&base: &usize| {
        let mut placed = own.iter().map(|run| run.at(base));
        placed.all(|run| taken.iter().all(|t| !run.meets(t)))
    };
    bases.into_iter().find(fits).expect("behind all others")
}

impl View<'_> {
    /// When each row of an area is needed, where layers run in strips.
    fn row_lives(&self, area: StorageId, storage: &Storage) -> Vec<Option<(usize, usize)>> {
        let layers = self.layers;
        if layers.strips.is_empty() || layers.areas[area.0].keeps {
            return Vec::new();
        }
        let height = storage.hwc[0];
        let mut rows = vec![None; height];
        let mut touch = |region: &Region, at: usize| {
            if region.storage != area {
                return;
            }
            let plain = region.row == Distance::ROW && region.column == Distance::PIXEL;
            let width = layers.areas[area.0].hwc[1];
            let touched = if plain && region.start.pixels + region.hwc[1] <= width {
                region.start.rows..(region.start.rows + region.hwc[0]).min(height)
            } else {
                0..height
            };
            for row in &mut rows[touched] {
                let (first, last) = row.unwrap_or((at, at));
                *row = Some((first.min(at), last.max(at)));
            }
        };
        self.uses(&mut touch);
        rows
    }

    /// First and last layer (1-based; the input is written at 0) at which an area is needed; `None` where
    /// the set does not need it.
    fn lifetimes(&self) -> Vec<Option<(usize, usize)>> {
        let mut live: Vec<Option<(usize, usize)>> = vec![None; self.layers.areas.len()];
        let mut touch = |region: &Region, at: usize| {
            let range = live[region.storage.0].get_or_insert((at, at));
            *range = (range.0.min(at), range.1.max(at));
        };
        self.uses(&mut touch);
        let kept = Some((0, self.end()));
        let areas = live.into_iter().zip(&self.layers.areas);
        areas
            .map(|(live, a)| if a.keeps { kept } else { live })
            .collect()
    }

    /// When the outputs are read.
    fn end(&self) -> usize {
        self.layers.reset_layers + self.set.len() + 1
    }

    /// Index of the layer at a time.
    fn layer_at(&self, time: usize) -> Option<usize> {
        let ran = time.checked_sub(1)?;
        let resets = self.layers.reset_layers;
        Some(if ran < resets {
            ran
        } else {
            self.set.start + ran - resets
        })
    }

    /// All uses of regions, with the layer (1-based; the input is written at 0).
    fn uses(&self, touch: &mut impl FnMut(&Region, usize)) {
        let layers = self.layers;
        for port in &layers.inputs {
            touch(&port.region, 0);
        }
        let ran = (0..layers.reset_layers).chain(self.set.clone());
        for (layer, at) in ran.map(|i| &layers.layers[i]).zip(1..) {
            touch(&layer.output, at);
            touch(&layer.input, at);
            layer.residual().into_iter().for_each(|r| touch(r, at));
        }
        for port in &layers.outputs {
            touch(&port.region, self.end());
        }
    }

    /// Base of the residual operand when the result can take its place: row by row, the operand is not
    /// needed once the result is there.
    fn residual_place(
        &self,
        placed: &[Option<Placement>],
        area: StorageId,
        (result, rows): (&Placement, &[Option<(usize, usize)>]),
        lifetimes: &[Option<(usize, usize)>],
    ) -> Option<usize> {
        let layer = &self.layers.layers[self.layer_at(result.live.0)?];
        let from = layer.residual()?;
        let residual = placed[from.storage.0].as_ref()?;
        let alike = layer.output.storage == area
            && layer.output.is_place_of(from)
            && residual.buffer == result.buffer
            && residual.storage == result.storage;
        if !alike {
            return None;
        }
        let before = self.row_lives(from.storage, &residual.storage);
        let freed = if rows.is_empty() {
            lifetimes[from.storage.0].is_some_and(|live| live.1 == result.live.0)
        } else {
            let mut both = before.iter().zip(rows);
            both.all(|(old, new)| match (old, new) {
                (Some(old), Some(new)) => old.1 <= new.0,
                _ => true,
            })
        };
        freed.then_some(residual.base)
    }
}
