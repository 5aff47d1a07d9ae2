//! A right shifter that keeps a window of bits and says what it lost.

use crate::typed::{Expr, Module, any, constant, mux, repeat, unsigned};

/// One stage of a shifter.
pub(super) struct Shifted {
    /// The kept bits, two's complement.
    pub value: Expr,
    /// The value does not fit the kept bits.
    pub over: Expr,
    /// Some of the bits shifted out below were ones.
    pub sticky: Expr,
}

/// `x >> (select * step)`, of which `keep` bits are kept; `select` is a two-bit signal.
///
/// Four inputs and two selects per kept bit: one LUT6. Two or three such stages cost far less
/// than a shifter of the full width, because only the window of the result is ever built.
pub(super) fn stage(
    m: &mut Module,
    name: &str,
    x: &Expr,
    select: &Expr,
    step: u32,
    keep: u32,
) -> Shifted {
    assert!(
        x.ty().width >= keep,
        "{name} keeps more bits than there are"
    );
    let (high, low) = (select.bit(1), select.bit(0));
    let choices: Vec<Expr> = (0..4).map(|k| window(x, k * step, keep)).collect();
    let value = mux(
        &high,
        &mux(&low, &choices[3], &choices[2]),
        &mux(&low, &choices[1], &choices[0]),
    );
    let top = x.ty().width - 1;
    // select <= k
    let reached = [high.or(&low).not(), high.not(), high.and(&low).not()];
    let mut over = Vec::new();
    let mut sticky = Vec::new();
    for k in 0..3 {
        let group = |from: u32, to: u32| (from < to).then(|| (from, to - from));
        if let Some((lsb, width)) = group(k * step + keep - 1, ((k + 1) * step + keep - 1).min(top))
        {
            let signs = repeat(&x.sign(), width);
            let differs = m.wire(
                &format!("{name}_over{k}"),
                &x.slice(lsb, width).xor(&signs).any(),
            );
            over.push(differs.and(&reached[k as usize]));
        }
        if let Some((lsb, width)) = group(k * step, ((k + 1) * step).min(top + 1)) {
            sticky.push(x.slice(lsb, width).any().and(&reached[k as usize].not()));
        }
    }
    if let Some((lsb, width)) =
        (3 * step + keep <= top).then(|| (3 * step + keep - 1, top + 1 - 3 * step - keep))
    {
        let signs = repeat(&x.sign(), width);
        over.push(m.wire(
            &format!("{name}_over3"),
            &x.slice(lsb, width).xor(&signs).any(),
        ));
    }
    Shifted {
        value,
        over: any_of(&over),
        sticky: any_of(&sticky),
    }
}

fn any_of(bits: &[Expr]) -> Expr {
    match bits {
        [] => constant(unsigned(1), 0),
        bits => any(bits),
    }
}

/// `keep` bits of a signed signal from bit `lsb` up, sign-extended beyond its top.
fn window(x: &Expr, lsb: u32, keep: u32) -> Expr {
    let width = x.ty().width;
    let lsb = lsb.min(width - 1);
    let there = keep.min(width - lsb);
    x.slice(lsb, there).as_signed().extend(keep)
}
