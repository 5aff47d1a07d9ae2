//! The roofline: per layer the cycles that the array needs for its multiply-accumulates at full use, those
//! that the memory needs for its weights or for the activations that it moves, and what was reached.

use crate::cosim::result::Simulation;
use crate::table::Table;
use macforge_codegen::LayerEntry;
use serde::Serialize;

/// One layer.
#[derive(Serialize)]
pub struct LayerRoof {
    pub name: String,
    /// Bytes of weights that are read from memory, or of activations that are moved.
    pub memory_bytes: u64,
    /// Cycles of the multiply-accumulates at full use of the array.
    pub compute_floor: u64,
    /// Cycles that the memory needs for them.
    pub memory_floor: u64,
    /// `compute` or `memory`: the larger floor; empty where there is none.
    pub bound: &'static str,
    /// As simulated, or else as estimated.
    pub cycles: u64,
    /// The larger floor over the cycles; above 1 where the weights were read during the layers before.
    pub reached: f64,
}

/// The whole network.
#[derive(Serialize)]
pub struct Roofline {
    pub macs_per_cycle_peak: u64,
    pub compute_floor: u64,
    pub memory_floor: u64,
    /// The larger one: weights are read while other layers compute.
    pub floor: u64,
    pub cycles: u64,
    pub reached: f64,
    pub layers: Vec<LayerRoof>,
}

impl Roofline {
    /// Of a design's layers and what its simulation has found.
    pub fn new(layers: &[LayerEntry], peak: u64, simulation: Option<&Simulation>) -> Self {
        let roof = |(index, layer): (usize, &LayerEntry)| {
            let simulated = simulation.and_then(|s| s.layers.get(index));
            let cycles = simulated.map_or(layer.estimated_cycles, |l| l.cycles);
            let weights = layer.stream.as_ref().map(|s| (s.bytes, s.memory_floor));
            let moved = layer.transfer.as_ref().map(|t| (t.bytes, t.memory_floor));
            let (memory_bytes, memory_floor) = weights.or(moved).unwrap_or((0, 0));
            let compute_floor = layer.macs.div_ceil(peak.max(1));
            LayerRoof {
                name: layer.name.clone(),
                memory_bytes,
                compute_floor,
                memory_floor,
                bound: match (compute_floor, memory_floor) {
                    (0, 0) => "",
                    _ if memory_floor > compute_floor => "memory",
                    _ => "compute",
                },
                cycles,
                reached: ratio(compute_floor.max(memory_floor), cycles),
            }
        };
        let layers: Vec<LayerRoof> = layers.iter().enumerate().map(roof).collect();
        let sum = |of: fn(&LayerRoof) -> u64| layers.iter().map(of).sum::<u64>();
        let [compute_floor, memory_floor] = [sum(|l| l.compute_floor), sum(|l| l.memory_floor)];
        let cycles = simulation.map_or(sum(|l| l.cycles), |s| s.cycles_per_inference);
        let floor = compute_floor.max(memory_floor);
        Roofline {
            macs_per_cycle_peak: peak,
            compute_floor,
            memory_floor,
            floor,
            cycles,
            reached: ratio(floor, cycles),
            layers,
        }
    }

    /// One row per layer that has a floor.
    pub fn table(&self) -> Table {
        let mut table = Table::new(&[
            "layer",
            "memory bytes",
            "compute floor",
            "memory floor",
            "bound",
            "cycles",
            "reached",
        ]);
        for layer in self.layers.iter().filter(|l| !l.bound.is_empty()) {
            table.row(vec![
                layer.name.clone(),
                layer.memory_bytes.to_string(),
                layer.compute_floor.to_string(),
                layer.memory_floor.to_string(),
                layer.bound.to_string(),
                layer.cycles.to_string(),
                format!("{:.1} %", 100.0 * layer.reached),
            ]);
        }
        table
    }

    /// The whole network in one line.
    pub fn summary(&self) -> String {
        format!(
            "compute {} cycles at {} MACs per cycle, memory {} cycles, overlapped; reached {} cycles, {:.1} % of \
             the floor's speed",
            self.compute_floor,
            self.macs_per_cycle_peak,
            self.memory_floor,
            self.cycles,
            100.0 * self.reached
        )
    }
}

fn ratio(floor: u64, cycles: u64) -> f64 {
    if cycles == 0 {
        0.0
    } else {
        floor as f64 / cycles as f64
    }
}
