//! Reciprocal: [`macforge_numeric::Fp16::reciprocal`].
//!
//! The significand is normalized, a table gives its reciprocal with four bits more than FP16 keeps
//! and a last bit for all that follow, and the common rounding does the rest.

use super::round::{self, EXPONENT, Exact};
use super::{BITS, bits, fields};
use crate::typed::{Header, Module, concat, constant, mux, unsigned};
use macforge_numeric::{Fp16, Fp16Tables};

/// Cycles from `x` to `y_q`.
pub const LATENCY: usize = 4 + round::latency(WORD);
/// Bits of a table's word.
const WORD: u32 = 15;

/// The block `fp16_reciprocal`: `y_q = 1 / x`.
pub fn module() -> Module {
    let mut m = Module::new(
        "fp16_reciprocal",
        Header {
            purpose: "reciprocal of an FP16 number, by a table of 1,024 words".into(),
            equation: "y = 1 / x, to nearest even; of a zero it is infinite; NaN is 7e00".into(),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let x = m.input("x", BITS);
    m.section("1: fields");
    let f = fields(&x);
    let zero = m.wire("x_zero", &x.slice(0, 15).any().not());
    let special = m.register("x_special", &f.nan.or(&f.infinite).or(&zero));
    let infinity = concat(&[
        f.sign.clone(),
        constant(unsigned(15), Fp16::INFINITY.to_bits().into()),
    ]);
    let nothing = concat(&[f.sign.clone(), constant(unsigned(15), 0)]);
    let known = mux(&f.infinite, &nothing, &infinity);
    let known = m.register("x_known", &mux(&f.nan, &bits(Fp16::NAN), &known));
    let negative = m.register("x_negative", &f.sign);
    let significand = m.register("x_significand", &f.significand);
    let field = m.register("x_field", &f.exponent);

    m.section("2: a subnormal significand moves up");
    let mut value = significand;
    let mut places = None;
    for step in [8u32, 4, 2, 1] {
        let empty = m.wire(
            &format!("x_empty{step}"),
            &value.slice(11 - step, step).any().not(),
        );
        let moved = concat(&[value.slice(0, 11 - step), constant(unsigned(step), 0)]);
        value = m.wire(&format!("x_normal{step}"), &mux(&empty, &moved, &value));
        places = Some(match places {
            None => empty,
            Some(places) => concat(&[places, empty]),
        });
    }
    m.unused(&value.bit(10));
    let fraction = m.register("x_fraction", &value.slice(0, 10));
    let places = m.register("x_places", &places.expect("four steps"));
    let field = m.register("x_field2", &field);

    m.section("3, 4: reciprocal of the significand; it weighs 2^(1 - field + places)");
    let words: Vec<i128> = Fp16Tables::new()
        .reciprocal
        .iter()
        .map(|&w| w.into())
        .collect();
    let quotient = m.table("quotient", &fraction, unsigned(WORD), &words);
    let quotient = m.register("quotient", &quotient);
    let own = |x: &crate::typed::Expr| x.extend(EXPONENT).as_signed();
    // x = 1.fraction * 2^(field - 15 - places), the table's unit is 2^-14
    let one = constant(crate::typed::signed(EXPONENT), 15 - 14);
    let exponent = one.minus(&own(&field)).plus(&own(&places));
    let exponent = m.register("exponent3", &exponent);
    let exact = Exact {
        magnitude: m.register("magnitude", &quotient),
        exponent: m.register("exponent4", &exponent),
        negative: m.delay("x_negative", &negative, 3),
        special: Some((
            m.delay("x_special", &special, 3),
            m.delay("x_known", &known, 3),
        )),
    };
    round::finish(&mut m, &exact, 5);
    m
}
