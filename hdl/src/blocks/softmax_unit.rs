//! TFLite's int8 softmax of a vector: the arithmetic of [`SoftmaxRule`].
//!
//! Three passes over the vector (maximum, sum of exponentials, outputs), one element per cycle
//! each, and between the last two the reciprocal of the sum by three Newton-Raphson steps. All
//! products go through one pipelined multiplier, `high_product`; the exponentials are a
//! table, `softmax_exp`, because a difference of two int8 has 256 values.

use super::high_product;
use crate::engine::constants;
use crate::typed::{Header, Module, constant, mux, unsigned};
use crate::{HdlError, VerilogModule};
use macforge_numeric::SoftmaxRule;
use tera::{Context, Tera};

/// Longest vector.
pub const MAX_LENGTH: usize = 1024;
/// Products of the reciprocal: one for the first guess, two for each of three steps.
const RECIPROCAL_PRODUCTS: usize = 7;

/// Most cycles from `start` to `done_q` apart from three per element, for a read latency.
pub const fn overhead(read_latency: usize) -> usize {
    let normalize = 11;
    let reciprocal = RECIPROCAL_PRODUCTS * (high_product::LATENCY + 1);
    3 * (read_latency + 1) + 8 + normalize + reciprocal + high_product::LATENCY
}

/// The modules of the softmax unit, `softmax_unit` last. Of several rules, input `constants` says the number
/// of the vector's.
///
/// `rd_data` is expected `read_latency` (at least 1) cycles after `rd_en_q`.
///
/// # Errors
/// A read latency of zero.
pub fn build(rules: &[SoftmaxRule], read_latency: usize) -> Result<Vec<VerilogModule>, HdlError> {
    if read_latency == 0 {
        let (block, what) = ("softmax_unit", "a read latency");
        return Err(HdlError::Width {
            block,
            what,
            found: 0,
            wanted: "1 or more",
        });
    }
    let mut context = Context::new();
    context.insert("read_latency", &read_latency);
    context.insert("constants_width", &constants::width(rules.len()));
    context.insert("multiplier_latency", &high_product::LATENCY);
    context.insert("last_product", &(RECIPROCAL_PRODUCTS - 1));
    let text = Tera::one_off(include_str!("softmax_unit.v.tera"), &context, false)?;
    let unit = VerilogModule {
        name: "softmax_unit".to_owned(),
        text,
    };
    Ok(vec![
        high_product::module().build(),
        exponential(rules).build(),
        unit,
    ])
}

/// `exp(-d * scale)` in Q0.31 for a difference `d`; of several rules, for the one of the number `constants`.
pub fn exponential(rules: &[SoftmaxRule]) -> Module {
    let mut m = Module::new(
        "softmax_exp",
        Header {
            purpose: "exponential of a difference to the maximum, by a table".into(),
            equation: "e = exp(-d * beta * scale) in Q0.31, as gemmlowp rounds it".into(),
            latency: "1; initiation interval 1; never stalls".into(),
        },
    );
    let number = match constants::width(rules.len()) {
        0 => None,
        width => Some(m.input("constants", unsigned(width as u32))),
    };
    let d = m.input("d", unsigned(8));
    // a table each: as one they would become a block RAM, whose output is late
    let mut table = |name: &str, rule: &SoftmaxRule| {
        let words = rule.exp_table().map(i128::from);
        m.table(name, &d, unsigned(31), &words)
    };
    let e = match number {
        None => table("e", &rules[0]),
        Some(number) => {
            let numbered = rules.iter().enumerate();
            let tables = numbered.map(|(n, rule)| (n, table(&format!("e{n}"), rule)));
            let tables: Vec<_> = tables.collect();
            let choice = tables.into_iter().reduce(|(_, others), (n, own)| {
                let own_number = constant(number.ty(), n as i128);
                (n, mux(&number.equals(&own_number), &own, &others))
            });
            choice.expect("a softmax unit has a rule").1
        }
    };
    let e = m.register("e", &e);
    m.output(&e);
    m
}
