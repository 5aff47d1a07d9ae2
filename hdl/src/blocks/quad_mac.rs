//! Four multiply-accumulates of 4-bit numbers in one DSP48E1: two weights meet two activations
//! ([`macforge_numeric::quad_packing`]).

use super::packed_mac::{ACCUMULATOR, OPERAND, dsp_stages};
use crate::VerilogModule;
use crate::typed::{Expr, Header, Module, concat, constant, repeat, signed, unsigned};
use macforge_numeric::quad_packing::{ACTIVATIONS_BITS, FIELD_BITS, OPERAND_BITS, WEIGHT_SHIFT};

pub use super::packed_mac::LATENCY;

/// The cells of the array, in the order of their dependence.
pub fn build() -> [VerilogModule; 3] {
    [operand(), mac(), split()].map(|m| m.build())
}

/// The cell `quad_operand`, combinational: two activations side by side.
///
/// One less where the lower one is negative is said bit by bit: each is a function of at most five
/// inputs, and needs no carry chain.
pub fn operand() -> Module {
    let mut m = Module::new(
        "quad_operand",
        Header {
            purpose: "two 4-bit activations side by side, for quad_mac".into(),
            equation: format!("a = a1*2^{FIELD_BITS} + a0"),
            latency: "0 (combinational)".into(),
        },
    );
    let [a1, a0] = ["a1", "a0"].map(|name| m.input(name, signed(OPERAND_BITS)));
    // a1 - 1 inverts every bit up to the lowest one that is set
    let negative = m.wire("negative", &a0.sign());
    let mut borrow = negative.clone();
    let mut bits: Vec<Expr> = Vec::new();
    for index in 0..OPERAND_BITS {
        bits.push(m.wire(&format!("high{index}"), &a1.bit(index).xor(&borrow)));
        borrow = m.wire(&format!("borrow{index}"), &borrow.and(&a1.bit(index).not()));
    }
    bits.push(m.wire("sign", &a1.sign().xor(&borrow)));
    bits.reverse();
    bits.push(repeat(&negative, FIELD_BITS - OPERAND_BITS));
    bits.push(a0.as_unsigned());
    let a = m.wire("a", &concat(&bits).as_signed());
    m.output(&a);
    m
}

/// The cell `quad_mac`: `p = pcin + (w1 * 2^20 + w0) * a`.
///
/// It is written so that synthesis finds the pre-adder (`w1`, `w0`), all pipeline registers and, where
/// `p_q` feeds the next cell's `pcin`, the cascade of one DSP48E1.
pub fn mac() -> Module {
    let mut m = Module::new(
        "quad_mac",
        Header {
            purpose: "four 4-bit multiply-accumulates in one DSP48E1: two weights, two activations"
                .into(),
            equation: format!("p = pcin + (w1*2^{WEIGHT_SHIFT} + w0) * a; a from quad_operand"),
            latency: "4 from w1, w0, a; 1 from pcin; initiation interval 1; never stalls".into(),
        },
    );
    dsp_stages(
        &mut m,
        [signed(OPERAND_BITS), signed(ACTIVATIONS_BITS)],
        |w1, w0| {
            let high = w1.extend(OPERAND - WEIGHT_SHIFT).shifted_left(WEIGHT_SHIFT);
            high.plus(&w0.extend(OPERAND))
        },
    );
    m
}

/// The cell `quad_split`, combinational: the four sums of a chain of `quad_mac` that began with
/// [`macforge_numeric::quad_packing::START`].
pub fn split() -> Module {
    let mut m = Module::new(
        "quad_split",
        Header {
            purpose: "the four sums in the accumulator of a chain of quad_mac".into(),
            equation: format!(
                "fields of {FIELD_BITS} bits from bit 0 up: w0*a0, w0*a1, w1*a0, less half a field \
                 each; w1*a1"
            ),
            latency: "0 (combinational)".into(),
        },
    );
    let p = m.input("p", signed(ACCUMULATOR));
    let half = constant(unsigned(FIELD_BITS), 1 << (FIELD_BITS - 1));
    for (index, name) in ["w0a0", "w0a1", "w1a0", "w1a1"].into_iter().enumerate() {
        let field = p.slice(index as u32 * FIELD_BITS, FIELD_BITS);
        // the three lower fields begin with half a field, which is their top bit inverted
        let value = if index < 3 { field.xor(&half) } else { field };
        let sum = m.wire(name, &value.as_signed());
        m.output(&sum);
    }
    m.unused(&p.slice(4 * FIELD_BITS, ACCUMULATOR - 4 * FIELD_BITS));
    m
}
