//! Product of two numbers: [`macforge_numeric::Fp16::times`].

use super::round::{self, EXPONENT, Exact};
use super::{BITS, fields};
use crate::typed::{Header, Module, constant};

/// Cycles from the operands to `y_q`.
pub const LATENCY: usize = 3 + round::latency(PRODUCT);
/// Bits of the product of the significands.
const PRODUCT: u32 = 22;

/// The block `fp16_mul`: `y_q = a * b`, with one DSP.
pub fn module() -> Module {
    let mut m = Module::new(
        "fp16_mul",
        Header {
            purpose: "product of two FP16 numbers, subnormal ones included".into(),
            equation: "y = a * b, to nearest even; NaN is 7e00".into(),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let a = m.input("a", BITS);
    let b = m.input("b", BITS);
    m.section("1: fields");
    let (fa, fb) = (fields(&a), fields(&b));
    let zero_a = m.wire("zero_a", &a.slice(0, 15).any().not());
    let zero_b = m.wire("zero_b", &b.slice(0, 15).any().not());
    let no_value = (fa.infinite.and(&zero_b)).or(&fb.infinite.and(&zero_a));
    let nan = m.register("nan", &fa.nan.or(&fb.nan).or(&no_value));
    let infinite = m.register("infinite", &fa.infinite.or(&fb.infinite));
    let negative = m.register("negative", &fa.sign.xor(&fb.sign));
    let significand_a = m.wire("significand_a", &fa.significand);
    let significand_b = m.wire("significand_b", &fb.significand);
    let exponent_a = m.wire("exponent_a", &fa.exponent);
    let exponent_b = m.wire("exponent_b", &fb.exponent);
    let one = m.register("one", &significand_a.extend(12).as_signed());
    let other = m.register("other", &significand_b.extend(12).as_signed());
    let sum = exponent_a
        .extend(EXPONENT)
        .plus(&exponent_b.extend(EXPONENT));
    let sum = m.register("exponents", &sum.as_signed());

    m.section("2, 3: product; the exponent of its last bit");
    let product = m.register("product", &one.times(&other));
    let bias = constant(sum.ty(), 2 * 25);
    let exponent = m.register("last_exponent", &sum.minus(&bias));
    let known = m.register("known_product", &round::known(&nan, &negative));
    let special = m.register("special_product", &nan.or(&infinite));
    let negative = m.register("negative2", &negative);
    let product = m.register("product2", &product);
    m.unused(&product.slice(PRODUCT, 2));
    let special = m.register("special_product2", &special);
    let known = m.register("known_product2", &known);
    let exact = Exact {
        negative: m.register("negative3", &negative),
        magnitude: m.wire("magnitude", &product.slice(0, PRODUCT)),
        exponent: m.register("last_exponent2", &exponent),
        special: Some((special, known)),
    };
    round::finish(&mut m, &exact, 4);
    m
}
