//! The LSTM unit's part of a plan: how many products at once, its memory images, its proofs.

use crate::bits::BitWord;
use crate::cycles::{LayerCycles, latency};
use crate::error::PlanError;
use crate::hwplan::BlockLatencies;
use crate::macs;
use crate::proof::{ChannelProof, Proofs};
use crate::resources::{LstmSize, LstmTableSize};
use macforge_numeric::lstm::Factor;
use macforge_numeric::{
    Fp16Factor, Fp16LstmRule, Fp16Tables, HalfTables, Interval, accumulator_interval,
    partial_sum_interval,
};
use macforge_quant::{Lstm, LstmArithmetic, QGraph, QNode};

/// A recurrent layer as the unit runs it.
#[derive(Clone, Debug, PartialEq)]
pub struct LstmLayer {
    /// Weights and rule.
    pub lstm: Lstm,
    /// Steps.
    pub length: usize,
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Activation functions.
    pub tables: LstmTables,
    /// Products per gate and cycle where nothing else bounds them (see [`LstmSize::streamed`]).
    pub parallel: usize,
}

/// Tables of the activation functions.
#[derive(Clone, Debug, PartialEq)]
pub enum LstmTables {
    /// Of the int16 gates and cell state.
    Integer(HalfTables),
    /// tanh of FP16 numbers, 14 bits a word.
    Fp16(Vec<u16>),
}

/// Sums of a unit: input's and hidden state's of four gates; they leave one per cycle.
const SUMS: usize = 8;
/// Products per gate and cycle that are tried.
const PARALLEL: [usize; 5] = [1, 2, 4, 8, 16];
/// Bits of a factor's left shift in the parameter memory.
const LEFT_BITS: usize = 3;
/// Bits of an FP16 factor's exponent in the parameter memory.
const EXPONENT_BITS: usize = 7;

/// The layer of a node, proved to fit the unit, for a device with `dsps` DSPs.
pub fn layer(graph: &QGraph, node: &QNode, lstm: &Lstm, dsps: u64) -> Result<LstmLayer, PlanError> {
    let tables = match &lstm.rule {
        LstmArithmetic::Integer(rule) => {
            let gates = rule.input.iter().chain(&rule.recurrent);
            for factor in gates.chain([&rule.output]) {
                check(factor, &node.source)?;
            }
            LstmTables::Integer(HalfTables::new(&[rule.cell_integer_bits]))
        }
        LstmArithmetic::Fp16(_) => LstmTables::Fp16(Fp16Tables::new().tanh),
    };
    let [_, length, _] = graph.tensor(node.output).hwc();
    if [length, lstm.inputs, lstm.units]
        .iter()
        .any(|&n| n >= 1 << 15)
    {
        return Err(unsupported(
            &node.source,
            format!(
                "{length} steps, {} inputs, {} units",
                lstm.inputs, lstm.units
            ),
            "the LSTM unit counts to 32767",
        ));
    }
    let quant = graph.tensor(node.inputs[0]).quant;
    let layer = LstmLayer {
        lstm: lstm.clone(),
        length,
        input_zero_point: quant.map_or(0, |q| q.zero_point),
        tables,
        parallel: 1,
    };
    Ok(LstmLayer {
        parallel: layer.products(macs::unit_cycles(graph, dsps)),
        ..layer
    })
}

fn unsupported(source: &str, found: String, remedy: &str) -> PlanError {
    PlanError::Unsupported {
        layer: source.into(),
        found,
        remedy: remedy.into(),
    }
}

/// The unit rounds twice and shifts left by at most seven.
fn check(factor: &Factor, source: &str) -> Result<(), PlanError> {
    if factor.single_rounding {
        let remedy = "the LSTM unit rounds as tflite-double does";
        return Err(unsupported(source, "a single rounding".into(), remedy));
    }
    if factor.shift >= 1 << LEFT_BITS {
        let remedy = "the LSTM unit takes gate factors below 128";
        return Err(unsupported(
            source,
            format!("a factor of 2^{}", factor.shift),
            remedy,
        ));
    }
    Ok(())
}

impl LstmLayer {
    /// The fewest products at once that take at most `allowed` cycles, or else the fewest that give the
    /// shortest interval.
    fn products(&self, allowed: u64) -> usize {
        let sizes = PARALLEL.map(|parallel| self.size_with(parallel));
        let cycles = |size: &LstmSize| (self.length * size.units * size.interval()) as u64;
        let short = sizes.into_iter().find(|size| cycles(size) <= allowed);
        let fastest = || sizes.into_iter().min_by_key(|s| (s.interval(), s.parallel));
        short.or_else(fastest).map_or(1, |size| size.parallel)
    }

    /// Weights of all gates.
    pub fn weights(&self) -> usize {
        LstmSize::GATES * self.lstm.units * (self.lstm.inputs + self.lstm.units)
    }

    /// Size and shape of the unit with its weights on chip.
    pub fn size(&self) -> LstmSize {
        self.size_with(self.parallel)
    }

    fn size_with(&self, parallel: usize) -> LstmSize {
        LstmSize {
            inputs: self.lstm.inputs,
            units: self.lstm.units,
            parallel,
            parts: None,
            stored: [1, 1],
            tables: match &self.tables {
                LstmTables::Integer(tables) => LstmTableSize::Integer {
                    functions: tables.base.len(),
                    block_bits: tables.block_bits as usize,
                    delta_bits: tables.delta_bits as usize,
                },
                LstmTables::Fp16(_) => LstmTableSize::Fp16,
            },
        }
    }

    /// Weight words of a unit of this size: per unit its input weights, then its recurrent ones, gate by
    /// gate in a word.
    pub fn weight_words(&self, size: &LstmSize) -> Vec<BitWord> {
        let mut words = Vec::new();
        for unit in 0..size.units {
            for (columns, recurrent) in [(size.inputs, false), (size.units, true)] {
                for first in (0..columns).step_by(size.parallel) {
                    let mut word = BitWord::default();
                    for gate in &self.lstm.gates {
                        let weights = if recurrent {
                            &gate.recurrent_weights
                        } else {
                            &gate.input_weights
                        };
                        let row = &weights[unit * columns..(unit + 1) * columns];
                        for column in first..first + size.parallel {
                            word.push(row.get(column).map_or(0, |&w| w.into()), 8);
                        }
                    }
                    words.push(word);
                }
            }
        }
        words
    }

    /// The same as words of the weight stream, which are read once per step.
    pub fn stream_words(&self, size: &LstmSize) -> Vec<BitWord> {
        let words = self.weight_words(size);
        let parts = words.chunks(size.parts.unwrap_or(1));
        parts.map(BitWord::joined).collect()
    }

    /// Parameter words: per unit and gate the input's sum, then the hidden state's.
    pub fn param_words(&self) -> Vec<BitWord> {
        let mut words = Vec::new();
        for unit in 0..self.lstm.units {
            for (gate, folded) in self.folded(unit).into_iter().enumerate() {
                for (part, bias) in folded.into_iter().enumerate() {
                    let mut word = BitWord::default();
                    word.push(bias, 32);
                    self.push_factor(&mut word, gate, part, unit);
                    words.push(word);
                }
            }
        }
        words
    }

    /// The factor of a gate's input (part 0) or hidden state (part 1).
    fn push_factor(&self, word: &mut BitWord, gate: usize, part: usize, unit: usize) {
        match &self.lstm.rule {
            LstmArithmetic::Integer(rule) => {
                let factor = [&rule.input, &rule.recurrent][part][gate];
                word.push(factor.multiplier.into(), 31);
                word.push(factor.shift.max(0).into(), LEFT_BITS);
                word.push((-factor.shift).max(0).into(), 5);
            }
            LstmArithmetic::Fp16(rule) => {
                let factor = [&rule.input, &rule.recurrent][part][gate][unit];
                word.push(factor.multiplier.into(), Fp16Factor::BITS as usize);
                word.push(factor.exponent.into(), EXPONENT_BITS);
            }
        }
    }

    /// What is added to the plain products of a unit's sums, `[input's, hidden state's]` per gate:
    /// `bias - zx * sum(W)` and `-zh * sum(R)`.
    fn folded(&self, unit: usize) -> [[i64; 2]; 4] {
        let sum = |weights: &[i8], columns: usize| -> i64 {
            let row = &weights[unit * columns..(unit + 1) * columns];
            row.iter().map(|&w| i64::from(w)).sum()
        };
        let (zx, zh) = (self.input_zero_point, self.lstm.rule.output_zero_point());
        self.lstm.gates.each_ref().map(|gate| {
            let own = sum(&gate.input_weights, self.lstm.inputs);
            let back = sum(&gate.recurrent_weights, self.lstm.units);
            [
                i64::from(gate.bias[unit]) - i64::from(zx) * own,
                -i64::from(zh) * back,
            ]
        })
    }

    /// Every sum of the unit stays in int32: the plain products in the order of the walk, the folded
    /// bias, their sum, and that shifted left. As FP16, two of them can be added. One record per sum.
    pub fn prove(&self, source: &str) -> Result<Proofs, PlanError> {
        let int8 = Interval { lo: -128, hi: 127 };
        let mut channels = Vec::new();
        for unit in 0..self.lstm.units {
            for (gate, folded) in self.folded(unit).into_iter().enumerate() {
                let weights = &self.lstm.gates[gate];
                let rows = [
                    &weights.input_weights[unit * self.lstm.inputs..][..self.lstm.inputs],
                    &weights.recurrent_weights[unit * self.lstm.units..][..self.lstm.units],
                ];
                for (part, (row, bias)) in rows.into_iter().zip(folded).enumerate() {
                    let products = partial_sum_interval(row, int8, 0, 0, false);
                    let reach = accumulator_interval(row, int8, 0, bias, false);
                    let all = products.union(Interval::point(bias)).union(reach);
                    let reason = match &self.lstm.rule {
                        LstmArithmetic::Integer(rule) => {
                            let factor = [&rule.input, &rule.recurrent][part][gate];
                            let left = factor.shift.max(0);
                            beyond_int32(all.union(Interval {
                                lo: reach.lo << left,
                                hi: reach.hi << left,
                            }))
                        }
                        LstmArithmetic::Fp16(rule) => {
                            let factor = [&rule.input, &rule.recurrent][part][gate][unit];
                            beyond_int32(all).or_else(|| beyond_fp16(reach, factor))
                        }
                    };
                    if let Some(reason) = reason {
                        return Err(PlanError::Unproved {
                            layer: source.into(),
                            channel: unit,
                            reason: format!("gate {gate} can reach {reason}"),
                        });
                    }
                    channels.push(ChannelProof {
                        reach,
                        steps: 0,
                        low_lane: None,
                    });
                }
            }
        }
        Ok(Proofs { channels })
    }

    /// Cycles of the layer on a unit of this size, without waiting for weights; `word` are the bytes of an
    /// activation word.
    pub fn cycles(&self, size: &LstmSize, word: usize, latencies: &BlockLatencies) -> LayerCycles {
        let ring = size.parts.map_or(0, |_| latencies.lstm_ring);
        let fixed = ring
            + match self.tables {
                LstmTables::Integer(_) => latencies.lstm_step,
                LstmTables::Fp16(_) => latencies.fp16_lstm_step,
            };
        let load = 4 * size.inputs.div_ceil(word) + size.inputs + 1;
        let levels = size.parallel.trailing_zeros() as usize;
        let step = (size.units - 1) * size.interval() + size.steps() + levels + fixed;
        // an input is loaded during the step before its own
        LayerCycles {
            busy: ((self.length - 1) * step.max(load) + step) as u64,
            overhead: (load + 1 + latency::SEQUENCER + 2) as u64,
            stall: 0,
        }
    }
}

fn beyond_int32(reach: Interval) -> Option<String> {
    let int32 = Interval {
        lo: i32::MIN.into(),
        hi: i32::MAX.into(),
    };
    (!int32.encloses(reach)).then(|| format!("{reach}, beyond int32"))
}

/// A part of a gate's sum that, added to another one, might be infinite.
fn beyond_fp16(reach: Interval, factor: Fp16Factor) -> Option<String> {
    let largest = reach.lo.unsigned_abs().max(reach.hi.unsigned_abs());
    let real = largest as f64 * factor.to_f64();
    let limit = Fp16LstmRule::LARGEST_PART;
    (real >= limit).then(|| format!("{real}, beyond the {limit} of an FP16 sum's part"))
}

impl LstmSize {
    /// The unit with weights from the weight stream, whose words have `ring` bytes: as many products at
    /// once as before, or as many as a word holds weights for. [`explore::check_shape`] refuses a shape
    /// whose words are too short for one.
    ///
    /// [`explore::check_shape`]: crate::explore::check_shape
    pub fn streamed(self, ring: usize) -> Self {
        let fitting = |&p: &usize| p <= self.parallel && Self::GATES * p <= ring;
        let parallel = PARALLEL.into_iter().filter(fitting).max().unwrap_or(1);
        LstmSize {
            parallel,
            parts: Some((ring / (Self::GATES * parallel)).max(1)),
            ..self
        }
    }

    /// Weights that each product at once needs: one per gate.
    pub const GATES: usize = 4;

    /// Words of the weight stream per step; 0 where the weights are on chip.
    pub fn ring_words(&self) -> usize {
        let [words, _] = self.words();
        self.parts.map_or(0, |parts| words.div_ceil(parts))
    }

    /// Cycles of a unit's products.
    pub fn steps(&self) -> usize {
        self.inputs.div_ceil(self.parallel) + self.units.div_ceil(self.parallel)
    }

    /// Cycles from one unit to the next: time for its products and for its sums; even, so that the
    /// lookups of gates and cell state take turns.
    pub fn interval(&self) -> usize {
        self.steps().max(SUMS).next_multiple_of(2)
    }

    /// Words of the weights and of the parameters of a set of constants.
    pub fn words(&self) -> [usize; 2] {
        [self.units * self.steps(), self.units * SUMS]
    }
}
