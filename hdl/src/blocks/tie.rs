//! onnxruntime's float32 tie rule in the requantizer lane: [`macforge_numeric::TieWindow`].
//!
//! The rule compares the distance to a tie with `2^(shift - 24 + j)`, where `j` is the binade of
//! the result: in units of the result, with `2^(j - 24)`. So it looks at the 25 fraction bits
//! `F` (the first of weight 1/2) of `t + half`, where position `e = j + 1` has weight `2^(j-24)`:
//!
//! * just above a tie: all bits above `e` are zero, and bit `e` is zero or the last one that is set;
//! * just below a tie: all bits from `e` up are one.
//!
//! Both are prepared for every `e`, then the binade of the result chooses. An odd negative result
//! `y` has the magnitude `~y | 1`, so no negation is needed.

use super::clamp::Unclamped;
use super::requant_lane::Half;
use crate::typed::{Expr, Module, any, concat, constant, mux, repeat, signed};

/// Bits that are kept below `h`, itself one fraction bit of the result.
pub(super) const FRACTION: u32 = 24;
/// Stages more than without the rule.
pub(super) const STAGES: usize = 2;

/// Positions that a window can have: one for each binade 0 to 7, and one below for ties at +-1/2. Larger
/// results, which lanes for int16 keep as well, are far outside of int8, whatever is added to them.
const POSITIONS: u32 = 9;

/// Stages 8 to 10: rounding, the tie rule where `enable` is set (at stage 9), the zero point.
pub(super) fn finish(m: &mut Module, half: &Half, enable: &Expr, zero_point: &Expr) -> Unclamped {
    m.section("8: y = (h + 1) >> 1; fraction near zero or near one, for every window");
    let kept = half.h.ty().width - FRACTION;
    let h = m.wire("h_bits", &half.h.slice(FRACTION, kept).as_signed());
    let one = constant(signed(kept + 1), 1);
    let rounded = m.wire("rounded", &h.extend(kept + 1).plus(&one));
    let y = m.register("y", &rounded.slice(1, kept).as_signed());
    m.unused(&rounded.bit(0));
    let fraction = concat(&[half.h.bit(FRACTION).not(), half.h.slice(0, FRACTION)]);
    let fraction = m.wire("fraction", &fraction);
    let (above, below) = windows(m, &fraction, &half.sticky);
    let far_below = m.register("over_below", &half.over.and(&half.negative));
    let far_above = m.register("over_above", &half.over.and(&half.negative.not()));

    m.section("9: the window of y's binade; only an odd y moves");
    let (down, up) = choose(m, &y, &above, &below);
    let moves = y.bit(0).and(enable);
    let down = m.register("down", &down.and(&moves));
    let up = m.register("up", &up.and(&moves));
    let sum = m.register("sum", &y.plus(&zero_point.extend(kept)));
    let far_below = m.register("over_below2", &far_below);
    let far_above = m.register("over_above2", &far_above);

    m.section("10: value = y + zero_point, one less, or one more");
    let step = concat(&[repeat(&down, kept - 1), down.or(&up)]).as_signed();
    let value = m.register("value", &sum.plus(&step));
    let far_below = m.register("far_below", &far_below);
    let far_above = m.register("far_above", &far_above);
    Unclamped {
        value,
        far_below,
        far_above,
    }
}

/// For every position: whether the fraction is within the window above a tie, and below one.
fn windows(m: &mut Module, fraction: &Expr, sticky: &Expr) -> (Expr, Expr) {
    let bits = fraction.ty().width;
    let (mut above, mut below) = (Vec::new(), Vec::new());
    // most significant part of a concatenation first, so that bit e belongs to position e
    for e in (0..POSITIONS).rev() {
        let zero = fraction.slice(e + 1, bits - 1 - e).any().not();
        let rest = match e {
            0 => sticky.clone(),
            _ => any(&[fraction.slice(0, e), sticky.clone()]),
        };
        above.push(zero.and(&fraction.bit(e).and(&rest).not()));
        below.push(fraction.slice(e, bits - e).all());
    }
    (
        m.register("near_zero", &concat(&above)),
        m.register("near_one", &concat(&below)),
    )
}

/// The flags that belong to `y`: take one off, add one.
fn choose(m: &mut Module, y: &Expr, above: &Expr, below: &Expr) -> (Expr, Expr) {
    let kept = y.ty().width;
    let sign = repeat(&y.sign(), kept);
    let magnitude = m.wire("magnitude", &y.as_unsigned().xor(&sign));
    let is_unit = m.wire("is_unit", &magnitude.slice(1, kept - 1).any().not());
    m.unused(&concat(&[magnitude.bit(0), magnitude.bit(kept - 1)]));
    let pick = |flags: &Expr, half_tie: &Expr| {
        let unit = mux(half_tie, &flags.bit(0), &flags.bit(1));
        (2..POSITIONS).fold(unit, |lower, e| {
            mux(&magnitude.bit(e - 1), &flags.bit(e), &lower)
        })
    };
    let negative = y.sign();
    let down = pick(above, &is_unit.and(&negative.not()));
    let up = pick(below, &is_unit.and(&negative));
    (down, up)
}
