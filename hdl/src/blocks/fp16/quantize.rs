//! FP16 to int8 with a scale and zero point: [`macforge_numeric::Fp16Quantizer`].

use super::round::EXPONENT;
use super::{BITS, fields, shifter};
use crate::typed::{Header, Module, concat, constant, mux, signed, unsigned};
use macforge_numeric::Fp16Factor;

/// Cycles from `x` to `q_q`.
pub const LATENCY: usize = 7;
/// Bits of a significand times the multiplier.
const PRODUCT: u32 = 11 + Fp16Factor::BITS;

/// The block `fp16_quantize`: `q_q` is the int8 of `x`, `saturated_q` says that it was cut.
pub fn module() -> Module {
    let mut m = Module::new(
        "fp16_quantize",
        Header {
            purpose: "an FP16 number divided by a scale, as int8".into(),
            equation: "q = clamp(round(x * multiplier * 2^exponent) + zero_point), half to even;\n\
                       NaN gives zero_point"
                .into(),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let x = m.input("x", BITS);
    let multiplier = m.input("multiplier", unsigned(Fp16Factor::BITS));
    let exponent = m.input("exponent", signed(7));
    let zero_point = m.input("zero_point", signed(8));
    m.section("1: fields; places behind the point: 25 - field - exponent");
    let f = fields(&x);
    let significand = m.wire("significand_bits", &f.significand);
    let field = m.wire("field", &f.exponent);
    let significand = m.register("significand", &significand.extend(12).as_signed());
    let wide = Fp16Factor::BITS + 1;
    let multiplier = m.register("multiplier", &multiplier.extend(wide).as_signed());
    let point = constant(signed(EXPONENT), 25);
    let field = field.extend(EXPONENT).as_signed();
    let places = point.minus(&field).minus(&exponent.extend(EXPONENT));
    let places = m.register("places", &places);
    let negative = m.register("negative", &f.sign);
    let nan = m.register("nan", &f.nan);
    let infinite = m.register("infinite", &f.infinite);

    m.section("2: product; without places it is far outside of int8, or zero");
    let product = m.register("product", &significand.times(&multiplier));
    let far = infinite.or(&places.sign().and(&significand.as_unsigned().any()));
    let far = m.register("far", &far);
    let many = places.slice(5, EXPONENT - 6).any();
    let all = constant(unsigned(5), 31);
    let places = m.register("places2", &mux(&many, &all, &places.slice(0, 5)));
    let negative = m.register("negative2", &negative);
    let nan = m.register("nan2", &nan);

    m.section("3, 4: shift, one bit kept for the rounding");
    m.unused(&product.slice(PRODUCT, 2));
    let zero = constant(unsigned(1), 0);
    let wide = concat(&[product.slice(0, PRODUCT), zero.clone()]);
    let (value, lost) = shifter(&mut m, "coarse", &wide, &places, &[16, 8, 4], &zero);
    let value = m.register("coarse", &value);
    let lost = m.register("coarse_lost", &lost);
    let places = m.register("places3", &places.slice(0, 2));
    let (value, lost) = shifter(&mut m, "fine", &value, &places, &[2, 1], &lost);
    let value = m.register("fine", &value);
    let lost = m.register("fine_lost", &lost);
    let [far, negative, nan] = [("far", far), ("negative", negative), ("nan", nan)]
        .map(|(name, x)| m.delay(&format!("{name}_wait"), &x, 2));

    m.section("5: half to even");
    let up = value.bit(0).and(&lost.or(&value.bit(1)));
    let up = concat(&[constant(unsigned(9), 0), up]);
    let magnitude = m.register("rounded", &value.slice(1, 9).extend(10).plus(&up));
    let far = m.register("far5", &far.or(&value.slice(10, PRODUCT - 9).any()));
    let negative = m.register("negative5", &negative);
    let nan = m.register("nan5", &nan);

    m.section("6: sign, zero point; NaN counts as zero");
    let limit = constant(unsigned(10), 512);
    let magnitude = m.wire("limited", &mux(&far, &limit, &magnitude));
    let magnitude = m.wire("wide", &magnitude.extend(12).as_signed());
    let none = constant(signed(12), 0);
    let value = mux(&negative, &none.minus(&magnitude), &magnitude);
    let value = mux(&nan, &none, &value);
    let value = m.register("value", &value.plus(&zero_point.extend(12)));

    m.section("7: int8");
    let byte = |v: i128| constant(signed(8), v);
    let outside = value.slice(7, 5).any().and(&value.slice(7, 5).all().not());
    let limit = mux(&value.sign(), &byte(-128), &byte(127));
    let q = m.register("q", &mux(&outside, &limit, &value.slice(0, 8).as_signed()));
    let saturated = m.register("saturated", &outside);
    m.output(&q);
    m.output(&saturated);
    m
}
