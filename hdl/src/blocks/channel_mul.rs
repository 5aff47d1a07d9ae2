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
    let pairs = [
        pair(&mut m, 0, [&terms[0], &terms[1]], signs_spread),
        pair(&mut m, 1, [&terms[2], &terms[3]], signs_inverted),
    ];
    let [carry0, carry2] = [0, 2].map(|k| m.register(&format!("carry{k}"), &terms[k].carry));
    m.section("2: product");
    let low = m.wire("low", &pairs[0].slice(4, PAIR - 4).as_signed());
    // the 256 that the upper pair is short of: 0 or -1 over the sign become 1 or 0
    let sign = low.bit(PAIR - 5);
    let low = concat(&[constant(unsigned(3), 0), sign.not(), low.as_unsigned()]);
    let sum = booth::add_carry(&mut m, "sum", [&low, &pairs[1]], &carry2);
    let product = concat(&[sum, pairs[0].slice(0, 4)]).as_signed();
    let product = m.register("product", &product);
    let carry = m.register("carry", &carry0);
    m.output(&product);
    m.output(&carry);
    m
}

/// `low + 4*(high + its carry)`, registered, as `signs` has its upper bits.
fn pair(
    m: &mut Module,
    index: usize,
    [low, high]: [&Term; 2],
    signs: fn([&Expr; 2]) -> [Expr; 2],
) -> Expr {
    let rest = m.wire(
        &format!("rest{index}"),
        &low.value.slice(2, low.value.ty().width - 2).as_signed(),
    );
    let [rest, high_value] = signs([&rest, &high.value]);
    let upper = booth::add_carry(
        m,
        &format!("upper{index}"),
        [&rest, &high_value],
        &high.carry,
    );
    let sum = concat(&[upper, low.value.slice(0, 2)]).as_signed();
    m.register(&format!("pair{index}"), &sum)
}

/// Both operands of a pair's sum with their signs in all upper bits.
fn signs_spread(operands: [&Expr; 2]) -> [Expr; 2] {
    operands.map(|o| o.extend(PAIR - 2))
}

/// The same with inverted signs, which need not be spread over LUTs of their own: 64 and 256 too much, and with
/// 640 in the bits that are left over the sum is 64 short, the pair 256 (modulo its width).
fn signs_inverted([rest, term]: [&Expr; 2]) -> [Expr; 2] {
    let inverted = |o: &Expr| {
        let sign = o.ty().width - 1;
        concat(&[o.bit(sign).not(), o.slice(0, sign).as_unsigned()])
    };
    let upper = constant(unsigned(3), 0b101);
    let zero = constant(unsigned(1), 0);
    [
        concat(&[upper, inverted(rest)]),
        concat(&[zero, inverted(term)]),
    ]
}

/// The printed block.
pub fn build() -> VerilogModule {
    module().build()
}
