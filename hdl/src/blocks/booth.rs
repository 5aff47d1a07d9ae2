//! Products in LUTs, by Booth's radix-4 recoding: a pair of bits of one factor and the bit below it
//! select one of `-2x`, `-x`, `0`, `x`, `2x`. A negative choice is the complement of the positive
//! one, and the one that is missing enters an adder as its carry. Five inputs make a bit of a
//! choice, so it fits into the LUT of the adder that takes it.

use crate::typed::{Expr, Module, concat, constant, mux, repeat, unsigned};

/// One digit of a recoded factor, times the other factor.
pub(super) struct Term {
    /// The product less `carry`; one bit wider than the other factor.
    pub value: Expr,
    /// To be added at the term's lowest bit.
    pub carry: Expr,
}

/// The term of the digit `-2*high + middle + low`; `x` is a signed signal.
pub(super) fn term(m: &mut Module, name: &str, x: &Expr, [high, middle, low]: [&Expr; 3]) -> Term {
    let width = x.ty().width + 1;
    let once = x.extend(width).as_unsigned();
    let twice = x.shifted_left(1).as_unsigned();
    let odd = middle.xor(low);
    let two = high.xor(middle).and(&odd.not());
    let size = mux(
        &odd,
        &once,
        &mux(&two, &twice, &constant(unsigned(width), 0)),
    );
    let value = size.xor(&repeat(high, width));
    Term {
        value: m.wire(name, &value.as_signed()),
        carry: high.clone(),
    }
}

/// `a + b + carry` in the width of `a` and `b`; all three are signals or parts of them. The carry is twice itself
/// in an additional lowest bit: synthesis makes two adders of a third operand, and of `1 + carry` an inverter.
pub(super) fn add_carry(m: &mut Module, name: &str, [a, b]: [&Expr; 2], carry: &Expr) -> Expr {
    let a = concat(&[a.as_unsigned(), carry.clone()]);
    let b = concat(&[b.as_unsigned(), carry.clone()]);
    let sum = m.wire(name, &a.plus(&b));
    m.unused(&sum.bit(0));
    sum.slice(1, sum.ty().width - 1)
}
