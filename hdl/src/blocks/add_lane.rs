//! Residual addition: the arithmetic of [`macforge_numeric::MulAdd`], without DSPs.
//!
//! Both factors are constants of a layer, so the two products are summed bit by bit: bit `k` of
//! `a` and of `b` together select one of 0, `mul_a`, `mul_b` and `mul_a + mul_b`, and that choice
//! fits into the LUT of the adder that takes it. Bits 0 to 3 (with the offset) and bits 4 to 7 run
//! as two chains of four adders, joined at the end. Bit 7 is the sign: its choice is subtracted.

use super::clamp::{self, Bounds, Extras, Unclamped};
use super::shift::{Shifted, stage};
use crate::VerilogModule;
use crate::typed::{Expr, Header, Module, concat, constant, mux, signed, unsigned};

/// Cycles from `a` and `b` to `q_q`.
pub const LATENCY: usize = 9;

/// Bits of `mul_a` and `mul_b`, as in [`macforge_numeric::MulAdd`].
pub const FACTOR: u32 = 25;
/// Bits of `offset`.
pub const OFFSET: u32 = 36;
/// Bits of `shift`.
const SHIFT: u32 = 5;
/// Bits of the sum: the offset, and two products of less than 2^32.
const SUM: u32 = OFFSET + 1;
/// Bits of the high chain: four choices of 26 bits.
const HIGH: u32 = FACTOR + 5;
/// Bits kept after the shift: int8 and one more, which tells when it is left.
const KEPT: u32 = 9;

/// The block `add_lane`: `q = clamp((a*mul_a + b*mul_b + offset) >> shift)`.
///
/// `mul_a`, `mul_b`, `offset`, `shift`, the bounds and `lower_is_activation` are constants of a
/// layer, to be stable one cycle before the first operands. `saturated_q` is
/// [`macforge_numeric::Clamp::saturates`] of the result.
pub fn module() -> Module {
    let mut m = Module::new(
        "add_lane",
        Header {
            purpose: "residual addition of two int8 values, without DSPs".into(),
            equation: "q = clamp((a*mul_a + b*mul_b + offset) >> shift)".into(),
            latency: format!(
                "{LATENCY}; initiation interval 1; never stalls; everything but a and b is a\n\
                 constant of the layer"
            ),
        },
    );
    let [a, b] = ["a", "b"].map(|name| m.input(name, signed(8)));
    let [mul_a, mul_b] = ["mul_a", "mul_b"].map(|name| m.input(name, signed(FACTOR)));
    let offset = m.input("offset", signed(OFFSET));
    let shift = m.input("shift", unsigned(SHIFT));
    let bounds = Bounds::inputs(&mut m, Extras::default());

    m.section("the choices for a pair of bits");
    let [mul_a, mul_b] = [mul_a, mul_b].map(|x| x.extend(FACTOR + 1));
    let mul_a = m.wire("choice_a", &mul_a);
    let mul_b = m.wire("choice_b", &mul_b);
    let both = m.register("choice_both", &mul_a.plus(&mul_b));
    let choices = [mul_a, mul_b, both];
    let sum = products(&mut m, [&a, &b], &choices, &offset);
    let x = shifted(&mut m, &sum, &shift);
    clamp::finish(&mut m, &x, &bounds, LATENCY - 1);
    m
}

/// The printed block.
pub fn build() -> VerilogModule {
    module().build()
}

/// Stages 1 to 5: `a*mul_a + b*mul_b + offset`.
fn products(m: &mut Module, [a, b]: [&Expr; 2], choices: &[Expr; 3], offset: &Expr) -> Expr {
    let mut low = m.wire("low0", &offset.extend(SUM));
    let mut high = constant(signed(HIGH), 0);
    // the bits that are still to come: of a, of b; low chain, high chain
    let halves = |x: &Expr| [x.slice(0, 4), x.slice(4, 4)];
    let mut left: Vec<Expr> = halves(a).into_iter().chain(halves(b)).collect();
    for k in 0..4 {
        m.section(&format!("{}: bits {k} and {}", k + 1, k + 4));
        let named: Vec<Expr> = (left.iter().zip(["a_low", "a_high", "b_low", "b_high"]))
            .map(|(x, name)| m.wire(&format!("{name}{k}"), x))
            .collect();
        let [choice_low, choice_high] = [("low", 0), ("high", 1)].map(|(name, half)| {
            let choice = choose(&named[half].bit(0), &named[half + 2].bit(0), choices);
            m.wire(&format!("{name}_term{k}"), &choice)
        });
        low = m.register(
            &format!("low{}", k + 1),
            &add_at(&low, &choice_low, k, false),
        );
        let sum = match k {
            0 => choice_high.extend(HIGH),
            _ => add_at(&high, &choice_high, k, k == 3),
        };
        high = m.register(&format!("high{}", k + 1), &sum);
        if k < 3 {
            left = (named.iter().zip(["a_low", "a_high", "b_low", "b_high"]))
                .map(|(x, name)| m.register(&format!("{name}{}", k + 1), &x.slice(1, 3 - k)))
                .collect();
        }
    }
    m.section("5: sum");
    m.register("sum", &add_at(&low, &high, 4, false))
}

/// 0, `mul_a`, `mul_b` or their sum.
fn choose(a: &Expr, b: &Expr, [mul_a, mul_b, both]: &[Expr; 3]) -> Expr {
    let zero = constant(mul_a.ty(), 0);
    mux(a, &mux(b, both, mul_a), &mux(b, mul_b, &zero))
}

/// `sum + (term << places)`, or minus; the low bits pass by the adder.
fn add_at(sum: &Expr, term: &Expr, places: u32, minus: bool) -> Expr {
    let width = sum.ty().width - places;
    // As natural numbers: Yosys shortens a signed operand and then makes it the adder's direct
    // input, which costs a LUT per bit for the choice.
    let upper = sum.slice(places, width);
    let term = term.extend(width).as_unsigned();
    let upper = if minus {
        upper.minus(&term)
    } else {
        upper.plus(&term)
    };
    match places {
        0 => upper.as_signed(),
        _ => concat(&[upper, sum.slice(0, places)]).as_signed(),
    }
}

/// Stages 6 and 7: `sum >> shift`, nine bits of it.
fn shifted(m: &mut Module, sum: &Expr, shift: &Expr) -> Unclamped {
    m.section("6: shift by 0, 8, 16 or 24");
    let coarse = m.wire("coarse", &shift.slice(3, 2));
    let Shifted { value, over, .. } = stage(m, "coarse", sum, &coarse, 8, KEPT + 7);
    let value = m.register("coarse", &value);
    let over = m.register("coarse_over", &over);
    let negative = m.register("negative", &sum.sign());
    m.section("7: shift by 0 to 7");
    let middle = m.wire("middle", &shift.slice(1, 2));
    let Shifted {
        value, over: over2, ..
    } = stage(m, "middle", &value, &middle, 2, KEPT + 1);
    let value = m.wire("middle_value", &value);
    let odd = shift.bit(0);
    let fine = mux(&odd, &value.slice(1, KEPT), &value.slice(0, KEPT));
    let over3 = value.bit(KEPT - 1).xor(&value.sign()).and(&odd.not());
    let value = m.register("value", &fine.as_signed());
    let over = m.wire("over", &over.or(&over2).or(&over3));
    let far_below = m.register("far_below", &over.and(&negative));
    let far_above = m.register("far_above", &over.and(&negative.not()));
    Unclamped {
        value,
        far_below,
        far_above,
    }
}
