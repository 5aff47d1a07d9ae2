//! The resource model: an estimate, shown beside what Yosys measures.

use crate::attention::AttentionSize;
use crate::proof::ACC_BITS;
use crate::shape::{Packing, Shape};
use crate::stream::{WeightSource, WeightStream};
use macforge_numeric::quad_packing;

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

/// What a memory is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Block RAM.
    Block,
    /// LUTs as a read-only table.
    LutRom,
    /// LUTs as RAM, one write and one read port.
    LutRam,
}

/// A memory of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bits per word.
    pub width: usize,
    /// Bits with a write enable of their own; the width where a word is written as a whole.
    pub segment: usize,
    /// Words.
    pub depth: usize,
    /// How many of them.
    pub count: usize,
    /// What it is made of.
    pub place: Place,
    /// The output register is part of a shift register that is counted elsewhere.
    pub shifted: bool,
    /// Behind it stands a stage that widens narrow weights, with a register.
    pub widened: bool,
}

/// Most blocks of 512 words one above the other that Yosys chooses (seen: 16 for 8,100 words, not 17 for 8,347).
const MOST_ROWS: usize = 16;

impl Memory {
    /// One memory whose words are written as a whole, if at all, with an output register of its own.
    pub fn single(width: usize, depth: usize, place: Place) -> Self {
        Memory {
            width,
            segment: width,
            depth,
            count: 1,
            place,
            shifted: false,
            widened: false,
        }
    }

    /// The same, its output register counted elsewhere.
    pub fn shifted(self) -> Self {
        Memory {
            shifted: true,
            ..self
        }
    }

    /// Half block RAMs (RAMB18) of all copies, in the cheapest aspect ratio.
    pub fn ramb18(&self) -> usize {
        if self.place != Place::Block || self.width == 0 || self.depth == 0 {
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
        // write enables are per nine bits, of which segments of whole bytes use eight
        let usable = |w: usize| {
            if self.segment < self.width {
                w / 9 * 8
            } else {
                w
            }
        };
        // the choice among many rows costs LUTs, so that synthesis takes taller and narrower blocks instead
        let rows = |d: usize| self.depth.div_ceil(d);
        let best = aspect
            .iter()
            .filter(|&&(_, d, _)| d > 512 || rows(d) <= MOST_ROWS)
            .map(|&(w, d, cost)| self.width.div_ceil(usable(w)) * rows(d) * cost)
            .min()
            .expect("a constant list");
        best * self.count
    }

    /// Flip-flops of the output registers of all copies.
    fn output_registers(&self) -> usize {
        let registers = usize::from(!self.shifted && self.depth > 0) + usize::from(self.widened);
        registers * self.width * self.count
    }

    /// LUTs of all copies outside of block RAM.
    pub fn luts(&self) -> usize {
        // a LUT holds 64 x 1 bit; deeper tables need a multiplexer, four inputs per LUT
        let tall = self.depth.div_ceil(64);
        let select = if tall > 1 { tall.div_ceil(4) } else { 0 };
        let storage = match self.place {
            Place::Block => 0,
            Place::LutRom => self.width * (tall + select),
            // four LUTs hold 64 x 3 bits with two ports
            Place::LutRam => 4 * self.width.div_ceil(3) * tall + self.width * select,
        };
        // one bit of a widened weight is one LUT
        let widening = if self.widened { self.width } else { 0 };
        self.count * (storage + widening)
    }
}

/// Which optional blocks a design has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Residual add lanes.
    pub add: bool,
    /// Longest list of pairs on which one of the adds is off by one.
    pub add_exceptions: usize,
    /// Requantizer lanes with constants at product scale.
    pub product_constants: bool,
    /// Activation tables (count).
    pub tables: usize,
    /// Channel array.
    pub channel: bool,
    /// Its maxima.
    pub max: bool,
    /// Its multipliers.
    pub depthwise: bool,
    /// Products of two tensors.
    pub product: bool,
    /// Lanes that give bytes of accumulators.
    pub wraps: bool,
    /// Bits of accumulators and biases.
    pub acc_bits: u32,
    /// Steps whose sums are shifted: int16 inputs or weights.
    pub shifts: bool,
    /// Lanes that give bytes of int16 values.
    pub halves: bool,
    /// Gather unit.
    pub gather: bool,
    /// It writes weights.
    pub computed: bool,
    /// Activation port: areas in memory.
    pub transfers: bool,
    /// Sets of constants of the softmax unit; 0 without one.
    pub softmax: usize,
    /// LSTM unit.
    pub lstm: Option<LstmSize>,
    /// Attention unit.
    pub attention: Option<AttentionSize>,
}

impl Features {
    /// The LSTM unit, if its weights are in the weight stream.
    pub fn streamed_lstm(&self) -> Option<LstmSize> {
        self.lstm.filter(|size| size.parts.is_some())
    }

    /// The lanes take accumulators of more bits than a DSP's wider port.
    pub fn has_wide_lanes(&self) -> bool {
        self.acc_bits > ACC_BITS
    }
}

/// Size of the LSTM unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LstmSize {
    /// Length of an input vector.
    pub inputs: usize,
    /// Length of the states.
    pub units: usize,
    /// Products per gate and cycle.
    pub parallel: usize,
    /// Weight words in a word of the weight stream; absent where they have a memory of their own.
    pub parts: Option<usize>,
    /// How many weights and parameters of a layer its memories hold.
    pub stored: [usize; 2],
    /// Tables of the activation functions.
    pub tables: LstmTableSize,
}

/// Size of an LSTM unit's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LstmTableSize {
    /// 16-bit functions as blocks and differences.
    Integer {
        /// Activation functions.
        functions: usize,
        /// Inputs of a function per block, as a power of two.
        block_bits: usize,
        /// Bits of a difference.
        delta_bits: usize,
    },
    /// One table of 8,192 values.
    Fp16,
}

impl Features {
    /// Of a design on `shape` with weights from `source`.
    pub fn placed(self, shape: &Shape, source: WeightSource) -> Self {
        let lstm = self.lstm.map(|size| match source {
            WeightSource::Memory => size.streamed(shape.oc * shape.ic),
            WeightSource::Mixed | WeightSource::Chip => size,
        });
        Features { lstm, ..self }
    }
}

impl LstmSize {
    /// Weights where they are on chip, parameters, and the tables of the functions.
    pub fn memories(&self) -> Vec<Memory> {
        let [[weights, params], [of_weights, of_params]] = [self.words(), self.stored];
        let [weights, params] = [weights * of_weights, params * of_params];
        let memory = |width, depth| Memory::single(width, depth, Place::Block).shifted();
        let mut memories = Vec::new();
        if self.parts.is_none() {
            memories.push(memory(4 * self.parallel * 8, weights));
        }
        match self.tables {
            LstmTableSize::Integer {
                functions,
                block_bits,
                delta_bits,
            } => {
                let inputs = functions.next_power_of_two() << 15;
                memories.push(memory(cost::LSTM_PARAM_BITS, params));
                memories.push(memory(16, inputs >> block_bits));
                memories.push(memory(delta_bits, inputs));
            }
            LstmTableSize::Fp16 => {
                memories.push(memory(cost::FP16_LSTM_PARAM_BITS, params));
                memories.push(memory(14, 1 << 13));
            }
        }
        memories
    }

    /// LUTs that choose a part of a word of the weight stream: four inputs each.
    fn choice(&self) -> usize {
        self.parts
            .map_or(0, |parts| 4 * self.parallel * 8 * parts.div_ceil(4))
    }

    /// DSPs, LUTs and flip-flops besides memories and products.
    fn datapath(&self) -> [usize; 3] {
        match self.tables {
            LstmTableSize::Integer { .. } => [cost::LSTM_DSP, cost::LSTM_LUT, cost::LSTM_FF],
            LstmTableSize::Fp16 => [cost::FP16_LSTM_DSP, cost::FP16_LSTM_LUT, cost::FP16_LSTM_FF],
        }
    }
}

/// Costs of single blocks, from Yosys 0.23 `synth_xilinx -family xc7` on each block alone; the base
/// is what was left over on whole designs (sequencer, registers, stream ports, walkers).
mod cost {
    pub const LANE_DSP: usize = 2;
    pub const LANE_LUT: usize = 150;
    pub const LANE_FF: usize = 132;
    /// Of a lane's constant at product scale, delayed in shift registers.
    pub const CONSTANT_LUT: usize = 16;
    /// Of a lane for accumulators of 40 bits: choice of the operands.
    pub const WIDE_LUT: usize = 80;
    pub const WIDE_FF: usize = 80;
    /// Of a lane for int16 values: eight bits more.
    pub const HALF_LUT: usize = 80;
    pub const HALF_FF: usize = 40;
    pub const ADD_LUT: usize = 414;
    pub const ADD_FF: usize = 369;
    /// Of `pair_exceptions`: choice of the offset, and comparison with an entry.
    pub const PAIR_LUT: usize = 36;
    pub const PAIR_ENTRY_LUT: usize = 15;
    pub const PAIR_FF: usize = 52;
    pub const SOFTMAX_DSP: usize = 4;
    pub const SOFTMAX_LUT: usize = 600;
    pub const SOFTMAX_FF: usize = 500;
    /// Of a further table of exponentials, and its choice.
    pub const SOFTMAX_TABLE_LUT: usize = 80;
    /// Two scalings, two products of the cell state, one of the hidden state.
    pub const LSTM_DSP: usize = 2 * 4 + 2 + 1;
    pub const LSTM_LUT: usize = 1900;
    pub const LSTM_FF: usize = 1770;
    pub const LSTM_PARAM_BITS: usize = 71;
    /// Dequantizer (two), two products, quantizer.
    pub const FP16_LSTM_DSP: usize = 5;
    pub const FP16_LSTM_LUT: usize = 2300;
    pub const FP16_LSTM_FF: usize = 2310;
    pub const FP16_LSTM_PARAM_BITS: usize = 56;
    /// Two products in LUTs.
    pub const LUT_MAC_LUT: usize = 135;
    pub const LUT_MAC_FF: usize = 142;
    /// Dequantizer (two), exponential, quantizer.
    pub const ATTENTION_DSP: usize = 4;
    pub const ATTENTION_LUT: usize = 1750;
    pub const ATTENTION_FF: usize = 1400;
    /// Of a channel: operands, accumulator, choice of the context.
    pub const ATTENTION_LANE_LUT: usize = 110;
    pub const ATTENTION_LANE_FF: usize = 100;
    /// Gather unit without the word that it fills.
    pub const GATHER_LUT: usize = 400;
    pub const GATHER_FF: usize = 250;
    /// Activation port: what does not depend on the word, and what a byte of it takes.
    pub const TRANSFER_LUT: usize = 400;
    pub const TRANSFER_BYTE_LUT: usize = 24;
    pub const TRANSFER_FF: usize = 190;
    pub const TRANSFER_BYTE_FF: usize = 16;
    pub const LANE_AGU_LUT: usize = 90;
    /// A read port, besides its registers of a word's part.
    pub const READ_PORT_LUT: usize = 700;
    pub const READ_PORT_FF: usize = 420;
    pub const BASE_LUT: usize = 1300;
    pub const BASE_FF: usize = 800;
}

/// DSPs of a design.
pub fn dsps(shape: &Shape, features: Features) -> usize {
    shape.array_dsps()
        + cost::LANE_DSP * shape.all_lanes()
        + if features.softmax > 0 {
            cost::SOFTMAX_DSP
        } else {
            0
        }
        + features
            .lstm
            .map_or(0, |l| l.datapath()[0] + 4 * l.parallel)
        + (features.attention).map_or(0, |a| cost::ATTENTION_DSP + a.parallel(shape.word))
}

/// LUTs and flip-flops of the dot array's chains in LUTs.
pub fn fabric(shape: &Shape) -> [usize; 2] {
    let cells = shape.fabric * shape.chain();
    [cells * cost::LUT_MAC_LUT, cells * cost::LUT_MAC_FF]
}

/// LUTs and flip-flops of the dot array and its operand skew.
fn dot_array(shape: &Shape, acc_bits: usize) -> (usize, usize) {
    match shape.packing {
        Packing::Two => dot_array_of_two(shape, acc_bits),
        Packing::Four => dot_array_of_four(shape, acc_bits),
    }
}

/// Four products per DSP: nothing is added where the chains are split, and operands have four bits.
fn dot_array_of_four(shape: &Shape, acc_bits: usize) -> (usize, usize) {
    let Shape { p, oc, ic, .. } = *shape;
    let (chains, chain) = (ic.div_ceil(shape.chain()), shape.chain());
    let field = quad_packing::FIELD_BITS as usize;
    // per tree node an adder; an accumulator with a register for the finished sum
    let sum_lut = (chains - 1) * (field + 1) + acc_bits;
    let sum_ff = chains * field + (chains - 1) * (field + 1) + 2 * acc_bits;
    let operands = (oc + p) * ic * 4;
    let first = operands / chain;
    let pairs = p.div_ceil(2) * ic * 5;
    (
        p * oc * sum_lut + operands - first + pairs,
        p * oc * sum_ff + 2 * first,
    )
}

fn dot_array_of_two(shape: &Shape, acc_bits: usize) -> (usize, usize) {
    let Shape { p, oc, ic, .. } = *shape;
    let pairs = p * oc / 2;
    let (chains, chain) = (ic.div_ceil(shape.chain()), shape.chain());
    // per chain the carry of the high lane; per tree node two adders; two accumulators, each with a
    // register for the finished sum
    let pair_lut = chains * 18 + (chains - 1) * 2 * 19 + 2 * acc_bits;
    let pair_ff = chains * 35 + (chains - 1) * 2 * 19 + 2 * 2 * acc_bits;
    // memory output, skew and DSP input form one chain of registers: an SRL from three stages on,
    // two flip-flops at the first chain position; the pixels share those of the weights
    let operands = (oc + p) * ic * 8;
    let first = operands / chain;
    (
        pairs * pair_lut + operands - first,
        pairs * pair_ff + 2 * first,
    )
}

/// LUTs and flip-flops of the channel array without its multipliers: accumulators, the sum over the
/// pixel lanes, padding of its operands, and the choice between both arrays in front of the drain.
fn channel_array(shape: &Shape, acc_bits: usize) -> (usize, usize) {
    let Shape { p, oc, word, .. } = *shape;
    let values = p * word;
    let sums = word * (p - 1);
    (
        values * 30 + sums * 18 + values * 8 + p * oc.min(word) * acc_bits,
        values * 38 + sums * 32,
    )
}

/// LUTs and flip-flops of the read ports: each bit of a word's part takes its beat as it comes or
/// one of the widened ones; constants are shifted out of a word.
fn read_ports(stream: &WeightStream) -> (usize, usize) {
    let bits: usize = stream.slices.iter().map(|beats| beats * stream.bus).sum();
    let ports = stream.slices.len();
    let shifted = stream.param_entries * stream.param_width;
    (
        ports * cost::READ_PORT_LUT + bits + shifted,
        ports * cost::READ_PORT_FF + bits + shifted,
    )
}

/// Everything that the estimate depends on.
pub fn estimate(
    shape: &Shape,
    features: Features,
    program_bits: usize,
    memories: &[Memory],
    stream: Option<&WeightStream>,
) -> Estimate {
    let Shape {
        p,
        oc,
        ic,
        drained,
        lanes,
        word,
        ..
    } = *shape;
    let all_lanes = shape.all_lanes();
    let acc_bits = features.acc_bits as usize;
    let acc = shape.accumulators(features);
    let (dot_lut, dot_ff) = dot_array(shape, acc_bits);
    let (channel_lut, channel_ff) = channel_array(shape, acc_bits);
    let lane_bits = p * ic * 8;
    // rotator: P banks x 2 buffers x chunks per word onto each lane bit, three inputs per LUT
    let rotator = p * word * 8 * (2 * p).div_ceil(3) + lane_bits * (word / ic - 1).div_ceil(2);
    let (stream_lut, stream_ff) = stream.map_or((0, 0), read_ports);
    let phases = p / drained;
    let phase_mux = if phases > 1 { phases.div_ceil(2) } else { 0 };
    let drain_mux = drained * acc_bits * (acc * phase_mux + lanes * (acc / lanes).div_ceil(2));
    // drained pixels onto banks: data and address
    let crossbar = if drained > 1 {
        p * drained.div_ceil(3) * (lanes * 8 + 10)
    } else {
        0
    };
    let pick = |on: bool, value: usize| if on { value } else { 0 };
    let entries = features.add_exceptions;
    let [fabric_lut, fabric_ff] = fabric(shape);
    let attention = |unit: usize, lane: usize| {
        (features.attention).map_or(0, |a| unit + lane * a.parallel(shape.word))
    };
    let lut = cost::BASE_LUT
        + dot_lut
        + fabric_lut
        + all_lanes * cost::LANE_LUT
        + crossbar
        + rotator
        + stream_lut
        + drain_mux
        + p * cost::LANE_AGU_LUT
        + program_bits / 2
        + features.tables * 32 * all_lanes
        + pick(features.product_constants, all_lanes * cost::CONSTANT_LUT)
        + pick(features.has_wide_lanes(), all_lanes * cost::WIDE_LUT)
        + pick(features.halves, all_lanes * cost::HALF_LUT)
        + pick(features.add, lanes * cost::ADD_LUT)
        + pick(
            entries > 0,
            lanes * (cost::PAIR_LUT + entries * cost::PAIR_ENTRY_LUT),
        )
        + pick(features.channel, channel_lut)
        + pick(features.depthwise, p * word * 55)
        + pick(features.gather, cost::GATHER_LUT + word * 3)
        + pick(
            features.transfers,
            cost::TRANSFER_LUT + word * cost::TRANSFER_BYTE_LUT,
        )
        // the choice of a weight per pixel
        + pick(features.product, p * word * 8)
        + pick(features.softmax > 0, cost::SOFTMAX_LUT)
        + features.softmax.saturating_sub(1) * cost::SOFTMAX_TABLE_LUT
        + features
            .lstm
            .map_or(0, |l| l.datapath()[1] + 4 * l.parallel * 18 + l.choice())
        + attention(cost::ATTENTION_LUT, cost::ATTENTION_LANE_LUT)
        + memories.iter().map(Memory::luts).sum::<usize>();
    let ff = cost::BASE_FF
        + dot_ff
        + fabric_ff
        + stream_ff
        + all_lanes * cost::LANE_FF
        + 2 * lane_bits
        + (p + if phases > 1 { drained } else { 0 }) * acc * acc_bits
        + all_lanes * acc_bits
        + 2 * program_bits
        + pick(features.has_wide_lanes(), all_lanes * cost::WIDE_FF)
        + pick(features.halves, all_lanes * cost::HALF_FF)
        + pick(features.add, lanes * cost::ADD_FF)
        + pick(entries > 0, lanes * cost::PAIR_FF)
        + pick(features.channel, channel_ff)
        + pick(features.depthwise, p * word * 50)
        + pick(features.gather, cost::GATHER_FF + word * 8)
        + pick(
            features.transfers,
            cost::TRANSFER_FF + word * cost::TRANSFER_BYTE_FF,
        )
        + pick(features.computed, (oc * ic).saturating_sub(word) * 8)
        // the kept operand, and a weight per pixel in the place of one for all
        + pick(features.product, (2 * p - 1) * word * 8)
        + pick(features.softmax > 0, cost::SOFTMAX_FF)
        + features
            .lstm
            .map_or(0, |l| l.datapath()[2] + 4 * l.parallel * 18)
        + attention(cost::ATTENTION_FF, cost::ATTENTION_LANE_FF)
        + memories.iter().map(Memory::output_registers).sum::<usize>();
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
