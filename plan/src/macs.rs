//! Multiply-accumulates per layer: a node that several layers compute together is shared among them.

use crate::layers::{HwLayer, Layers};
use macforge_quant::QGraph;

/// A unit beside the array may take this part of the cycles that the network's products need on all DSPs.
const SHARE: u64 = 64;

/// Multiply-accumulates of all nodes.
pub fn of_graph(graph: &QGraph) -> u64 {
    (0..graph.nodes.len()).map(|n| graph.macs(n)).sum()
}

/// Cycles that a unit beside the array may take on a device with `dsps` DSPs before more products at once are
/// worth theirs.
pub fn unit_cycles(graph: &QGraph, dsps: u64) -> u64 {
    of_graph(graph) / (2 * dsps.max(1)) / SHARE
}

/// The share of every layer; `graphs` are those of the sets.
pub fn of_layers(graphs: &[&QGraph], layers: &Layers) -> Vec<u64> {
    let mut macs = vec![0; layers.reset_layers];
    for (graph, set) in graphs.iter().zip(&layers.sets) {
        macs.extend(of_set(graph, &layers.layers[set.clone()]));
    }
    macs
}

fn of_set(graph: &QGraph, all: &[HwLayer]) -> Vec<u64> {
    let mut macs = vec![0; all.len()];
    for (owner, layer) in all.iter().enumerate().filter(|(_, l)| !l.nodes.is_empty()) {
        let total: u64 = layer.nodes.iter().map(|&n| graph.macs(n)).sum();
        // strips have areas of their own; what else has one is a copy
        let part = |l: &HwLayer| {
            let strip = layer.again && l.is_dot() == layer.is_dot();
            l.is_part_of(layer) && (strip || l.output.storage == layer.output.storage)
        };
        let parts: Vec<usize> = (0..all.len()).filter(|&i| part(&all[i])).collect();
        let work: u64 = parts.iter().chain([&owner]).map(|&i| work(&all[i])).sum();
        macs[owner] = total;
        for i in parts {
            macs[i] =
                (u128::from(total) * u128::from(self::work(&all[i])) / u128::from(work)) as u64;
            macs[owner] -= macs[i];
        }
    }
    macs
}

/// What the shares follow.
fn work(layer: &HwLayer) -> u64 {
    let [kernel_h, kernel_w] = layer.window().kernel;
    let outputs: usize = layer.output.hwc.iter().product();
    (outputs * kernel_h * kernel_w) as u64
}
