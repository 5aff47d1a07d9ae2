//! The FP16 lane: IEEE binary16 with subnormal numbers, as [`macforge_numeric::Fp16`] states it.
//!
//! | block | computes | cycles |
//! | --- | --- | --- |
//! | [`add`] | sum | [`add::LATENCY`] |
//! | [`mul`] | product | [`mul::LATENCY`] |
//! | [`dequantize`] | int32 times a factor | [`dequantize::LATENCY`] |
//! | [`quantize`] | int8 of a number times a factor | [`quantize::LATENCY`] |
//! | [`exp`] | exponential | [`exp::LATENCY`] |
//! | [`reciprocal`] | reciprocal | [`reciprocal::LATENCY`] |
//! | [`compare`] | order, maximum, minimum | [`compare::LATENCY`] |
//! | [`units`] | integer of a number from zero to one | [`units::LATENCY`] |
//!
//! No design has reciprocal and order yet. All but `quantize`, `compare` and `units` end in the same
//! rounding pipeline. All accept new operands every cycle.

pub mod add;
pub mod compare;
pub mod dequantize;
pub mod exp;
pub mod mul;
pub mod quantize;
pub mod reciprocal;
mod round;
pub mod units;

use crate::VerilogModule;
use crate::typed::{Expr, Module, Type, concat, constant, mux, unsigned};
use macforge_numeric::Fp16;

/// The blocks of an LSTM.
pub fn build() -> Vec<VerilogModule> {
    [
        add::module(),
        mul::module(),
        dequantize::module(),
        quantize::module(),
    ]
    .map(|m| m.build())
    .into()
}

/// The blocks of attention.
pub fn attention() -> Vec<VerilogModule> {
    [
        dequantize::module(),
        exp::module(),
        units::module(),
        quantize::module(),
    ]
    .map(|m| m.build())
    .into()
}

/// Type of the bits of a number.
const BITS: Type = unsigned(16);

/// A constant number's bits.
fn bits(x: Fp16) -> Expr {
    constant(BITS, x.to_bits().into())
}

/// Fields of a number; what they say about its class.
struct Fields {
    /// Sign bit.
    sign: Expr,
    /// Hidden bit and fraction: 11 bits.
    significand: Expr,
    /// Exponent field, one for subnormal numbers too: the magnitude is
    /// `significand * 2^(exponent - 25)`.
    exponent: Expr,
    /// One of the infinities.
    infinite: Expr,
    /// Not a number.
    nan: Expr,
}

/// Takes a number's bits apart; `x` is a signal.
fn fields(x: &Expr) -> Fields {
    let (exponent, fraction) = (x.slice(10, 5), x.slice(0, 10));
    let normal = exponent.any();
    let special = exponent.all();
    let one = constant(unsigned(5), 1);
    Fields {
        sign: x.bit(15),
        significand: concat(&[normal.clone(), fraction.clone()]),
        exponent: mux(&normal, &exponent, &one),
        infinite: special.and(&fraction.any().not()),
        nan: special.and(&fraction.any()),
    }
}

/// One stage of a right shifter: by `places` where `select` is set; what falls out is added to
/// `sticky`. `x` is an unsigned signal.
fn shift(x: &Expr, select: &Expr, places: u32, sticky: &Expr) -> (Expr, Expr) {
    let width = x.ty().width;
    let gone = places.min(width);
    let zeros = constant(unsigned(gone), 0);
    let moved = match gone == width {
        true => zeros,
        false => concat(&[zeros, x.slice(gone, width - gone)]),
    };
    let lost = x.slice(0, gone).any().and(select);
    (mux(select, &moved, x), sticky.or(&lost))
}

/// Shifts of the steps' widths, largest first, as bits of `amount` select them; named wires.
fn shifter(
    m: &mut Module,
    name: &str,
    x: &Expr,
    amount: &Expr,
    steps: &[u32],
    sticky: &Expr,
) -> (Expr, Expr) {
    let mut value = m.wire(&format!("{name}_in"), x);
    let mut lost = sticky.clone();
    for &step in steps {
        let select = amount.bit(step.trailing_zeros());
        let (next, more) = shift(&value, &select, step, &lost);
        value = m.wire(&format!("{name}_{step}"), &next);
        lost = m.wire(&format!("{name}_{step}_lost"), &more);
    }
    (value, lost)
}
