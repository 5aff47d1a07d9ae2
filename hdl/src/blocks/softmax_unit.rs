//! TFLite's int8 softmax of a vector: the arithmetic of [`SoftmaxRule`].
//!
//! Three passes over the vector (maximum, sum of exponentials, outputs), one element per cycle
//! each, and between the last two the reciprocal of the sum by three Newton-Raphson steps. All
//! products go through one pipelined multiplier, `softmax_multiplier`; the exponentials are a
//! table, `softmax_exp`, because a difference of two int8 has 256 values.

use crate::typed::{Expr, Header, Module, concat, constant, signed, unsigned};
use crate::{HdlError, VerilogModule};
use macforge_numeric::SoftmaxRule;
use tera::{Context, Tera};

/// Longest vector.
pub const MAX_LENGTH: usize = 1024;
/// Cycles of the multiplier.
const MULTIPLIER_LATENCY: usize = 4;
/// Products of the reciprocal: one for the first guess, two for each of three steps.
const RECIPROCAL_PRODUCTS: usize = 7;
/// Bits of the low half of both of the multiplier's operands.
const LOW: u32 = 17;
/// Bits of the product above the low half.
const TOTAL: u32 = 32 + 31 - LOW;

/// Most cycles from `start` to `done_q` apart from three per element, for a read latency.
pub const fn overhead(read_latency: usize) -> usize {
    let normalize = 11;
    let reciprocal = RECIPROCAL_PRODUCTS * (MULTIPLIER_LATENCY + 1);
    3 * (read_latency + 1) + 8 + normalize + reciprocal + MULTIPLIER_LATENCY
}

/// The modules of the softmax unit, `softmax_unit` last.
///
/// `rd_data` is expected `read_latency` (at least 1) cycles after `rd_en_q`.
///
/// # Errors
/// A read latency of zero.
pub fn build(rule: &SoftmaxRule, read_latency: usize) -> Result<Vec<VerilogModule>, HdlError> {
    if read_latency == 0 {
        let (block, what) = ("softmax_unit", "a read latency");
        return Err(HdlError::Width {
            block,
            what,
            found: 0,
            wanted: "1 or more",
        });
    }
    let mut context = Context::new();
    context.insert("read_latency", &read_latency);
    context.insert("multiplier_latency", &MULTIPLIER_LATENCY);
    context.insert("last_product", &(RECIPROCAL_PRODUCTS - 1));
    let text = Tera::one_off(include_str!("softmax_unit.v.tera"), &context, false)?;
    let unit = VerilogModule {
        name: "softmax_unit".to_owned(),
        text,
    };
    Ok(vec![multiplier().build(), exponential(rule).build(), unit])
}

/// `y = (a * b + 2^30) >> 31` for a signed `a` and a natural `b`, from four DSPs.
pub fn multiplier() -> Module {
    let mut m = Module::new(
        "softmax_multiplier",
        Header {
            purpose: "gemmlowp's rounding doubling high product".into(),
            equation: "y = (a*b + 2^30) >> 31".into(),
            latency: format!("{MULTIPLIER_LATENCY}; initiation interval 1; never stalls"),
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

/// `exp(-d * scale)` in Q0.31 for a difference `d`.
pub fn exponential(rule: &SoftmaxRule) -> Module {
    let mut m = Module::new(
        "softmax_exp",
        Header {
            purpose: "exponential of a difference to the maximum, by a table".into(),
            equation: "e = exp(-d * beta * scale) in Q0.31, as gemmlowp rounds it".into(),
            latency: "1; initiation interval 1; never stalls".into(),
        },
    );
    let d = m.input("d", unsigned(8));
    let words = rule.exp_table().map(i128::from);
    let e = m.table("e", &d, unsigned(31), &words);
    let e = m.register("e", &e);
    m.output(&e);
    m
}
