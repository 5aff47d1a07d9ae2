//! Exponential: [`macforge_numeric::Fp16::exp`].

use super::round::{self, EXPONENT, Exact};
use super::{BITS, bits, fields, shifter};
use crate::typed::{Header, Module, concat, constant, mux, signed, unsigned};
use macforge_numeric::fp16::EXP_LOG2E;
use macforge_numeric::{Fp16, Fp16Tables};

/// Cycles from `x` to `y_q`.
pub const LATENCY: usize = 7 + round::latency(WORD);
/// Bits of a significand of the result, three zeros behind it.
const WORD: u32 = 14;
/// Bits of `log2(e) * 2^20`.
const FACTOR: u32 = 21;

/// The block `fp16_exp`: `y_q = e^x`, with one DSP.
pub fn module() -> Module {
    let mut m = Module::new(
        "fp16_exp",
        Header {
            purpose: "exponential of an FP16 number, by a table of 2,048 words".into(),
            equation: format!(
                "t = round(x * {EXP_LOG2E} / 2^9), half away from zero\n\
                 y = round(2^(t mod 2^11 / 2^11) * 2^10) * 2^(floor(t / 2^11) - 10)"
            ),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let x = m.input("x", BITS);
    m.section("1: fields; from 32 on the result is infinite or zero");
    let f = fields(&x);
    let limit = constant(unsigned(15), 0x5000);
    let far = m.wire("far", &x.slice(0, 15).less(&limit).not());
    let zero = bits(Fp16::ZERO);
    let known = mux(&f.sign, &zero, &bits(Fp16::INFINITY));
    let known = m.register("x_known", &mux(&f.nan, &bits(Fp16::NAN), &known));
    let special = m.register("x_special", &far);
    let negative = m.register("x_negative", &f.sign);
    let significand = m.wire("x_bits", &f.significand);
    let significand = m.register("x_significand", &significand.extend(12).as_signed());
    // below 32 the field is at most 19; places behind the half: 33 - field
    let field = m.wire("x_field", &f.exponent);
    let places = constant(unsigned(6), 33).minus(&field.extend(6));
    let places = m.register("places", &places);

    m.section("2: product");
    let factor = constant(signed(FACTOR + 1), EXP_LOG2E.into());
    let product = m.register("product", &significand.times(&factor));
    m.unused(&product.slice(32, 2));
    let places = m.register("places2", &places);

    m.section("3: shift, one bit kept for the rounding");
    let none = constant(unsigned(1), 0);
    let bits32 = m.wire("product_bits", &product.slice(0, 32));
    let (value, lost) = shifter(
        &mut m,
        "scaled",
        &bits32,
        &places,
        &[32, 16, 8, 4, 2, 1],
        &none,
    );
    m.unused(&lost);
    let value = m.register("scaled", &value);

    m.section("4: half away from zero");
    m.unused(&value.slice(18, 14));
    let one = constant(unsigned(18), 1);
    let rounded = m.wire("rounded_twice", &value.slice(0, 18).plus(&one));
    m.unused(&rounded.bit(0));
    let magnitude = m.register("t_magnitude", &rounded.slice(1, 17).extend(18).as_signed());

    m.section("5: sign");
    let negative = m.delay("x_negative", &negative, 3);
    let minus = constant(signed(18), 0).minus(&magnitude);
    let t = m.register("t", &mux(&negative, &minus, &magnitude));

    m.section("6, 7: power of the fraction; the integer part is the exponent");
    let words: Vec<i128> = Fp16Tables::new().exp.iter().map(|&w| w.into()).collect();
    let fraction = m.wire("t_fraction", &t.slice(0, 11));
    let power = m.table("power", &fraction, unsigned(10), &words);
    let power = m.register("power", &power);
    let whole = m.wire("t_whole", &t.slice(11, 7).as_signed());
    let exponent = whole
        .extend(EXPONENT)
        .minus(&constant(signed(EXPONENT), 13));
    let exponent = m.register("t_exponent", &exponent);
    let hidden = constant(unsigned(1), 1);
    let word = concat(&[hidden, power, constant(unsigned(3), 0)]);
    let exact = Exact {
        magnitude: m.register("magnitude", &word),
        exponent: m.register("t_exponent2", &exponent),
        negative: constant(unsigned(1), 0),
        special: Some((
            m.delay("x_special", &special, 6),
            m.delay("x_known", &known, 6),
        )),
    };
    round::finish(&mut m, &exact, 8);
    m
}
