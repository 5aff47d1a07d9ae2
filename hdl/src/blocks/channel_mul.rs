//! Product of two int8 values in LUTs: the channel array's multiplier.

use super::booth::{self, Term};
use crate::VerilogModule;
use crate::typed::{Expr, Header, Module, concat, constant, signed, unsigned};

/// Cycles from `x` and `w` to `product_q` and `carry_q`.
pub const LATENCY: usize = 2;

/// Bits of an operand.
const OPERAND: u32 = 8;
/// Bits of a sum of two neighbouring digits' terms.
const PAIR: u32 = OPERAND + 4;

/// The block `channel_mul`: `x * w = product + carry`.
///
/// The carry is left to the accumulator's adder, which has one to spare.
pub fn module() -> Module {
    let mut m = Module::new(
        "channel_mul",
        Header {
            purpose: "product of two int8 values in LUTs (Booth, radix 4)".into(),
            equation: "x * w = product + carry".into(),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let [x, w] = ["x", "w"].map(|name| m.input(name, signed(OPERAND)));
    let zero = constant(unsigned(1), 0);
    m.section("1: terms of the weight's four digits, two and two");
    let terms: Vec<Term> = (0..OPERAND / 2)
        .map(|k| {
            let low = if k == 0 {
                zero.clone()
            } else {
                w.bit(2 * k - 1)
            };
            let bits = [&w.bit(2 * k + 1), &w.bit(2 * k), &low];
            booth::term(&mut m, &format!("term{k}"), &x, bits)
        })
        .collect();
    let pairs: Vec<Expr> = (0..2)
        .map(|i| pair(&mut m, i, &terms[2 * i], &terms[2 * i + 1]))
        .collect();
    let [carry0, carry2] = [0, 2].map(|k| m.register(&format!("carry{k}"), &terms[k].carry));
    m.section("2: product");
    let low = m.wire("low", &pairs[0].slice(4, PAIR - 4).as_signed());
    let sum = booth::add_carry(&mut m, "sum", [&low.extend(PAIR), &pairs[1]], &carry2);
    let product = concat(&[sum, pairs[0].slice(0, 4)]).as_signed();
    let product = m.register("product", &product);
    let carry = m.register("carry", &carry0);
    m.output(&product);
    m.output(&carry);
    m
}

/// `low + 4*(high + its carry)`, registered.
fn pair(m: &mut Module, index: usize, low: &Term, high: &Term) -> Expr {
    let width = PAIR - 2;
    let rest = m.wire(
        &format!("rest{index}"),
        &low.value.slice(2, low.value.ty().width - 2).as_signed(),
    );
    let operands = [&rest.extend(width), &high.value.extend(width)];
    let upper = booth::add_carry(m, &format!("upper{index}"), operands, &high.carry);
    let sum = concat(&[upper, low.value.slice(0, 2)]).as_signed();
    m.register(&format!("pair{index}"), &sum)
}

/// The printed block.
pub fn build() -> VerilogModule {
    module().build()
}
