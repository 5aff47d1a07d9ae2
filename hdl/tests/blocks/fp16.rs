//! The FP16 lane against `macforge_numeric::fp16`.

use crate::common::{Random, assert_clean, bits, block, shipped, value};
use macforge_hdl::VerilogModule;
use macforge_hdl::blocks::fp16::{add, compare, dequantize, exp, mul, quantize, reciprocal, units};
use macforge_hdl::engine::{self, lstm::FP16_ACTIVATION_LATENCY};
use macforge_hdl::typed::Module;
use macforge_numeric::{AttentionRule, Clamp, Fp16, Fp16Factor, Fp16Quantizer, Fp16Tables};
use macforge_sim::{Block, BlockSource, VectorInput};
use std::path::Path;

/// Numbers at the edges of every class, with both signs, and their neighbours.
fn corners() -> Vec<u16> {
    let edges: [u16; 24] = [
        0, 0x0001, 0x0002, 0x01ff, 0x0200, 0x03ff, 0x0400, 0x0401, 0x2400, 0x3bff, 0x3c00, 0x3c01,
        0x7bff, 0x7c00, 0x7c01, 0x7e00, 0x7fff, 0x3555, 0x4248, 0x07ff, 0x0800, 0x7800, 0x0fff,
        0x43ff,
    ];
    edges.into_iter().flat_map(|x| [x, x | 0x8000]).collect()
}

/// All pairs of corners, every number with one and with every corner, and `count` random pairs, half
/// of them of similar exponents.
fn pairs(count: u64) -> impl Iterator<Item = [u16; 2]> {
    let corners = corners();
    let with_all = corners.clone().into_iter().step_by(7);
    let edges = corners.clone().into_iter();
    let edges = edges.flat_map(move |a| corners.clone().into_iter().map(move |b| [a, b]));
    let all = with_all.flat_map(|a| (0..=u16::MAX).flat_map(move |b| [[a, b], [b, a]]));
    let mut random = Random(1);
    let drawn = (0..count).map(move |index| {
        let r = random.next();
        let (a, b) = (r as u16, (r >> 16) as u16);
        let distance = ((r >> 40) as u16 % 7) << 10;
        let near = (a & 0x7c00).wrapping_add(distance).wrapping_sub(3 << 10);
        let close = b & 0x83ff | near & 0x7c00;
        [a, if index % 2 == 0 { b } else { close }]
    });
    edges.chain(all).chain(drawn)
}

/// Vectors at a time.
const BATCH: usize = 1 << 18;

/// Pairs that differ from the rule, and how many were compared.
fn compare_pairs(unit: &mut Block, pair: Pair, count: u64) -> [u64; 2] {
    let mut pairs = pairs(count);
    let (mut different, mut compared) = (0, 0);
    loop {
        let batch: Vec<[u16; 2]> = pairs.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return [different, compared];
        }
        let operands = [0, 1].map(|i| batch.iter().map(|p| p[i].into()).collect::<Vec<u64>>());
        let inputs = [("a", &operands[0]), ("b", &operands[1])];
        let found = run(unit, pair.latency, &inputs, &["y_q"]);
        for (&[a, b], &found) in batch.iter().zip(&found[0]) {
            let wanted = (pair.rule)(Fp16::from_bits(a), Fp16::from_bits(b));
            different += u64::from(found != u64::from(wanted.to_bits()));
        }
        compared += batch.len() as u64;
    }
}

/// A block of two operands.
#[derive(Clone, Copy)]
struct Pair {
    module: fn() -> Module,
    latency: usize,
    rule: fn(Fp16, Fp16) -> Fp16,
}

const ADD: Pair = Pair {
    module: add::module,
    latency: add::LATENCY,
    rule: Fp16::plus,
};
const MUL: Pair = Pair {
    module: mul::module,
    latency: mul::LATENCY,
    rule: Fp16::times,
};

fn assert_pairs(pair: Pair, count: u64) {
    let built = [(pair.module)().build()];
    assert_clean(&built);
    let [different, compared] = compare_pairs(&mut block(&built), pair, count);
    assert!(compared > count + 900_000);
    assert_eq!(different, 0, "of {compared}");
}

/// The block with one deliberate fault.
fn faulty(module: &Module, old: &str, new: &str) -> Block {
    let mut built = module.build();
    assert_eq!(built.text.matches(old).count(), 1, "{old}");
    built.text = built.text.replace(old, new);
    block(&[built])
}

fn run(
    unit: &mut Block,
    latency: usize,
    inputs: &[(&str, &Vec<u64>)],
    outputs: &[&str],
) -> Vec<Vec<u64>> {
    let inputs: Vec<VectorInput> = inputs
        .iter()
        .map(|&(port, values)| VectorInput { port, values })
        .collect();
    unit.run_vectors(Some("clk"), latency, &inputs, outputs)
        .unwrap()
}

#[test]
fn sum_equals_its_rule_on_corners_and_random_pairs() {
    assert_pairs(ADD, 200_000);
}

#[test]
fn product_equals_its_rule_on_corners_and_random_pairs() {
    assert_pairs(MUL, 200_000);
}

#[test]
#[ignore = "ten million pairs"]
fn sum_equals_its_rule_on_ten_million_pairs() {
    assert_pairs(ADD, 10_000_000);
}

#[test]
#[ignore = "ten million pairs"]
fn product_equals_its_rule_on_ten_million_pairs() {
    assert_pairs(MUL, 10_000_000);
}

#[test]
fn faults_of_sum_and_product_are_noticed() {
    for (pair, old, new) in [
        // what was shifted out is forgotten
        (ADD, "align_1 | {13'd0, align_1_lost}", "align_1"),
        // x - x is negative zero
        (ADD, "& (~(subtract3_q & (~(|sum_q))))", ""),
        // the last bit of the product is forgotten
        (MUL, "(|normal1_q[9:0])", "(|normal1_q[9:1])"),
        // infinity times zero is infinity
        (
            MUL,
            "(~(|b[9:0]))) & zero_a)",
            "(~(|b[9:0]))) & zero_a & zero_b)",
        ),
    ] {
        let mut unit = faulty(&(pair.module)(), old, new);
        let [different, _] = compare_pairs(&mut unit, pair, 200_000);
        assert!(different > 0, "{old} to {new}");
    }
}

/// Sums that differ from the rule.
fn compare_dequantized(unit: &mut Block) -> u64 {
    let mut random = Random(5);
    let operands = (0..300_000u64).map(|_| {
        let acc = random.signed(32);
        let r = random.next();
        // mostly where the result is neither zero nor infinite
        let size = 64 - acc.unsigned_abs().leading_zeros() as i32;
        let exponent = match r % 8 {
            0 => (r >> 8) as i32 % 64,
            _ => (r >> 8) as i32 % 46 - 44 - size,
        };
        let factor = Fp16Factor {
            multiplier: 1 << 16 | (r >> 48) as u32,
            exponent: exponent.clamp(-64, 63),
        };
        (acc, factor)
    });
    let operands: Vec<(i64, Fp16Factor)> = operands.collect();
    let column = |f: fn(&(i64, Fp16Factor)) -> u64| operands.iter().map(f).collect::<Vec<u64>>();
    let accs = column(|x| bits(x.0, 32));
    let multipliers = column(|x| x.1.multiplier.into());
    let exponents = column(|x| bits(x.1.exponent.into(), 7));
    let inputs = [
        ("acc", &accs),
        ("multiplier", &multipliers),
        ("exponent", &exponents),
    ];
    let found = run(unit, dequantize::LATENCY, &inputs, &["y_q"]);
    let (mut seen, mut different) = ([0u32; 3], 0);
    for (&(acc, factor), &found) in operands.iter().zip(&found[0]) {
        let wanted = factor.dequantize(acc);
        different += u64::from(found != u64::from(wanted.to_bits()));
        seen[usize::from(wanted.abs().to_bits() >= 0x400) + usize::from(wanted.is_infinite())] += 1;
    }
    assert!(seen.iter().all(|&n| n > 10_000), "{seen:?}");
    different
}

#[test]
fn dequantized_sums_equal_their_rule() {
    let built = [dequantize::module().build()];
    assert_clean(&built);
    assert_eq!(compare_dequantized(&mut block(&built)), 0);
    // far below the subnormal numbers a shift by its last four bits only
    let mut unit = faulty(&dequantize::module(), " | {4{(|gap[8:4])}}", "");
    assert!(compare_dequantized(&mut unit) > 0);
}

/// Numbers that become another int8, or whose cut is not told, for several scales.
fn compare_quantized(unit: &mut Block) -> u64 {
    let mut different = 0;
    for (scale, zero_point) in [
        (1.0 / 128.0, 0),
        (0.007_93, -3),
        (3.1e-5, 127),
        (900.0, -128),
        (1e-13, 5),
        (4e13, 1),
    ] {
        let quantizer = Fp16Quantizer::new(scale, zero_point).unwrap();
        let Fp16Factor {
            multiplier,
            exponent,
        } = quantizer.factor;
        unit.poke("multiplier", multiplier.into()).unwrap();
        unit.poke_signed("exponent", exponent.into()).unwrap();
        unit.poke_signed("zero_point", zero_point.into()).unwrap();
        let all: Vec<u64> = (0..1 << 16).collect();
        let outputs = ["q_q", "saturated_q"];
        let found = run(unit, quantize::LATENCY, &[("x", &all)], &outputs);
        for x in 0..=u16::MAX {
            let wanted = quantizer.unclamped(Fp16::from_bits(x));
            let q = value(found[0][usize::from(x)], 8);
            let cut = Clamp::INT8.saturates(wanted, false);
            let same = q == i64::from(Clamp::INT8.apply(wanted))
                && found[1][usize::from(x)] == u64::from(cut);
            different += u64::from(!same);
        }
    }
    different
}

#[test]
fn quantized_numbers_equal_their_rule_on_all_inputs() {
    let built = [quantize::module().build()];
    assert_clean(&built);
    assert_eq!(compare_quantized(&mut block(&built)), 0);
    // halves go up
    let half_up = ("fine_q[0] & (fine_lost_q | fine_q[1])", "fine_q[0]");
    let mut unit = faulty(&quantize::module(), half_up.0, half_up.1);
    assert!(compare_quantized(&mut unit) > 0);
}

/// Numbers whose function differs from its rule.
fn compare_unary(unit: &mut Block, latency: usize, rule: fn(Fp16) -> Fp16) -> usize {
    let all: Vec<u64> = (0..1 << 16).collect();
    let found = run(unit, latency, &[("x", &all)], &["y_q"]);
    let wanted = (0..=u16::MAX).map(|x| u64::from(rule(Fp16::from_bits(x)).to_bits()));
    wanted.zip(&found[0]).filter(|(w, f)| w != *f).count()
}

#[test]
fn exponential_and_reciprocal_equal_their_rules_on_all_inputs() {
    type Rule = fn(Fp16) -> Fp16;
    let blocks: [(Module, usize, Rule, &str, &str); 2] = [
        // no rounding before the table
        (
            exp::module(),
            exp::LATENCY,
            Fp16::exp,
            "+ 18'h00001",
            "+ 18'h00000",
        ),
        // subnormal numbers are taken for larger ones
        (
            reciprocal::module(),
            reciprocal::LATENCY,
            Fp16::reciprocal,
            " + $signed({5'd0, x_places_q})",
            "",
        ),
    ];
    for (module, latency, rule, old, new) in blocks {
        let built = [module.build()];
        assert_clean(&built);
        assert_eq!(compare_unary(&mut block(&built), latency, rule), 0);
        assert!(compare_unary(&mut faulty(&module, old, new), latency, rule) > 0);
    }
}

/// Numbers from zero to one whose integer differs from the rule.
fn compare_units(unit: &mut Block) -> usize {
    let all: Vec<u64> = (0..=u64::from(Fp16::ONE.to_bits())).collect();
    let found = run(unit, units::LATENCY, &[("x", &all)], &["y_q"]);
    let rule = |&x: &u64| Fp16::from_bits(x as u16).in_units(AttentionRule::WEIGHT_BITS);
    let pairs = all.iter().map(rule).zip(&found[0]);
    pairs.filter(|&(w, &f)| u64::from(w) != f).count()
}

#[test]
fn integers_of_numbers_up_to_one_equal_their_rule_on_all_inputs() {
    let built = [units::module().build()];
    assert_clean(&built);
    assert_eq!(compare_units(&mut block(&built)), 0);
    let half_up = ("shifted_q[0] & (lost_q | shifted_q[1])", "shifted_q[0]");
    let mut unit = faulty(&units::module(), half_up.0, half_up.1);
    assert!(compare_units(&mut unit) > 0);
}

/// Pairs whose order differs from the rule.
fn compare_order(unit: &mut Block, count: u64) -> usize {
    let all: Vec<[u16; 2]> = pairs(count).collect();
    let operands = [0, 1].map(|i| all.iter().map(|p| p[i].into()).collect::<Vec<u64>>());
    let inputs = [("a", &operands[0]), ("b", &operands[1])];
    let outputs = ["less_q", "maximum_q", "minimum_q"];
    let found = run(unit, compare::LATENCY, &inputs, &outputs);
    let differs = |(i, pair): (usize, &[u16; 2])| {
        let [a, b] = pair.map(Fp16::from_bits);
        let bits = |x: Fp16| u64::from(x.to_bits());
        let wanted = [
            u64::from(a.is_less(b)),
            bits(a.maximum(b)),
            bits(a.minimum(b)),
        ];
        wanted != [0, 1, 2].map(|o| found[o][i])
    };
    all.iter().enumerate().filter(|&x| differs(x)).count()
}

#[test]
fn order_equals_its_rule_on_corners_and_random_pairs() {
    let built = [compare::module().build()];
    assert_clean(&built);
    assert_eq!(compare_order(&mut block(&built), 200_000), 0);
    // the zeros are ordered
    let mut unit = faulty(&compare::module(), "nan_q | zeros_q", "nan_q");
    assert!(compare_order(&mut unit, 0) > 0);
}

#[test]
#[ignore = "ten million pairs"]
fn order_equals_its_rule_on_ten_million_pairs() {
    let mut unit = block(&[compare::module().build()]);
    assert_eq!(compare_order(&mut unit, 10_000_000), 0);
}

/// Both functions over all numbers; they may take turns from one cycle to the next.
#[test]
fn tanh_and_logistic_function_equal_their_rules_on_all_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let words = Fp16Tables::new().tanh;
    let image: String = words.iter().map(|w| format!("{w:x}\n")).collect();
    std::fs::write(folder.path().join("fp16_tanh.mem"), image).unwrap();
    let delay = engine::common("delay_line").unwrap();
    let rom = engine::lstm::fp16_tanh_rom().unwrap();
    let top = engine::lstm::fp16_activation().unwrap();
    let modules = [delay, add::module().build(), rom, top];
    assert_clean(&modules);
    assert_eq!(compare_functions(&modules, folder.path()), 0);
    // one from another magnitude on
    let mut faulty = modules;
    let text = &mut faulty[3].text;
    assert_eq!(text.matches(">= 15'h4482").count(), 1);
    *text = text.replace(">= 15'h4482", ">= 15'h4483");
    assert!(compare_functions(&faulty, folder.path()) > 0);
}

/// Values that differ from their rule.
fn compare_functions(modules: &[VerilogModule], folder: &Path) -> u64 {
    let source = BlockSource::new("fp16_activation").memory_dir(folder);
    let source = modules.iter().fold(source, |source, m| {
        source.text(format!("{}.v", m.name), shipped(m))
    });
    let mut unit = source.build().unwrap();
    let x: Vec<u64> = (0..1 << 17).map(|n| n >> 1).collect();
    let logistic: Vec<u64> = (0..1 << 17).map(|n| n & 1).collect();
    let inputs = [("x", &x), ("logistic", &logistic)];
    let found = run(&mut unit, FP16_ACTIVATION_LATENCY, &inputs, &["y"]);
    let mut different = 0;
    for ((&bits, &logistic), &found) in x.iter().zip(&logistic).zip(&found[0]) {
        let x = Fp16::from_bits(bits as u16);
        let wanted = match logistic {
            1 => x.logistic(),
            _ => x.tanh(),
        };
        different += u64::from(found != u64::from(wanted.to_bits()));
    }
    different
}
