//! The end of a lane: clamp to the bounds of the layer, and say whether int8 itself was left.

use crate::typed::{Expr, Module, constant, mux, repeat, signed, unsigned};

/// Bounds of a layer, all constant while it runs.
pub(super) struct Bounds {
    lo: Expr,
    hi: Expr,
    lower_is_activation: Expr,
    /// The low byte of the value in the place of a clamped one.
    wrap: Option<Expr>,
}

impl Bounds {
    /// Declares the input ports `clamp_lo`, `clamp_hi` and `lower_is_activation`.
    pub(super) fn inputs(m: &mut Module) -> Self {
        let [lo, hi] = ["clamp_lo", "clamp_hi"].map(|name| m.input(name, signed(8)));
        let lower_is_activation = m.input("lower_is_activation", unsigned(1));
        Self {
            lo,
            hi,
            lower_is_activation,
            wrap: None,
        }
    }

    /// Declares the input port `wrap` as well.
    pub(super) fn inputs_with_wrap(m: &mut Module) -> Self {
        let bounds = Self::inputs(m);
        let wrap = Some(m.input("wrap", unsigned(1)));
        Self { wrap, ..bounds }
    }
}

/// A value before clamping.
pub(super) struct Unclamped {
    /// The value, where it is known; more than eight bits.
    pub value: Expr,
    /// Below int8, whatever `value` says.
    pub far_below: Expr,
    /// Above int8, whatever `value` says.
    pub far_above: Expr,
}

/// Drives the outputs `q_q` and `saturated_q` ([`macforge_numeric::Clamp::saturates`]); `first` is
/// the number of the first of the two stages.
pub(super) fn finish(m: &mut Module, x: &Unclamped, bounds: &Bounds, first: usize) {
    let width = x.value.ty().width;
    let Bounds {
        lo,
        hi,
        lower_is_activation,
        wrap,
    } = bounds;
    let unless_wrapped = |flag: Expr| match wrap {
        Some(wrap) => flag.and(&wrap.not()),
        None => flag,
    };
    m.section(&format!(
        "{first}: comparison with the bounds, and with int8 where they are its limits"
    ));
    let unless = |bit: Expr, other: &Expr| bit.and(&other.not());
    let below = unless(x.value.less(&lo.extend(width)), &x.far_above).or(&x.far_below);
    let above = unless(hi.extend(width).less(&x.value), &x.far_below).or(&x.far_above);
    let below = m.register("below", &unless_wrapped(below));
    let above = m.register("above", &unless_wrapped(above));
    let limit = |v| constant(signed(8), v);
    let lower_counts = lo.equals(&limit(-128)).and(&lower_is_activation.not());
    let upper_counts = hi.equals(&limit(127));
    // outside of int8: some bit above the sign bit of the low byte differs from the sign
    let negative = x.value.sign();
    let differs = x
        .value
        .slice(7, width - 8)
        .xor(&repeat(&negative, width - 8))
        .any();
    let outside = m.wire("outside", &differs);
    // where the value is not known its bits say nothing
    let near = m.wire("near", &x.far_below.or(&x.far_above).not().and(&outside));
    let under = negative.and(&near).or(&x.far_below);
    let over = negative.not().and(&near).or(&x.far_above);
    let saturated = m.register(
        "limit",
        &unless_wrapped(under.and(&lower_counts).or(&over.and(&upper_counts))),
    );
    let byte = m.register("byte", &x.value.slice(0, 8).as_signed());
    m.section(&format!("{}: choice", first + 1));
    let q = m.register("q", &mux(&below, lo, &mux(&above, hi, &byte)));
    let saturated = m.register("saturated", &saturated);
    m.output(&q);
    m.output(&saturated);
}
