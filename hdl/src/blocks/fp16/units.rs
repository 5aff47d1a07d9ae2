//! A number from zero to one as an integer: [`macforge_numeric::Fp16::in_units`].

use super::{BITS, fields, shifter};
use crate::typed::{Header, Module, concat, constant, unsigned};
use macforge_numeric::AttentionRule;

/// Cycles from `x` to `y_q`.
pub const LATENCY: usize = 3;
/// Bits of the result.
const UNITS: u32 = AttentionRule::WEIGHT_BITS + 1;

/// The block `fp16_units`: `y_q = x * 2^14`, for an `x` from zero to one.
pub fn module() -> Module {
    let mut m = Module::new(
        "fp16_units",
        Header {
            purpose: "an FP16 number from zero to one in units of 2^-14".into(),
            equation: "y = round(x * 2^14), half to even".into(),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let x = m.input("x", BITS);
    m.section("1: fields; one has field 15 and all places");
    let f = fields(&x);
    let significand = m.wire("significand_bits", &f.significand);
    let significand = m.register("significand", &significand);
    let field = m.wire("field", &f.exponent);
    m.unused(&field.bit(4));
    m.unused(&f.sign);
    let most = constant(unsigned(4), 15);
    let places = m.register("places", &most.minus(&field.slice(0, 4)));

    m.section("2: shift, one bit kept for the rounding");
    let zero = constant(unsigned(1), 0);
    let wide = concat(&[significand, constant(unsigned(UNITS + 1 - 11), 0)]);
    let (value, lost) = shifter(&mut m, "shifted", &wide, &places, &[8, 4, 2, 1], &zero);
    let value = m.register("shifted", &value);
    let lost = m.register("lost", &lost);

    m.section("3: half to even");
    let up = value.bit(0).and(&lost.or(&value.bit(1)));
    let up = concat(&[constant(unsigned(UNITS - 1), 0), up]);
    let y = m.register("y", &value.slice(1, UNITS).plus(&up));
    m.output(&y);
    m
}
