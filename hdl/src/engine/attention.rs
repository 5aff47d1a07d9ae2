//! The attention unit: [`macforge_numeric::AttentionRule`] on tokens in the activation buffer.
//!
//! | module | does |
//! | --- | --- |
//! | `attention_unit` | control, scores, weights, their reciprocal, contexts |
//! | `attention_loader` | tokens from the buffer into the unit's memories |
//! | `lstm_writer` | contexts into the buffer |
//!
//! The tokens lie one behind the other: first the queries, then the keys, then the values, with as many
//! channels each. The FP16 arithmetic are blocks ([`crate::blocks::fp16`]); one dequantizer serves scores
//! and contexts, the same multipliers queries times keys and weights times values.

use super::constants::Chosen;
use super::{index_bits, module, render};
use crate::VerilogModule;
use crate::blocks::fp16::{dequantize, exp, quantize, units};
use macforge_numeric::AttentionRule;
use serde::Serialize;
use tera::Context;

/// Cycles of a row (one head of one query) besides its products, its keys and its channels, see
/// [`AttentionUnit::row_cycles`].
pub const ROW_CYCLES: usize = 32 + dequantize::LATENCY + exp::LATENCY + units::LATENCY;
/// Cycles of the whole besides its tokens and its rows.
pub const FIXED_CYCLES: usize = 6 + dequantize::LATENCY + quantize::LATENCY;

/// Size and constants of an attention unit. A layer's constants are those of the number in its program
/// word.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttentionUnit {
    /// Queries.
    pub queries: usize,
    /// Keys, and values.
    pub keys: usize,
    /// Heads.
    pub heads: usize,
    /// Channels of a head.
    pub width: usize,
    /// Products per cycle (`K`), a divisor of the head's channels and of a word's; at most 8.
    pub parallel: usize,
    /// Constants, by number.
    #[serde(skip)]
    pub constants: Vec<AttentionConstants>,
}

/// A set of constants of an attention unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionConstants {
    /// Zero points of queries, keys and values.
    pub zero_points: [i32; 3],
    /// Factors.
    pub rule: AttentionRule,
}

impl AttentionUnit {
    /// Cycles from one row to the next.
    pub fn row_cycles(&self) -> usize {
        let groups = self.width / self.parallel;
        let levels = self.parallel.next_power_of_two().trailing_zeros() as usize;
        let doubling = self.keys.next_power_of_two().trailing_zeros() as usize;
        // scores, weights, reciprocal, contexts
        (self.keys * groups + levels)
            + self.keys
            + doubling
            + ((groups - 1) * self.keys.max(self.parallel) + self.keys + self.parallel)
            + ROW_CYCLES
    }

    /// The unit's modules; `attention_unit` is the last one. They need `delay_line`, `sum_tree`,
    /// `word_select`, `lstm_writer` and blocks of the FP16 lane besides; `word` are the bytes of an
    /// activation word.
    ///
    /// # Errors
    /// A template does not render; that is a defect of the template.
    pub fn render(&self, word: usize) -> Result<Vec<VerilogModule>, tera::Error> {
        let text = render(include_str!("attention_unit.v.tera"), &self.context(word)?)?;
        Ok(vec![
            module("attention_loader", include_str!("attention_loader.v")),
            module("attention_unit", &text),
        ])
    }

    fn context(&self, word: usize) -> Result<Context, tera::Error> {
        let mut context = Context::from_serialize(self)?;
        let head_groups = self.width / self.parallel;
        let token_groups = self.heads * head_groups;
        let query_groups = self.queries * token_groups;
        let value_groups = 2 * self.keys * token_groups;
        let (query_width, value_width) = (index_bits(query_groups), index_bits(value_groups));
        let doubling = self.keys.next_power_of_two().trailing_zeros() as usize;
        let weights = 3 + dequantize::LATENCY + exp::LATENCY + units::LATENCY;
        for (name, value) in [
            ("word", word),
            ("channels", self.heads * self.width),
            ("rows", self.queries * self.heads),
            ("tokens", self.queries + 2 * self.keys),
            ("head_groups", head_groups),
            ("token_groups", token_groups),
            ("query_groups", query_groups),
            ("value_groups", value_groups),
            (
                "levels",
                self.parallel.next_power_of_two().trailing_zeros() as usize,
            ),
            ("query_width", query_width),
            ("value_width", value_width),
            ("key_width", index_bits(self.keys)),
            ("place_width", index_bits(word / self.parallel)),
            ("pause", self.parallel.saturating_sub(self.keys)),
            // 17 bits of the quotient, as many more as the sum has, and one cycle to start
            ("divide_cycles", 18 + doubling),
            ("weight_latency", weights),
            (
                "context_latency",
                1 + dequantize::LATENCY + quantize::LATENCY,
            ),
            ("row_cycles", self.row_cycles()),
        ] {
            context.insert(name, &value);
        }
        let address = |width: usize, value: usize| format!("{width}'d{}", value % (1 << width));
        context.insert("query_head", &address(query_width, head_groups));
        for (name, value) in [
            ("token", token_groups),
            ("head", head_groups),
            ("values", self.keys * token_groups),
            ("next_key", token_groups - head_groups + 1),
            ("next_group", 1),
        ] {
            context.insert(name, &address(value_width, value));
        }
        self.choose(&mut context);
        Ok(context)
    }

    /// The constants as numbers or registers.
    fn choose(&self, context: &mut Context) {
        let mut chosen = Chosen::new(&self.constants, context);
        let all = &mut chosen;
        signed(all, "query_zero", 9, |c| c.zero_points[0]);
        signed(all, "key_zero", 9, |c| c.zero_points[1]);
        signed(all, "value_zero", 9, |c| c.zero_points[2]);
        multiplier(all, "score_multiplier", |c| c.rule.score.multiplier);
        signed(all, "score_exponent", 7, |c| c.rule.score.exponent);
        multiplier(all, "output_multiplier", |c| {
            c.rule.output.factor.multiplier
        });
        signed(all, "output_exponent", 7, |c| c.rule.output.factor.exponent);
        signed(all, "output_zero", 8, |c| c.rule.output.zero_point);
        chosen.finish();
    }
}

type All<'a> = Chosen<'a, AttentionConstants>;

/// A constant for text and header.
fn signed(all: &mut All, name: &str, width: usize, value: fn(&AttentionConstants) -> i32) {
    all.signed(name, width, value);
    all.said(name, |c| value(c).into());
}

/// The same for a factor's multiplier.
fn multiplier(all: &mut All, name: &str, value: fn(&AttentionConstants) -> u32) {
    all.unsigned(name, 17, |c| value(c) as usize);
    all.said(name, |c| value(c).into());
}
