//! The resource model: an estimate, shown beside what Yosys measures.

use crate::shape::Shape;

/// What a device offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// DSP48E1 slices.
    pub dsp: u64,
    /// 36-Kbit block RAMs.
    pub bram36: u64,
    /// Six-input LUTs.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
}

/// Estimated use.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// DSP48E1 slices.
    pub dsp: u64,
    /// 36-Kbit block RAMs, halves counted as 0.5.
    pub bram36: f64,
    /// Six-input LUTs.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
}

/// A memory of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bits per word.
    pub width: usize,
    /// Words.
    pub depth: usize,
    /// How many of them.
    pub count: usize,
    /// In LUTs instead of block RAM.
    pub distributed: bool,
}

impl Memory {
    /// Half block RAMs (RAMB18) of all copies, in the cheapest aspect ratio.
    pub fn ramb18(&self) -> usize {
        if self.distributed || self.width == 0 || self.depth == 0 {
            return 0;
        }
        // simple dual port: 18 Kbit as 36x512 .. 9x2048, 36 Kbit as 72x512 .. 9x4096
        let aspect = [
            (72, 512, 2),
            (36, 1024, 2),
            (18, 2048, 2),
            (9, 4096, 2),
            (36, 512, 1),
            (18, 1024, 1),
            (9, 2048, 1),
        ];
        let best = aspect
            .iter()
            .map(|&(w, d, cost)| self.width.div_ceil(w) * self.depth.div_ceil(d) * cost)
            .min()
            .expect("a constant list");
        best * self.count
    }

    /// LUTs of all copies when distributed: 64 x 1 bit each, plus the read multiplexer.
    pub fn luts(&self) -> usize {
        if !self.distributed {
            return 0;
        }
        let tall = self.depth.div_ceil(64);
        self.width * (tall + tall / 4) * self.count
    }
}

/// Which optional blocks a design has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Residual add lanes.
    pub add: bool,
    /// Activation tables (count).
    pub tables: usize,
    /// Channel array.
    pub channel: bool,
    /// Softmax unit.
    pub softmax: bool,
}

/// Measured costs of single blocks (Yosys 0.23, `synth_xilinx -family xc7`).
mod cost {
    pub const LANE_DSP: usize = 2;
    pub const SOFTMAX_DSP: usize = 4;
    pub const LANE_LUT: usize = 260;
    pub const LANE_FF: usize = 330;
    pub const ADD_LUT: usize = 330;
    pub const ADD_FF: usize = 200;
    pub const PAIR_LUT: usize = 110;
    pub const PAIR_FF: usize = 130;
    pub const SOFTMAX_LUT: usize = 1200;
    pub const SOFTMAX_FF: usize = 700;
    pub const BASE_LUT: usize = 1500;
    pub const BASE_FF: usize = 1500;
}

/// DSPs of a design.
pub fn dsps(shape: &Shape, features: Features) -> usize {
    shape.array_dsps()
        + cost::LANE_DSP * shape.lanes
        + if features.softmax {
            cost::SOFTMAX_DSP
        } else {
            0
        }
}

/// Everything that the estimate depends on.
pub fn estimate(
    shape: &Shape,
    features: Features,
    program_bits: usize,
    memories: &[Memory],
) -> Estimate {
    let Shape { p, oc, ic, lanes } = *shape;
    let chains = ic.div_ceil(shape.chain());
    let pairs = p * oc / 2;
    let lane_bits = p * ic * 8;
    // rotator: P banks x 2 buffers x chunks per word onto each lane bit, four inputs per LUT
    let rotator = lane_bits * (2 * p * shape.chunks_per_word()).div_ceil(3);
    let capture_mux = oc * 25 * p.div_ceil(2) + lanes * 25 * (oc / lanes).div_ceil(2);
    let tables = features.tables * 4 * 8 * lanes;
    let pick = |on: bool, value: usize| if on { value } else { 0 };
    let lut = cost::BASE_LUT
        + pairs * (cost::PAIR_LUT + (chains - 1) * 36)
        + lanes * cost::LANE_LUT
        + rotator
        + capture_mux
        + p * 90
        + program_bits / 2
        + tables
        + pick(features.add, lanes * cost::ADD_LUT)
        + pick(features.channel, p * ic * 30 + p * oc * 10)
        + pick(features.softmax, cost::SOFTMAX_LUT)
        + memories.iter().map(Memory::luts).sum::<usize>();
    let ff = cost::BASE_FF
        + pairs * (cost::PAIR_FF + chains * 36)
        + lanes * cost::LANE_FF
        + lane_bits * 2
        + p * oc * 25
        + oc * 25
        + program_bits
        + pick(features.add, lanes * cost::ADD_FF)
        + pick(features.channel, p * ic * 18)
        + pick(features.softmax, cost::SOFTMAX_FF);
    Estimate {
        dsp: dsps(shape, features) as u64,
        bram36: memories.iter().map(Memory::ramb18).sum::<usize>() as f64 / 2.0,
        lut: lut as u64,
        ff: ff as u64,
    }
}

impl Estimate {
    /// Inside the budget, with LUTs below 85 % so that routing stays possible.
    pub fn fits(&self, budget: &Budget) -> bool {
        self.dsp <= budget.dsp
            && self.bram36 <= budget.bram36 as f64
            && self.lut * 100 <= budget.lut * 85
            && self.ff <= budget.ff
    }
}
