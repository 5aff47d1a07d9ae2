//! int32 to FP16 with a scale: [`macforge_numeric::Fp16Factor::dequantize`].

use super::round::{self, EXPONENT, Exact};
use crate::typed::{Header, Module, concat, constant, mux, signed, unsigned};
use macforge_numeric::Fp16Factor;

/// Cycles from the operands to `y_q`.
pub const LATENCY: usize = 3 + round::latency(PRODUCT);
/// Bits of a magnitude of 32 bits times the multiplier.
const PRODUCT: u32 = 32 + LOW;
/// Bits of the multiplier, and of the accumulator's low part.
const LOW: u32 = Fp16Factor::BITS;

/// The block `fp16_dequantize`: `y_q = acc * multiplier * 2^exponent`, with two DSPs.
pub fn module() -> Module {
    let mut m = Module::new(
        "fp16_dequantize",
        Header {
            purpose: "an int32 accumulator times its scale, as FP16".into(),
            equation: "y = acc * multiplier * 2^exponent, rounded once, to nearest even".into(),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let acc = m.input("acc", signed(32));
    let multiplier = m.input("multiplier", unsigned(LOW));
    let exponent = m.input("exponent", signed(7));
    m.section("1: magnitude");
    let minus = constant(signed(32), 0).minus(&acc);
    let magnitude = mux(&acc.sign(), &minus, &acc).as_unsigned();
    let magnitude = m.register("acc_magnitude", &magnitude);
    let negative = m.register("negative", &acc.sign());
    let multiplier = m.register("multiplier", &multiplier.extend(LOW + 1).as_signed());
    let exponent = m.register("exponent", &exponent.extend(EXPONENT));

    m.section("2: products with 17 low and 15 high bits");
    let low = magnitude.slice(0, LOW).extend(LOW + 1).as_signed();
    let high = magnitude.slice(LOW, 32 - LOW).extend(33 - LOW).as_signed();
    let low = m.register("low", &low.times(&multiplier));
    let high = m.register("high", &high.times(&multiplier));
    let negative = m.register("negative2", &negative);
    let exponent = m.register("exponent2", &exponent);

    m.section("3: their sum");
    let high_units = concat(&[high.slice(0, 32), constant(unsigned(LOW), 0)]);
    m.unused(&high.slice(32, 2));
    m.unused(&low.slice(2 * LOW, 2));
    let sum = high_units.plus(&low.slice(0, 2 * LOW).extend(PRODUCT));
    let exact = Exact {
        magnitude: m.register("product", &sum),
        negative: m.register("negative3", &negative),
        exponent: m.register("exponent3", &exponent),
        special: None,
    };
    round::finish(&mut m, &exact, 4);
    m
}
