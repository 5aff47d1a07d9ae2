//! The end of a lane: clamp to the bounds of the layer, and say whether its type itself was left.

use crate::typed::{Expr, Module, concat, constant, mux, repeat, signed, unsigned};

/// Bounds of a layer, all constant while it runs.
pub(super) struct Bounds {
    lo: Expr,
    hi: Expr,
    lower_is_activation: Expr,
    /// The low byte of the value in the place of a clamped one.
    wrap: Option<Expr>,
    /// Values are int16, of which one byte is given out: bit 0 the high one, bit 1 the low one less 128.
    half: Option<Expr>,
}

/// What a lane's end can do besides clamping to int8.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras {
    /// Input port `wrap`.
    pub wraps: bool,
    /// Input port `half`, and bounds of 16 bits.
    pub halves: bool,
}

impl Bounds {
    /// Declares the input ports `clamp_lo`, `clamp_hi` and `lower_is_activation`, and those of `extras`.
    pub(super) fn inputs(m: &mut Module, extras: Extras) -> Self {
        let bits = if extras.halves { 16 } else { 8 };
        let [lo, hi] = ["clamp_lo", "clamp_hi"].map(|name| m.input(name, signed(bits)));
        let lower_is_activation = m.input("lower_is_activation", unsigned(1));
        Self {
            lo,
            hi,
            lower_is_activation,
            wrap: extras.wraps.then(|| m.input("wrap", unsigned(1))),
            half: extras.halves.then(|| m.input("half", unsigned(2))),
        }
    }

    /// The byte of a value that is given out.
    fn byte(&self, x: &Expr) -> Expr {
        let Some(half) = &self.half else {
            return match x.ty().width {
                8 => x.clone(),
                _ => x.slice(0, 8).as_signed(),
            };
        };
        let low = x.slice(0, 8);
        let relabelled = concat(&[x.bit(7).not(), x.slice(0, 7)]);
        let high = mux(&half.bit(0), &x.slice(8, 8), &low);
        mux(&half.bit(1), &relabelled, &high).as_signed()
    }

    /// `of(bits)` for the type of the values, which has `bits`.
    fn by_type(&self, of: impl Fn(u32) -> Expr) -> Expr {
        match &self.half {
            Some(half) => mux(&half.any(), &of(16), &of(8)),
            None => of(8),
        }
    }
}

/// A value before clamping.
pub(super) struct Unclamped {
    /// The value, where it is known; more bits than the type.
    pub value: Expr,
    /// Below the type, whatever `value` says.
    pub far_below: Expr,
    /// Above the type, whatever `value` says.
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
        half,
    } = bounds;
    let unless_wrapped = |flag: Expr| match wrap {
        Some(wrap) => flag.and(&wrap.not()),
        None => flag,
    };
    let limits = half.as_ref().map_or("int8", |_| "the type");
    m.section(&format!(
        "{first}: comparison with the bounds, and with {limits} where they are its limits"
    ));
    let unless = |bit: Expr, other: &Expr| bit.and(&other.not());
    let below = unless(x.value.less(&lo.extend(width)), &x.far_above).or(&x.far_below);
    let above = unless(hi.extend(width).less(&x.value), &x.far_below).or(&x.far_above);
    let below = m.register("below", &unless_wrapped(below));
    let above = m.register("above", &unless_wrapped(above));
    let limit = |v: i128| constant(signed(lo.ty().width), v);
    let at_lower = bounds.by_type(|bits| lo.equals(&limit(-(1 << (bits - 1)))));
    let lower_counts = at_lower.and(&lower_is_activation.not());
    let upper_counts = bounds.by_type(|bits| hi.equals(&limit((1 << (bits - 1)) - 1)));
    // outside of the type: some bit above its sign bit differs from the sign
    let negative = x.value.sign();
    let differs = bounds.by_type(|bits| {
        let above = x.value.slice(bits - 1, width - bits);
        above.xor(&repeat(&negative, width - bits)).any()
    });
    let outside = m.wire("outside", &differs);
    // where the value is not known its bits say nothing
    let near = m.wire("near", &x.far_below.or(&x.far_above).not().and(&outside));
    let under = negative.and(&near).or(&x.far_below);
    let over = negative.not().and(&near).or(&x.far_above);
    let counted = unless_wrapped(under.and(&lower_counts).or(&over.and(&upper_counts)));
    // the pass with the high bytes has counted
    let counted = match half {
        Some(half) => counted.and(&half.bit(1).not()),
        None => counted,
    };
    let saturated = m.register("limit", &counted);
    let byte = m.register("byte", &bounds.byte(&x.value));
    m.section(&format!("{}: choice", first + 1));
    let (lo, hi) = (bounds.byte(lo), bounds.byte(hi));
    let q = m.register("q", &mux(&below, &lo, &mux(&above, &hi, &byte)));
    let saturated = m.register("saturated", &saturated);
    m.output(&q);
    m.output(&saturated);
}
