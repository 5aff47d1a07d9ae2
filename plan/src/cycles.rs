//! The cycle model: an estimate, shown beside what the simulation measures.

use crate::loops::Loops;
use crate::shape::Shape;

/// Pipeline lengths of the engine's blocks in cycles.
pub mod latency {
    /// Feeder, from the issue of a step to the array's inputs.
    pub const FEEDER: usize = 6;
    /// Packed MAC, split of its sums, accumulator; each further MAC of a chain adds one.
    pub const DOT: usize = 4 + 1 + 1;
    /// Channel array.
    pub const CHANNEL: usize = 1;
    /// Its multipliers and their operand registers.
    pub const CHANNEL_MUL: usize = 3;
    /// Drain in front of the lanes (capture, two multiplexer stages).
    pub const DRAIN: usize = 3;
    /// Gather unit, from an element's address to the end of the layer.
    pub const GATHER: usize = 6 + 2;
    /// Activation port, from its start to the first beat and from the last one to the end of the layer; most of
    /// it is the memory's latency.
    pub const TRANSFER: usize = 60;
    /// Sequencer, from a layer's end to the next layer's first step, and from write to end.
    pub const SEQUENCER: usize = 2;
}

/// Estimated cycles of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerCycles {
    /// Cycles in which the engine issues steps or waits for the drain.
    pub busy: u64,
    /// Pipeline fill and last drain.
    pub overhead: u64,
    /// Cycles in which a step waits for its weights from memory.
    pub stall: u64,
}

impl LayerCycles {
    /// Sum of all.
    pub fn total(&self) -> u64 {
        self.busy + self.overhead + self.stall
    }
}

/// What a layer's results pass through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Cycles from the arrays' operands to the accumulators.
    pub array: usize,
    /// Cycles from the lanes' inputs to the write.
    pub lane_path: usize,
    /// The pixel lanes are summed at the end.
    pub reduce: bool,
}

/// Cycles of a feeder layer.
pub fn estimate(shape: &Shape, loops: &Loops, pipeline: Pipeline) -> LayerCycles {
    let Pipeline {
        array,
        lane_path,
        reduce,
    } = pipeline;
    let drain_cycles = loops.drain_cycles(shape);
    let group = loops.steps().max(drain_cycles);
    let held = drain_cycles.saturating_sub(loops.steps());
    let reduction = if reduce {
        shape.p.next_power_of_two().trailing_zeros() as usize
    } else {
        0
    };
    let crossbar = usize::from(shape.drained > 1);
    let fixed = crossbar
        + reduction
        + latency::FEEDER
        + array
        + latency::DRAIN
        + lane_path
        + latency::SEQUENCER;
    LayerCycles {
        busy: (loops.tiles * loops.groups * group) as u64,
        overhead: (fixed + drain_cycles - held) as u64,
        stall: 0,
    }
}

/// Cycles of the gather unit: an element per cycle, and its pipeline.
pub fn gather_cycles(elements: u64) -> LayerCycles {
    LayerCycles {
        busy: elements,
        overhead: (latency::GATHER + latency::SEQUENCER) as u64,
        stall: 0,
    }
}

/// Cycles of the activation port: a beat per cycle, its pipeline and the memory's first answer.
pub fn transfer_cycles(beats: u64) -> LayerCycles {
    LayerCycles {
        busy: beats,
        overhead: (latency::TRANSFER + latency::SEQUENCER) as u64,
        stall: 0,
    }
}

/// Cycles of the softmax unit for a vector: three passes, the reciprocal and the port's latency.
pub fn softmax_cycles(length: usize, fixed: usize) -> LayerCycles {
    LayerCycles {
        busy: 3 * length as u64,
        overhead: fixed as u64,
        stall: 0,
    }
}
