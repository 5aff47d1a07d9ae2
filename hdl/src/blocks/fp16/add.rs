//! Sum of two numbers: [`macforge_numeric::Fp16::plus`].
//!
//! The smaller significand is shifted to the larger one's exponent with three bits more, of which
//! the last one keeps whether ones were lost. That is enough for one exact rounding: where more
//! than one leading zero appears, nothing was lost.

use super::round::{self, EXPONENT, Exact};
use super::{BITS, fields, shifter};
use crate::typed::{Header, Module, concat, constant, mux, unsigned};

/// Cycles from the operands to `y_q`.
pub const LATENCY: usize = 4 + round::latency(SUM);
/// Bits of the sum of the significands.
const SUM: u32 = 15;

/// The block `fp16_add`: `y_q = a + b`.
pub fn module() -> Module {
    let mut m = Module::new(
        "fp16_add",
        Header {
            purpose: "sum of two FP16 numbers, subnormal ones included".into(),
            equation: "y = a + b, to nearest even; NaN is 7e00".into(),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let a = m.input("a", BITS);
    let b = m.input("b", BITS);
    m.section("1: the larger magnitude goes first");
    let swap = m.wire("swap", &a.slice(0, 15).less(&b.slice(0, 15)));
    let large = m.register("large", &mux(&swap, &b, &a));
    let small = m.register("small", &mux(&swap, &a, &b));

    m.section("2: fields, distance of the exponents");
    let (l, s) = (fields(&large), fields(&small));
    let one = m.register("large_significand", &l.significand);
    let other = m.register("small_significand", &s.significand);
    let distance = m.register("distance", &l.exponent.minus(&s.exponent));
    let exponent = m.register("large_exponent", &l.exponent);
    let negative = m.register("large_negative", &l.sign);
    let differ = l.sign.xor(&s.sign);
    let subtract = m.register("subtract", &differ);
    // a NaN has the larger magnitude, and so has one of the infinities
    let nan = m.register("nan", &l.nan.or(&l.infinite.and(&s.infinite).and(&differ)));
    let special = m.register("not_finite", &l.nan.or(&l.infinite));

    m.section("3: alignment; the last bit stands for all that follow");
    let zero = constant(unsigned(1), 0);
    let three = constant(unsigned(3), 0);
    let wide = concat(&[other, three.clone()]);
    let (aligned, lost) = shifter(&mut m, "align", &wide, &distance, &[16, 8, 4, 2, 1], &zero);
    let last = concat(&[constant(unsigned(13), 0), lost]);
    let aligned = m.register("aligned", &aligned.or(&last));
    let one = m.register("large_significand2", &one);
    let exponent = m.register("large_exponent2", &exponent);
    let negative = m.register("large_negative2", &negative);
    let subtract = m.register("subtract2", &subtract);
    let nan = m.register("nan2", &nan);
    let special = m.register("not_finite2", &special);

    m.section("4: sum or difference");
    let one = m.wire("large_wide", &concat(&[one, three]).extend(SUM));
    let aligned = aligned.extend(SUM);
    let sum = mux(&subtract, &one.minus(&aligned), &one.plus(&aligned));
    let sum = m.register("sum", &sum);
    // the exponent of the sum's last bit: field - 25 - 3
    let exponent = exponent.extend(EXPONENT).as_signed();
    let bias = constant(exponent.ty(), 25 + 3);
    let exponent = m.register("sum_exponent", &exponent.minus(&bias));
    let known = m.register("sum_known", &round::known(&nan, &negative));
    let negative = m.register("sum_negative", &negative);
    let subtract = m.register("subtract3", &subtract);
    let special = m.register("sum_special", &special);
    // equal magnitudes cancel to positive zero
    let cancelled = subtract.and(&sum.any().not());
    let exact = Exact {
        negative: negative.and(&cancelled.not()),
        magnitude: sum,
        exponent,
        special: Some((special, known)),
    };
    round::finish(&mut m, &exact, 5);
    m
}
