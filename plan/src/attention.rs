//! The attention unit's part of a plan: how many products at once, its cycles and memories.

use crate::cycles::{LayerCycles, latency};
use crate::error::PlanError;
use crate::hwplan::BlockLatencies;
use crate::macs;
use crate::resources::{Memory, Place};
use macforge_numeric::AttentionRule;
use macforge_quant::{Attention, QGraph, QNode};

/// Attention as the unit runs it: its input are the queries, the keys and the values, one token after the
/// other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionLayer {
    /// Size.
    pub size: AttentionSize,
    /// Zero points of queries, keys and values.
    pub zero_points: [i32; 3],
    /// Scores, weights and context.
    pub rule: AttentionRule,
}

/// Size of an attention unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionSize {
    /// Queries.
    pub queries: usize,
    /// Keys, and values.
    pub keys: usize,
    /// Heads.
    pub heads: usize,
    /// Channels of a head.
    pub width: usize,
    /// Products at once where nothing else bounds them (see [`Self::parallel`]).
    pub products: usize,
}

/// Most products at once.
const PARALLEL: usize = 8;

/// The layer of a node, for a device with `dsps` DSPs.
pub fn layer(
    graph: &QGraph,
    node: &QNode,
    op: &Attention,
    dsps: u64,
) -> Result<AttentionLayer, PlanError> {
    let tensors = [0, 1, 2].map(|i| graph.tensor(node.inputs[i]));
    let [[_, queries, channels], [_, keys, _]] = [tensors[0].hwc(), tensors[1].hwc()];
    if (queries.max(2 * keys)) * channels >= 1 << 15 {
        return Err(PlanError::Unsupported {
            layer: node.source.clone(),
            found: format!("{queries} queries and {keys} keys of {channels} channels"),
            remedy: "the attention unit holds at most 32,767 values of queries, and as many of keys and values"
                .into(),
        });
    }
    let size = AttentionSize {
        queries,
        keys,
        heads: op.heads,
        width: channels / op.heads,
        products: PARALLEL,
    };
    Ok(AttentionLayer {
        size: size.within(macs::unit_cycles(graph, dsps)),
        zero_points: tensors.map(|t| t.quant.map_or(0, |q| q.zero_point)),
        rule: op.rule,
    })
}

impl AttentionLayer {
    /// Cycles of the layer; `word` are the bytes of an activation word.
    pub fn cycles(&self, word: usize, latencies: &BlockLatencies) -> LayerCycles {
        let AttentionSize {
            queries,
            keys,
            heads,
            width,
            ..
        } = self.size;
        let parallel = self.size.parallel(word);
        let groups = width / parallel;
        let bits = |n: usize| n.next_power_of_two().trailing_zeros() as usize;
        let scores = keys * groups + bits(parallel);
        let weights = keys + bits(keys);
        let contexts = (groups - 1) * keys.max(parallel) + keys + parallel;
        let row = scores + weights + contexts + latencies.attention_row;
        let load = (queries + 2 * keys) * heads * groups;
        LayerCycles {
            busy: (queries * heads * row) as u64,
            overhead: (load + latencies.attention_fixed + latency::SEQUENCER + 2) as u64,
            stall: 0,
        }
    }
}

impl AttentionSize {
    /// With the fewest products at once that need at most `allowed` cycles, or all of them.
    fn within(self, allowed: u64) -> Self {
        let groups = |k: usize| self.heads * self.width.div_ceil(k);
        let products = |k: usize| 2 * self.queries * self.keys * groups(k);
        let cycles = |k: usize| (products(k) + self.tokens() * groups(k)) as u64;
        let fewest = (1..PARALLEL).find(|&k| self.width.is_multiple_of(k) && cycles(k) <= allowed);
        AttentionSize {
            products: fewest.unwrap_or(PARALLEL),
            ..self
        }
    }

    /// Tokens that are loaded.
    pub fn tokens(&self) -> usize {
        self.queries + 2 * self.keys
    }

    /// Products at once: so many that neither a head's channels nor those of an activation word begin or
    /// end in between.
    pub fn parallel(&self, word: usize) -> usize {
        let divides = |k: &usize| self.width.is_multiple_of(*k) && word.is_multiple_of(*k);
        (1..=self.products).rev().find(divides).unwrap_or(1)
    }

    /// Queries; keys and values; scores, weights; the exponential's table.
    pub fn memories(&self, word: usize) -> Vec<Memory> {
        let parallel = self.parallel(word);
        let groups = self.heads * self.width / parallel;
        let memory = |width, depth| {
            let place = if depth <= 64 {
                Place::LutRam
            } else {
                Place::Block
            };
            Memory::single(width, depth, place)
        };
        vec![
            memory(parallel * 8, self.queries * groups),
            memory(parallel * 8, 2 * self.keys * groups),
            memory(32, self.keys),
            memory(AttentionRule::WEIGHT_BITS as usize + 1, self.keys),
            memory(10, 1 << 11),
        ]
    }
}
