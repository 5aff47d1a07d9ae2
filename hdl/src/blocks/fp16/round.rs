//! The end of an FP16 operation: an exact magnitude is normalized and rounded once.

use super::{bits, shifter};
use crate::typed::{Expr, Module, concat, constant, mux, repeat, signed, unsigned};
use macforge_numeric::Fp16;

/// Bits of an exponent on the way.
pub(super) const EXPONENT: u32 = 9;

/// What is rounded: `+-magnitude * 2^exponent`, or bits that are known without.
pub(super) struct Exact {
    /// Sign.
    pub negative: Expr,
    /// An unsigned signal.
    pub magnitude: Expr,
    /// A signed signal of [`EXPONENT`] bits.
    pub exponent: Expr,
    /// Whether the result does not come from rounding, and what it is then: infinity or NaN.
    pub special: Option<(Expr, Expr)>,
}

/// Cycles from the exact value to the result, for a magnitude of `width` bits.
pub(super) const fn latency(width: u32) -> usize {
    normalizing_stages(width) + 4
}

/// Stages of the left shifter, two of its levels in each.
const fn normalizing_stages(width: u32) -> usize {
    let levels = u32::BITS - (width - 1).leading_zeros();
    levels.div_ceil(2) as usize
}

/// Drives the output `y_q`; `first` is the number of the first stage.
pub(super) fn finish(m: &mut Module, x: &Exact, first: usize) {
    let width = x.magnitude.ty().width;
    let (normal, zeros) = normalized(m, &x.magnitude, first);
    let stages = normalizing_stages(width);
    let at = first + stages;
    m.section("what waits for the normalized magnitude");
    let exponent = m.delay("exponent", &x.exponent, stages);
    let negative = m.delay("negative", &x.negative, stages + 3);
    let special = x.special.as_ref().map(|(special, known)| {
        let special = m.delay("special", special, stages + 3);
        (special, m.delay("known", known, stages + 3))
    });

    m.section(&format!(
        "{at}: exponent field of the first bit; twelve bits, and whether there are more"
    ));
    // the first bit weighs 2^(width - 1 - zeros + exponent), 2^0 has field 15
    let top = constant(signed(EXPONENT), i128::from(width) - 1 + 15);
    let zeros = zeros.extend(EXPONENT).as_signed();
    let place = m.register("place", &exponent.plus(&top).minus(&zeros));
    let head = m.register("head", &normal.slice(width - 12, 12));
    let rest = m.register("rest", &normal.slice(0, width - 12).any());
    let zero = m.register("zero", &normal.bit(width - 1).not());

    m.section(&format!(
        "{}: a subnormal result loses places at its end",
        at + 1
    ));
    let one = constant(signed(EXPONENT), 1);
    let under = m.wire("under", &place.less(&one));
    let gap = m.wire("gap", &one.minus(&place));
    let far = gap.slice(4, EXPONENT - 4).any();
    let lost = gap.slice(0, 4).or(&repeat(&far, 4));
    let lost = m.wire("lost", &mux(&under, &lost, &constant(unsigned(4), 0)));
    let (head, rest) = shifter(m, "head", &head, &lost, &[8, 4, 2, 1], &rest);
    let head = m.register("significand", &head);
    let rest = m.register("sticky", &rest);
    let below = m.wire("below", &place.minus(&one));
    m.unused(&below.slice(5, EXPONENT - 5));
    let field = mux(&under, &constant(unsigned(5), 0), &below.slice(0, 5));
    let field = m.register("field", &field);
    let last = constant(signed(EXPONENT), 30);
    let over = m.register("over", &last.less(&place));
    let zero = m.register("zero2", &zero);

    m.section(&format!(
        "{}: half to even; a carry moves on into the exponent, up to infinity",
        at + 2
    ));
    let up = head.bit(0).and(&rest.or(&head.bit(1)));
    let packed = concat(&[field, constant(unsigned(10), 0)]);
    let kept = head.slice(1, 11).extend(15);
    let up = concat(&[constant(unsigned(14), 0), up]);
    let rounded = m.register("rounded", &packed.plus(&kept).plus(&up));
    let over = m.register("over2", &over);
    let zero = m.register("zero3", &zero);

    m.section(&format!("{}: choice", at + 3));
    let magnitude = |x: i128| constant(unsigned(15), x);
    let infinity = magnitude(Fp16::INFINITY.to_bits().into());
    let finite = mux(&over, &infinity, &rounded);
    let finite = mux(&zero, &magnitude(0), &finite);
    let finite = concat(&[negative, finite]);
    let y = special.map_or(finite.clone(), |(special, known)| {
        mux(&special, &known, &finite)
    });
    let y = m.register("y", &y);
    m.output(&y);
}

/// The magnitude with its first bit at the top, and how many zeros were in front of it.
fn normalized(m: &mut Module, magnitude: &Expr, first: usize) -> (Expr, Expr) {
    let width = magnitude.ty().width;
    let levels = u32::BITS - (width - 1).leading_zeros();
    let mut value = magnitude.clone();
    let mut zeros: Option<Expr> = None;
    for (index, level) in (0..levels).rev().enumerate() {
        let step = 1 << level;
        if index % 2 == 0 {
            m.section(&format!("{}: leading zeros go", first + index / 2));
        }
        let empty = m.wire(
            &format!("empty{step}"),
            &value.slice(width - step, step).any().not(),
        );
        let moved = concat(&[value.slice(0, width - step), constant(unsigned(step), 0)]);
        let next = mux(&empty, &moved, &value);
        let count = match &zeros {
            None => empty,
            Some(zeros) => concat(&[zeros.clone(), empty]),
        };
        // two levels per stage
        let stage_ends = index % 2 == 1 || level == 0;
        let keep = |m: &mut Module, name: &str, x: &Expr| match stage_ends {
            true => m.register(&format!("{name}{step}"), x),
            false => m.wire(&format!("{name}{step}"), x),
        };
        value = keep(m, "normal", &next);
        zeros = Some(keep(m, "zeros", &count));
    }
    (value, zeros.expect("a magnitude of several bits"))
}

/// NaN, or an infinity with a sign.
pub(super) fn known(nan: &Expr, negative: &Expr) -> Expr {
    let magnitude = constant(unsigned(15), Fp16::INFINITY.to_bits().into());
    let infinity = concat(&[negative.clone(), magnitude]);
    mux(nan, &bits(Fp16::NAN), &infinity)
}
