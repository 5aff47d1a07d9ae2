//! The attention unit against `AttentionRule`, row by row.

use crate::buffers::{Buffers, Vectors};
use crate::common::{Random, assert_clean};
use macforge_hdl::VerilogModule;
use macforge_hdl::blocks::fp16;
use macforge_hdl::engine::attention::FIXED_CYCLES;
use macforge_hdl::engine::{self, AttentionConstants, AttentionUnit, lstm};
use macforge_numeric::{AttentionRule, Clamp};
use macforge_sim::Block;

/// A unit with the bytes of its activation word.
struct Layer {
    unit: AttentionUnit,
    wb: usize,
}

impl Layer {
    fn new(
        [queries, keys, heads, width]: [usize; 4],
        [parallel, wb]: [usize; 2],
        zero_points: [i32; 3],
        rule: AttentionRule,
    ) -> Self {
        let unit = AttentionUnit {
            queries,
            keys,
            heads,
            width,
            parallel,
            constants: vec![AttentionConstants { zero_points, rule }],
        };
        Layer { unit, wb }
    }

    /// The same unit with further constants.
    fn or(mut self, zero_points: [i32; 3], rule: AttentionRule) -> Self {
        let constants = AttentionConstants { zero_points, rule };
        self.unit.constants.push(constants);
        self
    }

    fn modules(&self) -> Vec<VerilogModule> {
        let common = ["delay_line", "sum_tree", "word_select"].map(|n| engine::common(n).unwrap());
        let mut modules: Vec<VerilogModule> = common.into();
        modules.extend(fp16::attention());
        modules.push(lstm::writer());
        modules.extend(self.unit.render(self.wb).unwrap());
        modules
    }

    fn channels(&self) -> usize {
        self.unit.heads * self.unit.width
    }

    fn tokens(&self) -> usize {
        self.unit.queries + 2 * self.unit.keys
    }

    /// Contexts and saturations with the constants `number`.
    fn expected(&self, tokens: &Vectors, number: usize) -> (Vectors, u64) {
        let AttentionUnit {
            queries,
            keys,
            heads,
            width,
            ..
        } = self.unit;
        let AttentionConstants {
            zero_points: [zq, zk, zv],
            rule,
        } = self.unit.constants[number];
        let (q, rest) = tokens.split_at(queries);
        let (k, v) = rest.split_at(keys);
        let mut saturated = 0;
        let query = |q: &Vec<i8>| -> Vec<i8> {
            let mut out = Vec::new();
            for head in 0..heads {
                let own = head * width..(head + 1) * width;
                let score = |k: &Vec<i8>| -> i64 {
                    let pairs = q[own.clone()].iter().zip(&k[own.clone()]);
                    pairs
                        .map(|(&q, &k)| i64::from(i32::from(q) - zq) * i64::from(i32::from(k) - zk))
                        .sum()
                };
                let weights = rule.weights(&k.iter().map(score).collect::<Vec<_>>());
                let reciprocal = AttentionRule::reciprocal(weights.iter().sum());
                for channel in own {
                    let values = v.iter().map(|v| i64::from(i32::from(v[channel]) - zv));
                    let sum = weights.iter().zip(values).map(|(&w, v)| i64::from(w) * v);
                    let y = rule.unclamped(sum.sum(), reciprocal);
                    saturated += u64::from(Clamp::INT8.saturates(y, false));
                    out.push(Clamp::INT8.apply(y) as i8);
                }
            }
            out
        };
        let all = q.iter().map(query).collect();
        (all, saturated)
    }

    fn buffers(&self) -> Buffers {
        Buffers {
            word: self.wb,
            address_bits: 10,
            in_base: 5,
            out_base: 512,
        }
    }

    /// The unit of these modules.
    fn build(&self, modules: &[VerilogModule]) -> Block {
        self.buffers().build("attention_unit", modules, None)
    }

    /// The contexts, and the cycles.
    fn run(&self, block: &mut Block, tokens: &Vectors) -> (Vectors, usize) {
        let size = [self.unit.queries, self.channels()];
        self.buffers().run(block, tokens, size)
    }

    /// Some inferences, random ones and extremes, with one set of constants after the other; the contexts
    /// that saturate.
    fn compare(&self, random: &mut Random) -> u64 {
        let mut block = self.build(&self.modules());
        let mut counted = 0;
        for round in 0..8 {
            let mut value = |token: usize| match round {
                // all scores as large as they can be, and as small
                0 => [-128, 127][usize::from(token.is_multiple_of(2))],
                1 => -128,
                2 => 127,
                // small scores, so that the weights are alike
                3 => random.signed(3) as i8,
                _ => random.signed(8) as i8,
            };
            let channels = self.channels();
            let tokens: Vectors = (0..self.tokens())
                .map(|token| (0..channels).map(|_| value(token)).collect())
                .collect();
            let constants = self.unit.constants.len();
            let number = round % constants;
            if constants > 1 {
                block.poke("constants", number as u64).unwrap();
            }
            let (wanted, saturated) = self.expected(&tokens, number);
            let (found, cycles) = self.run(&mut block, &tokens);
            assert_eq!(found, wanted, "round {round}: {:?}", self.unit);
            counted += saturated;
            assert_eq!(block.peek("saturations_q").unwrap(), counted);
            let groups = channels / self.unit.parallel;
            let rows = self.unit.queries * self.unit.heads * self.unit.row_cycles();
            assert_eq!(cycles, self.tokens() * groups + rows + FIXED_CYCLES);
        }
        counted
    }
}

/// What is wrong, in which module, which text becomes which other one.
const FAULTS: [[&str; 4]; 9] = [
    [
        "the constants of number 0",
        "attention_unit",
        "case (constants)",
        "case (constants & 1'b0)",
    ],
    [
        "the largest score of the row before",
        "attention_unit",
        "written_q == 16'd0 || score_q > largest_q",
        "score_q > largest_q",
    ],
    [
        "scores of the key before",
        "attention_unit",
        "(score_first ? 32'sd0 : score_q)",
        "(score_first && written_q == 16'd0 ? 32'sd0 : score_q)",
    ],
    [
        "values with the zero point of the keys",
        "attention_unit",
        "(of_values ? value_zero_q : key_zero_q)",
        "key_zero_q",
    ],
    [
        "weights of the head before",
        "attention_unit",
        "if (state_q == S_ROW) sum_of_weights_q <= 24'd0;",
        "if (start) sum_of_weights_q <= 24'd0;",
    ],
    [
        "the reciprocal is twice as large",
        "attention_unit",
        "places_q   <= -7'sd13;",
        "places_q   <= -7'sd12;",
    ],
    [
        "values of the first head",
        "attention_unit",
        "divided ? head_base_q + VALUES",
        "divided ? VALUES",
    ],
    [
        "saturations are not counted",
        "attention_unit",
        "context_valid && context_over)",
        "context_valid && context_over && rst)",
    ],
    [
        "tokens from one bank",
        "attention_loader",
        "read_bank_q <= bank_wrap ?",
        "read_bank_q <= bank_wrap || 1'b1 ?",
    ],
];

#[test]
fn deliberate_faults_are_noticed() {
    let size = [4, 3, 2, 8];
    let layer = Layer::new(size, [4, 8], [-20, 1, 3], rule(5e-4, 0.8, 0))
        .or([3, -7, 9], rule(6e-4, 1.5, 4));
    let mut random = Random(5);
    let mut token = |_| {
        (0..layer.channels())
            .map(|_| random.signed(8) as i8)
            .collect()
    };
    let tokens: Vectors = (0..layer.tokens()).map(&mut token).collect();
    let wanted = layer.expected(&tokens, 1);
    assert!(wanted.1 > 0, "nothing saturates");
    let mut unnoticed = Vec::new();
    for [what, module, old, new] in FAULTS {
        let mut modules = layer.modules();
        let faulty = modules.iter_mut().find(|m| m.name == module).unwrap();
        assert_eq!(faulty.text.matches(old).count(), 1, "{what}");
        faulty.text = faulty.text.replace(old, new);
        let mut block = layer.build(&modules);
        block.poke("constants", 1).unwrap();
        let (found, _) = layer.run(&mut block, &tokens);
        let counted = block.peek("saturations_q").unwrap();
        if (found, counted) == wanted {
            unnoticed.push(what);
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}

fn rule(score: f64, quotient: f64, zero_point: i32) -> AttentionRule {
    AttentionRule::new([1.0, 1.0, quotient as f32], score, 1.0, zero_point).unwrap()
}

#[test]
fn every_context_equals_the_rule_and_takes_the_stated_time() {
    let mut random = Random(21);
    let mut saturating = 0;
    for (size, shape, zero_points, rule) in [
        ([3, 3, 2, 8], [4, 8], [3, -7, 0], rule(1e-4, 1.5, 4)),
        (
            [1, 1, 1, 1],
            [1, 4],
            [-128, 127, -128],
            rule(1.0, 0.4, -128),
        ),
        ([5, 20, 3, 6], [2, 4], [0, 0, 127], rule(2e-4, 0.7, 0)),
        ([2, 5, 1, 24], [8, 8], [-128, -128, 5], rule(3e-5, 1.0, 127)),
    ] {
        let layer = Layer::new(size, shape, zero_points, rule);
        saturating += u64::from(layer.compare(&mut random) > 0);
    }
    assert!(saturating > 1, "contexts of {saturating} layers saturate");
}

#[test]
fn each_layer_runs_with_the_constants_of_its_number() {
    let mut random = Random(22);
    let layer = Layer::new([3, 5, 2, 8], [4, 8], [3, -7, 0], rule(1e-4, 1.5, 4))
        .or([-128, 5, 9], rule(2e-4, 0.7, -100))
        .or([3, -7, -50], rule(3e-5, 1.5, 4));
    assert!(layer.compare(&mut random) > 0, "nothing saturates");
    assert_clean(&layer.modules());
    // what is the same in all sets is not chosen
    let text = &layer.modules().pop().unwrap().text;
    assert!(text.contains("value_zero_q <= -9'sd50;"), "{text}");
    let same = Layer::new([3, 5, 2, 8], [4, 8], [3, -7, 0], rule(1e-4, 1.5, 4))
        .or([3, -7, 0], rule(2e-4, 1.5, 4));
    assert_clean(&same.modules());
    let text = same.modules().pop().unwrap().text;
    assert!(
        !text.contains("zero_q") && text.contains("score_exponent_q <="),
        "{text}"
    );
}

#[test]
fn the_text_is_clean() {
    for (size, shape) in [
        ([3, 3, 8, 64], [8, 8]),
        ([1, 1, 1, 1], [1, 4]),
        ([7, 512, 1, 3], [3, 9]),
        ([1, 2, 2, 2], [2, 2]),
    ] {
        for rule in [rule(1e-4, 1.5, 4), rule(1e-13, 4e13, -128)] {
            assert_clean(&Layer::new(size, shape, [-128, 127, 0], rule).modules());
        }
    }
}
