//! The LSTM unit against `LstmRule` and `Fp16LstmRule`, step by step.

use crate::buffers::Buffers;
use crate::common::{Random, assert_clean, bits};
use macforge_hdl::VerilogModule;
use macforge_hdl::blocks::{fp16, high_product};
use macforge_hdl::engine::lstm::{Datapath, FP16_STEP_CYCLES, RING_CYCLES, STEP_CYCLES};
use macforge_hdl::engine::lstm_constants::{CellConstants, LstmConstants};
use macforge_hdl::engine::{self, LstmUnit};
use macforge_numeric::lstm::{Factor, Gate};
use macforge_numeric::{
    Clamp, Fp16, Fp16Factor, Fp16LstmRule, Fp16Quantizer, Fp16Tables, HalfTables, LstmRule,
};
use macforge_sim::Block;
use std::fs;
use tempfile::TempDir;

/// Bytes of a buffer word.
const WB: usize = 4;
const BUFFERS: Buffers = Buffers {
    word: WB,
    address_bits: 8,
    in_base: 0,
    out_base: 64,
};

/// Factors in the range of real models, some above one, for sums of a few thousand.
fn rule(random: &mut Random, cell_integer_bits: u32, cell_clip: Option<i16>) -> LstmRule {
    let mut factor = |lo: i32| Factor {
        multiplier: (1 << 30) + (random.next() >> 34) as i32,
        shift: lo + (random.next() % 5) as i32,
        single_rounding: false,
    };
    LstmRule {
        input: [0; 4].map(|_| factor(-2)),
        recurrent: [0; 4].map(|_| factor(-3)),
        cell_integer_bits,
        cell_clip,
        output: factor(-24),
        output_zero_point: -9,
    }
}

/// FP16 factors that spread the sums of a few thousand over both activation functions.
fn fp16_rule(random: &mut Random, units: usize, output: Fp16Quantizer) -> Fp16LstmRule {
    let mut factors = |lo: i32| {
        let mut factor = |_| Fp16Factor {
            multiplier: 1 << 16 | random.next() as u32 >> 16,
            exponent: lo + (random.next() % 6) as i32,
        };
        [0; 4].map(|_| (0..units).map(&mut factor).collect())
    };
    Fp16LstmRule {
        input: factors(-31),
        recurrent: factors(-32),
        output,
    }
}

#[derive(Debug)]
enum Rule {
    Integer(LstmRule),
    Fp16(Fp16LstmRule),
}

struct Layer {
    size: [usize; 3],
    parallel: usize,
    /// Words in a word of the weight stream.
    parts: Option<usize>,
    rule: Rule,
    /// Per gate: weights of the input, of the hidden state, bias (zero points folded in).
    gates: Vec<[Vec<i8>; 2]>,
    bias: Vec<[Vec<i32>; 2]>,
    /// Further layers of the same size that the unit runs.
    others: Vec<Layer>,
}

impl Layer {
    fn new(random: &mut Random, size: [usize; 3], parallel: usize, rule: Rule) -> Self {
        let [inputs, units, _] = size;
        let mut weights = |n: usize| (0..n).map(|_| random.signed(8) as i8).collect();
        let gates = (0..4)
            .map(|_| [weights(units * inputs), weights(units * units)])
            .collect();
        let mut bias = || (0..units).map(|_| random.signed(14) as i32).collect();
        let bias = (0..4).map(|_| [bias(), bias()]).collect();
        Self {
            size,
            parallel,
            parts: None,
            rule,
            gates,
            bias,
            others: Vec::new(),
        }
    }

    /// The same unit with further constants.
    fn or(mut self, other: Layer) -> Self {
        self.others.push(other);
        self
    }

    /// All layers of the unit, by number.
    fn all(&self) -> impl Iterator<Item = &Layer> + Clone {
        std::iter::once(self).chain(&self.others)
    }

    /// The tables of the integer cell states.
    fn tables(&self) -> HalfTables {
        let bits = |layer: &Layer| match &layer.rule {
            Rule::Integer(rule) => rule.cell_integer_bits,
            Rule::Fp16(_) => 3,
        };
        HalfTables::new(&self.all().map(bits).collect::<Vec<_>>())
    }

    fn streamed(self, parts: usize) -> Self {
        Self {
            parts: Some(parts),
            ..self
        }
    }

    fn unit(&self) -> LstmUnit {
        let tables = self.tables();
        let part = |number: usize| [if self.parts.is_none() { number } else { 0 }, number];
        let numbered = || self.all().enumerate();
        let datapath = match &self.rule {
            Rule::Integer(_) => Datapath::Integer {
                constants: numbered()
                    .map(|(number, layer)| LstmConstants {
                        parts: part(number),
                        output: CellConstants::new(layer.integer(), &tables).unwrap(),
                    })
                    .collect(),
                functions: tables.base.len(),
                table_block: tables.block_bits,
                delta_width: tables.delta_bits,
            },
            Rule::Fp16(_) => Datapath::Fp16(
                numbered()
                    .map(|(number, layer)| LstmConstants {
                        parts: part(number),
                        output: layer.fp16().output,
                    })
                    .collect(),
            ),
        };
        let shape = [self.parallel, self.interval()];
        LstmUnit::new(self.size, shape, datapath).streamed(self.parts)
    }

    fn integer(&self) -> &LstmRule {
        match &self.rule {
            Rule::Integer(rule) => rule,
            Rule::Fp16(_) => panic!("a unit has one arithmetic"),
        }
    }

    fn fp16(&self) -> &Fp16LstmRule {
        match &self.rule {
            Rule::Fp16(rule) => rule,
            Rule::Integer(_) => panic!("a unit has one arithmetic"),
        }
    }

    /// Words of products per unit.
    fn steps(&self) -> usize {
        self.size[0].div_ceil(self.parallel) + self.size[1].div_ceil(self.parallel)
    }

    fn interval(&self) -> usize {
        self.steps().max(8).next_multiple_of(2)
    }

    fn modules(&self) -> Vec<VerilogModule> {
        let common = ["delay_line", "sum_tree", "word_select"].map(|n| engine::common(n).unwrap());
        let mut modules: Vec<VerilogModule> = common.into();
        modules.truncate(if self.parts.is_some() { 3 } else { 2 });
        match self.rule {
            Rule::Integer(_) => modules.push(high_product::module().build()),
            Rule::Fp16(_) => modules.extend(fp16::build()),
        }
        modules.extend(self.unit().render().unwrap());
        modules
    }

    /// Words of weights, lowest byte first.
    fn weights(&self) -> Vec<Vec<u8>> {
        let [inputs, units, _] = self.size;
        let mut words = Vec::new();
        for unit in 0..units {
            for (matrix, columns) in [inputs, units].into_iter().enumerate() {
                for first in (0..columns).step_by(self.parallel) {
                    let bytes = self.gates.iter().flat_map(|gate| {
                        (first..first + self.parallel).map(move |column| {
                            let inside = column < columns;
                            let at = unit * columns + column;
                            if inside { gate[matrix][at] as u8 } else { 0 }
                        })
                    });
                    words.push(bytes.collect());
                }
            }
        }
        words
    }

    /// Memory images, as the unit's documentation states them.
    fn images(&self, folder: &TempDir) {
        let write = |name: &str, lines: Vec<String>| {
            fs::write(folder.path().join(name), lines.join("\n") + "\n").unwrap();
        };
        let hex = |bytes: Vec<u8>| bytes.iter().rev().map(|b| format!("{b:02x}")).collect();
        if self.parts.is_none() {
            let weights = self.all().flat_map(Layer::weights).map(hex);
            write("lstm_weights.mem", weights.collect());
        }
        write(
            "lstm_params.mem",
            self.all().flat_map(Layer::params).collect(),
        );
        match &self.rule {
            Rule::Integer(_) => {
                let tables = self.tables();
                let base = tables.base.iter().flatten();
                write("lstm_base.mem", base.map(|v| format!("{v:x}")).collect());
                let delta = tables.delta.iter().flatten();
                write("lstm_delta.mem", delta.map(|v| format!("{v:x}")).collect());
            }
            Rule::Fp16(_) => {
                let tanh = Fp16Tables::new().tanh;
                write(
                    "fp16_tanh.mem",
                    tanh.iter().map(|v| format!("{v:x}")).collect(),
                );
            }
        }
    }

    /// Parameter words.
    fn params(&self) -> Vec<String> {
        let mut params = Vec::new();
        for unit in 0..self.size[1] {
            for gate in 0..4 {
                for matrix in 0..2 {
                    let bias = u128::from(self.bias[gate][matrix][unit] as u32);
                    let word = bias | self.factor(gate, matrix, unit) << 32;
                    params.push(format!("{word:x}"));
                }
            }
        }
        params
    }

    /// A sum's factor as the parameter memory has it.
    fn factor(&self, gate: usize, matrix: usize, unit: usize) -> u128 {
        match &self.rule {
            Rule::Integer(rule) => {
                let factors = [rule.input, rule.recurrent][matrix];
                let Factor {
                    multiplier, shift, ..
                } = factors[gate];
                multiplier as u128 | (shift.max(0) as u128) << 31 | ((-shift).max(0) as u128) << 34
            }
            Rule::Fp16(rule) => {
                let factor = [&rule.input, &rule.recurrent][matrix][gate][unit];
                u128::from(factor.multiplier) | u128::from(bits(factor.exponent.into(), 7)) << 17
            }
        }
    }

    /// Hidden states and saturations.
    fn expected(&self, x: &[Vec<i8>]) -> (Vec<Vec<i8>>, u64) {
        match &self.rule {
            Rule::Integer(rule) => self.walk(
                x,
                rule.output_zero_point as i8,
                0i16,
                |gate, _, [wx, wh]| LstmRule::activate(gate, rule.gate_sum(gate, wx, wh)),
                |cell, gates| rule.cell(cell, gates),
                |gate, cell| rule.hidden_unclamped(gate, cell),
            ),
            Rule::Fp16(rule) => self.walk(
                x,
                rule.output.zero_point as i8,
                Fp16::ZERO,
                |gate, unit, [wx, wh]| {
                    Fp16LstmRule::activate(gate, rule.gate_sum(gate, unit, wx, wh))
                },
                |cell, gates| rule.cell(cell, gates),
                |gate, cell| rule.hidden_unclamped(gate, cell),
            ),
        }
    }

    fn walk<T: Copy>(
        &self,
        x: &[Vec<i8>],
        zero: i8,
        start: T,
        activate: impl Fn(Gate, usize, [i64; 2]) -> T,
        update: impl Fn(T, [T; 4]) -> T,
        show: impl Fn(T, T) -> i64,
    ) -> (Vec<Vec<i8>>, u64) {
        let units = self.size[1];
        let (mut hidden, mut cell) = (vec![zero; units], vec![start; units]);
        let (mut all, mut saturated) = (Vec::new(), 0);
        let dot = |w: &[i8], x: &[i8]| -> i64 {
            let products = w.iter().zip(x).map(|(&w, &x)| i64::from(w) * i64::from(x));
            products.sum()
        };
        for x in x {
            let mut next = Vec::new();
            for (unit, cell) in cell.iter_mut().enumerate() {
                let gates = Gate::ALL.map(|gate| {
                    let vectors = [x, &hidden].map(|v: &Vec<i8>| v.as_slice());
                    let sums = [0, 1].map(|m| {
                        let row = &self.gates[gate as usize][m][unit * vectors[m].len()..];
                        dot(row, vectors[m]) + i64::from(self.bias[gate as usize][m][unit])
                    });
                    activate(gate, unit, sums)
                });
                *cell = update(*cell, gates);
                let y = show(gates[3], *cell);
                saturated += u64::from(Clamp::INT8.saturates(y, false));
                next.push(Clamp::INT8.apply(y) as i8);
            }
            hidden = next.clone();
            all.push(next);
        }
        (all, saturated)
    }
}

/// The ring of the weight stream.
struct Ring {
    /// The words of a step.
    words: Vec<Vec<u64>>,
    /// Words given back.
    used: usize,
    /// The word that the unit uses, of the last seven cycles.
    places: [usize; 7],
    /// How often a word is there, of four times.
    ready: u64,
    random: Random,
}

impl Ring {
    fn new(layer: &Layer, parts: usize) -> Self {
        let chunk = |bytes: &[u8]| {
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(eight)
        };
        // what lies behind the last word of a step is noise
        let mut words = layer.weights();
        let filled = words.len().next_multiple_of(parts);
        words.resize(filled, vec![0xa5; 4 * layer.parallel]);
        let words = words
            .chunks(parts)
            .map(|p| p.concat().chunks(8).map(chunk).collect());
        Ring {
            words: words.collect(),
            used: 0,
            places: [0; 7],
            ready: 4,
            random: Random(1),
        }
    }

    /// A cycle's inputs, and what the unit says to them.
    fn drive(&mut self, unit: &mut Block) {
        self.places.rotate_right(1);
        self.places[0] = self.used % self.words.len();
        let ready = self.random.next() >> 62 < self.ready;
        unit.poke("weights_ready", ready.into()).unwrap();
        unit.poke_chunks("ring_word", &self.words[self.places[6]])
            .unwrap();
        unit.eval().unwrap();
        let [step, waiting] = ["weight_step", "waiting"].map(|p| unit.peek(p).unwrap() == 1);
        assert!(!(ready && waiting) && (ready || !step));
        self.used += usize::from(step);
    }
}

/// Eight sequences with the weights from a ring that has its next word always or not, for four units:
/// always the same hidden states, and each word is used once.
fn compare_streamed(random: &mut Random, layer: Layer, parts: usize, fixed: usize) {
    let layer = layer.streamed(parts);
    let (size, folder) = (layer.size, tempfile::tempdir().unwrap());
    layer.images(&folder);
    let mut unit = BUFFERS.build("lstm_unit", &layer.modules(), Some(folder.path()));
    let mut ring = Ring::new(&layer, parts);
    let load = 4 * size[0].div_ceil(WB) + size[0] + 1;
    let step = (size[1] - 1) * layer.interval() + layer.steps() + layer.unit().levels();
    let limit = load + size[2] * (step + fixed + RING_CYCLES).max(load) + 1;
    for sequence in 0..8 {
        ring.ready = [4, 1, 3, 2][sequence % 4];
        let vector = |r: &mut Random| (0..size[0]).map(|_| r.signed(8) as i8).collect();
        let x: Vec<Vec<i8>> = (0..size[2]).map(|_| vector(random)).collect();
        let (wanted, _) = layer.expected(&x);
        let drive = |unit: &mut Block| ring.drive(unit);
        let (found, cycles) = BUFFERS.run_beside(&mut unit, &x, [size[2], size[1]], drive);
        assert_eq!(found, wanted, "{size:?}, {parts} parts, {:?}", layer.rule);
        assert_eq!(ring.used, (sequence + 1) * size[2] * ring.words.len());
        assert!(
            cycles + load > limit && (cycles <= limit || ring.ready < 4),
            "{cycles}, limit {limit}"
        );
    }
}

#[test]
fn hidden_states_do_not_depend_on_when_the_weights_come() {
    let mut random = Random(13);
    for (size, parallel, parts, cell_bits) in [
        ([6, 5, 7], 4, 2, 3),
        ([3, 1, 4], 1, 16, 0),
        ([17, 9, 5], 8, 1, 6),
        ([2, 12, 6], 2, 3, 2),
        ([3, 6, 5], 1, 5, 2),
    ] {
        let integer = Rule::Integer(rule(&mut random, cell_bits, None));
        let output = Fp16Quantizer::new(0.0071, 5).unwrap();
        let fp16 = Rule::Fp16(fp16_rule(&mut random, size[1], output));
        for (rule, fixed) in [(integer, STEP_CYCLES), (fp16, FP16_STEP_CYCLES)] {
            let layer = Layer::new(&mut random, size, parallel, rule);
            compare_streamed(&mut random, layer, parts, fixed);
        }
    }
}

/// Eight sequences, of one layer of the unit after the other; the hidden states that saturate.
fn compare(random: &mut Random, layer: &Layer, fixed: usize) -> u64 {
    let size = layer.size;
    let folder = tempfile::tempdir().unwrap();
    layer.images(&folder);
    let mut unit = BUFFERS.build("lstm_unit", &layer.modules(), Some(folder.path()));
    let mut counted = 0;
    for (number, own) in layer.all().enumerate().cycle().take(8) {
        let vector = |r: &mut Random| (0..size[0]).map(|_| r.signed(8) as i8).collect();
        let x: Vec<Vec<i8>> = (0..size[2]).map(|_| vector(random)).collect();
        let (wanted, saturated) = own.expected(&x);
        if !layer.others.is_empty() {
            unit.poke("constants", number as u64).unwrap();
        }
        let (found, cycles) = BUFFERS.run(&mut unit, &x, [size[2], size[1]]);
        assert_eq!(found, wanted, "{size:?}, {:?}", own.rule);
        counted += saturated;
        assert_eq!(unit.peek("saturations_q").unwrap(), counted);
        let load = 4 * size[0].div_ceil(WB) + size[0] + 1;
        let step = (size[1] - 1) * layer.interval() + layer.steps() + layer.unit().levels();
        let limit = load + size[2] * (step + fixed).max(load) + 1;
        assert!(
            cycles <= limit && cycles + load > limit,
            "{cycles}, limit {limit}"
        );
    }
    counted
}

#[test]
fn every_hidden_state_equals_the_rule_and_takes_the_stated_time() {
    let mut random = Random(11);
    let mut saturating = 0;
    for (size, parallel, cell_bits, clip) in [
        ([6, 5, 7], 4, 3, None),
        ([3, 1, 4], 1, 0, Some(20_000)),
        ([17, 9, 5], 8, 6, Some(9_000)),
        ([2, 12, 6], 2, 2, None),
    ] {
        let rule = Rule::Integer(rule(&mut random, cell_bits, clip));
        let layer = Layer::new(&mut random, size, parallel, rule);
        saturating += u64::from(compare(&mut random, &layer, STEP_CYCLES) > 0);
    }
    assert!(
        saturating > 1,
        "hidden states of {saturating} layers saturate"
    );
}

#[test]
fn every_hidden_state_of_an_fp16_cell_equals_the_rule_and_takes_the_stated_time() {
    let mut random = Random(12);
    let mut saturating = 0;
    for (size, parallel, scale, zero_point) in [
        ([6, 5, 7], 4, 1.0 / 128.0, 0),
        ([3, 1, 4], 1, 0.004, -128),
        ([17, 9, 5], 8, 0.0071, 5),
        ([2, 12, 6], 2, 1.0, 127),
        ([9, 20, 30], 4, 0.0079, -1),
    ] {
        let output = Fp16Quantizer::new(scale, zero_point).unwrap();
        let rule = Rule::Fp16(fp16_rule(&mut random, size[1], output));
        let layer = Layer::new(&mut random, size, parallel, rule);
        saturating += u64::from(compare(&mut random, &layer, FP16_STEP_CYCLES) > 0);
    }
    assert!(
        saturating > 1,
        "hidden states of {saturating} layers saturate"
    );
}

#[test]
fn each_layer_runs_with_the_constants_of_its_number() {
    let mut random = Random(14);
    // clipped and not, three formats of the cell state, two of them with tables of their own
    let mut layer = |cell_bits, clip, output_zero_point| {
        let rule = Rule::Integer(LstmRule {
            output_zero_point,
            ..rule(&mut random, cell_bits, clip)
        });
        Layer::new(&mut random, [6, 5, 7], 4, rule)
    };
    let layers = layer(3, None, -9)
        .or(layer(0, Some(20_000), 4))
        .or(layer(5, Some(3_000), -128));
    assert_clean(&layers.modules());
    let saturated = compare(&mut Random(15), &layers, STEP_CYCLES);
    assert!(saturated > 0, "nothing saturates");
    let streamed = layer(3, None, 1).or(layer(3, None, 1)).streamed(3);
    assert_clean(&streamed.modules());
}

#[test]
fn each_fp16_layer_runs_with_the_constants_of_its_number() {
    let mut random = Random(17);
    let mut layer = |scale, zero_point| {
        let output = Fp16Quantizer::new(scale, zero_point).unwrap();
        let rule = Rule::Fp16(fp16_rule(&mut random, 5, output));
        Layer::new(&mut random, [6, 5, 7], 4, rule)
    };
    let layers = layer(1.0 / 128.0, 0)
        .or(layer(0.004, -128))
        .or(layer(0.03, 0));
    assert_clean(&layers.modules());
    let saturated = compare(&mut Random(16), &layers, FP16_STEP_CYCLES);
    assert!(saturated > 0, "nothing saturates");
    assert_clean(&layers.streamed(2).modules());
}

#[test]
fn the_text_is_clean() {
    let mut random = Random(3);
    for (cell_bits, clip, parallel) in [(3, None, 4), (0, Some(100), 1), (5, None, 8)] {
        let rule = Rule::Integer(rule(&mut random, cell_bits, clip));
        let layer = Layer::new(&mut random, [28, 20, 28], parallel, rule);
        assert_clean(&layer.modules());
        for parts in [1, 2, 5, 16] {
            let rule = self::rule(&mut random, cell_bits, clip);
            let layer = Layer::new(&mut random, [28, 20, 28], parallel, Rule::Integer(rule));
            assert_clean(&layer.streamed(parts).modules());
        }
    }
    for (scale, zero_point) in [(1.0 / 128.0, 0), (1e-13, 127), (4e13, -128)] {
        let output = Fp16Quantizer::new(scale, zero_point).unwrap();
        let rule = Rule::Fp16(fp16_rule(&mut random, 20, output));
        let layer = Layer::new(&mut random, [28, 20, 28], 4, rule);
        assert_clean(&layer.modules());
        let rule = Rule::Fp16(fp16_rule(&mut random, 20, output));
        let layer = Layer::new(&mut random, [28, 20, 28], 4, rule);
        assert_clean(&layer.streamed(3).modules());
    }
}
