//! gemmlowp's rounding doubling high product ([`macforge_numeric::fixed`]) of 32-bit numbers.

use crate::typed::{Expr, Header, Module, concat, constant, signed, unsigned};

/// Cycles from the operands to `y`.
pub const LATENCY: usize = 4;
/// Bits of the low half of both operands.
const LOW: u32 = 17;
/// Bits of the product above the low half.
const TOTAL: u32 = 32 + 31 - LOW;

/// `y = (a * b + 2^30) >> 31` for a signed `a` and a natural `b`, from four DSPs.
pub fn module() -> Module {
    let mut m = Module::new(
        "high_product",
        Header {
            purpose: "gemmlowp's rounding doubling high product".into(),
            equation: "y = (a*b + 2^30) >> 31".into(),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let a = m.input("a", signed(32));
    let b = m.input("b", unsigned(31));
    m.section("1: halves");
    let natural = |x: Expr| x.extend(x.ty().width + 1).as_signed();
    let a_low = m.register("a_low", &natural(a.slice(0, LOW)));
    let a_high = m.register("a_high", &a.slice(LOW, 32 - LOW).as_signed());
    let b_low = m.register("b_low", &natural(b.slice(0, LOW)));
    let b_high = m.register("b_high", &natural(b.slice(LOW, 31 - LOW)));
    m.section("2: four products");
    let low = m.register("low", &a_low.times(&b_low));
    let middle_1 = m.register("middle1", &a_low.times(&b_high));
    let middle_2 = m.register("middle2", &a_high.times(&b_low));
    let high = m.register("high", &a_high.times(&b_high));
    // No register is wider than its sum can be: Yosys moves the one behind the middle sum into a
    // DSP, and 0.23 leaves superfluous upper bits of it without a driver.
    m.section("3: sums of equal weight, in units of 2^17; the rounding constant is 2^13 of them");
    let round = constant(signed(LOW + 2), 1 << (30 - LOW));
    let carried = low.slice(LOW, LOW + 2).as_signed().plus(&round);
    m.unused(&low.slice(0, LOW));
    let low = m.register("low_sum", &carried);
    let width = middle_1.ty().width + 1;
    let middle = m.register(
        "middle",
        &middle_1.extend(width).plus(&middle_2.extend(width)),
    );
    let high = m.register("high_units", &high);
    m.section("4: sum");
    let high_units = concat(&[high.slice(0, TOTAL - LOW), constant(unsigned(LOW), 0)]).as_signed();
    let sum = high_units
        .plus(&middle.extend(TOTAL))
        .plus(&low.extend(TOTAL));
    let total = m.register("total", &sum);
    m.unused(&high.sign());
    m.unused(&total.slice(0, 31 - LOW));
    let y = m.wire("y", &total.slice(31 - LOW, 32).as_signed());
    m.output(&y);
    m
}
