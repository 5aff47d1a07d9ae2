//! Several quantizations of one network in one program: each is a set of layers behind the streams
//! that all of them share. One set runs per inference, so areas of different sets may lie at the same
//! addresses (see [`crate::allocate`]).

use crate::buffers;
use crate::error::PlanError;
use crate::layers::{Area, HwLayer, LayerKind, Layers, Port};
use crate::lower::{MAX_LAYERS, unsupported};
use crate::region::{Region, StorageId};
use crate::units;
use macforge_quant::QGraph;
use std::ops::Range;

/// The layers of all graphs, with the first one's streams; layers that restore states come first.
///
/// # Errors
/// The streams or the units of two sets are not the same.
pub fn join(graphs: &[&QGraph], each: Vec<Layers>) -> Result<Layers, PlanError> {
    let mut each = each.into_iter();
    let mut joined = each.next().expect("a design has a graph");
    let first_layers = joined.reset_layers..joined.layers.len();
    let mut bodies = vec![joined.layers.split_off(first_layers.start)];
    let mut resets = std::mem::take(&mut joined.layers);
    for (graph, layers) in graphs[1..].iter().zip(each) {
        if graph.semantics != graphs[0].semantics {
            return Err(unsupported(
                &graph.name,
                format!(
                    "{} rounding, {} in the first precision",
                    graph.semantics, graphs[0].semantics
                ),
                "the design has one kind of requantizer lane; take the same --semantics for all",
            ));
        }
        same_gathers(&bodies[0], &layers)?;
        joined.acc_bits = joined.acc_bits.max(layers.acc_bits);
        let mut moved = Moved::new([graphs[0], graph], &mut joined, &layers)?;
        let strips = layers.strips.iter().map(|strip| moved.areas[strip.0]);
        moved.joined.strips.extend(strips);
        let mut all: Vec<HwLayer> = (layers.layers.into_iter())
            .map(|layer| moved.layer(layer))
            .collect();
        bodies.push(all.split_off(layers.reset_layers));
        resets.append(&mut all);
    }
    joined.reset_layers = resets.len();
    joined.layers = resets;
    for body in bodies {
        let start = joined.layers.len();
        joined.layers.extend(body);
        joined.sets.push(start..joined.layers.len());
    }
    units::share(&mut joined.layers)?;
    if joined.sets.len() > 1 {
        // the common areas may have come on sides that contradict one another
        buffers::separate(&mut joined);
        if joined.layers.len() > MAX_LAYERS {
            return Err(unsupported(
                &joined_name(graphs),
                format!("{} layers in all precisions", joined.layers.len()),
                "the register map has counters for 256; put fewer precisions into the design",
            ));
        }
    }
    Ok(joined)
}

fn joined_name(graphs: &[&QGraph]) -> String {
    let names: Vec<&str> = graphs.iter().map(|g| g.name.as_str()).collect();
    names.join(", ")
}

/// The range of layers, after copies were put in front of the layers `inserted`.
pub fn grown(range: &Range<usize>, inserted: &[usize]) -> Range<usize> {
    let shifted = |at: usize| at + inserted.iter().filter(|&&i| i < at).count();
    shifted(range.start)..shifted(range.end)
}

/// Weights that are computed have a place for each product of the first precision.
fn same_gathers(first: &[HwLayer], layers: &Layers) -> Result<(), PlanError> {
    let known = |kind: &LayerKind| first.iter().any(|l| l.kind == *kind);
    match (layers.layers.iter()).find(|l| l.gather().is_some() && !known(&l.kind)) {
        None => Ok(()),
        Some(layer) => Err(unsupported(
            &layer.source,
            format!(
                "{} with another zero point or shape than in the first precision",
                layer.op
            ),
            "give its operands the same bits and calibrators in all policies, or make a design per \
             policy",
        )),
    }
}

/// Where areas and tables of a further set are in the joined design.
struct Moved<'a> {
    joined: &'a mut Layers,
    areas: Vec<StorageId>,
    tables: Vec<usize>,
}

impl<'a> Moved<'a> {
    fn new(
        graphs: [&QGraph; 2],
        joined: &'a mut Layers,
        layers: &Layers,
    ) -> Result<Self, PlanError> {
        let mut areas: Vec<Option<StorageId>> = vec![None; layers.areas.len()];
        let streams = [
            ("input", &joined.inputs, &layers.inputs),
            ("output", &joined.outputs, &layers.outputs),
        ];
        for (what, first, own) in streams {
            if first.len() != own.len() {
                let found = format!(
                    "{} {what}s, {} in the first precision",
                    own.len(),
                    first.len()
                );
                return Err(unsupported(&graphs[1].name, found, ONE_NETWORK));
            }
            for (first, own) in first.iter().zip(own) {
                same_stream(graphs, what, [first, own])?;
                let area = |p: &Port, all: &[Area]| all[p.region.storage.0].clone();
                let [one, other] = [area(first, &joined.areas), area(own, &layers.areas)];
                let region = Region {
                    storage: first.region.storage,
                    ..own.region.clone()
                };
                let id = areas[own.region.storage.0].get_or_insert(first.region.storage);
                let same = (one.hwc, one.dense, one.keeps) == (other.hwc, other.dense, other.keeps);
                if !same || region != first.region || *id != first.region.storage {
                    return Err(unsupported(
                        &graphs[1].tensor(own.tensor).name,
                        format!("an {what} that is not stored as in the first precision"),
                        ONE_NETWORK,
                    ));
                }
            }
        }
        let place = |(home, area): (Option<StorageId>, &Area)| {
            home.unwrap_or_else(|| {
                joined.areas.push(area.clone());
                StorageId(joined.areas.len() - 1)
            })
        };
        let areas = areas.into_iter().zip(&layers.areas).map(place).collect();
        let place = |table: &[i8; 256]| {
            let known = joined.tables.iter().position(|t| t == table);
            known.unwrap_or_else(|| {
                joined.tables.push(*table);
                joined.tables.len() - 1
            })
        };
        let tables = layers.tables.iter().map(place).collect();
        Ok(Moved {
            joined,
            areas,
            tables,
        })
    }

    fn layer(&mut self, mut layer: HwLayer) -> HwLayer {
        for region in layer.regions_mut() {
            region.storage = self.areas[region.storage.0];
        }
        layer.table = layer.table.map(|table| self.tables[table]);
        debug_assert!(layer.output.storage.0 < self.joined.areas.len());
        layer
    }
}

const ONE_NETWORK: &str = "the precisions of a design are quantizations of one network";

/// Both sets take the same bits in the same order.
fn same_stream(graphs: [&QGraph; 2], what: &str, ports: [&Port; 2]) -> Result<(), PlanError> {
    let tensors = [0, 1].map(|i| graphs[i].tensor(ports[i].tensor));
    let [first, own] = ports;
    if first.float && own.float && tensors[0].quant != tensors[1].quant {
        return Err(unsupported(
            &tensors[1].name,
            format!("a float32 {what} with another scale than in the first precision"),
            "the design has one unit that converts it: take --io int8, where the host does, or give \
             the tensor the same bits and calibrator in all policies",
        ));
    }
    let kind = |p: &Port| (p.float, p.unsigned, p.region.hwc);
    if kind(first) == kind(own) {
        return Ok(());
    }
    Err(unsupported(
        &tensors[1].name,
        format!(
            "an {what} of {:?}, of another shape or type than in the first precision ({:?})",
            own.region.hwc, first.region.hwc
        ),
        ONE_NETWORK,
    ))
}
