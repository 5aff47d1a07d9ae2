//! Accumulator to int8 or a byte of int16: the arithmetic of [`macforge_numeric::LaneConstants`].
//!
//! Three rewritings make it small, none of them changes a result:
//!
//! * The half that rounds is added after the shift. `floor((t + 2^(n-1)) / 2^n)` is
//!   `(h + 1) >> 1` with `h = t >> (n-1)`, so no wide constant is needed.
//! * Only ten bits of `h` are built, 18 where values may be int16. With a zero point in int8 every `h`
//!   outside of them ends beyond the type's range, on the side of its sign.
//! * The zero point joins the same addition: `((h + 1) >> 1) + z = (h + 2z + 1) >> 1`.
//!
//! The multiplier is split into 17 low and 14 high bits: `acc * M = (acc*hi + (acc*lo >> 17)) *
//! 2^17 + low bits`, two DSP48E1 with the 17-bit cascade between them. gemmlowp's `+-2^30`, or the
//! constant at product scale, is the low one's third operand.
//!
//! Accumulators of more than 25 bits have multipliers of 15 ([`macforge_numeric::RequantRule::Wide`]); there
//! the same two DSPs take 17 low bits and the rest of the accumulator.

use super::clamp::{self, Bounds, Extras, Unclamped};
use super::shift::stage;
use super::tie;
use crate::typed::{Expr, Header, Module, concat, constant, mux, repeat, signed, unsigned};
use crate::{HdlError, VerilogModule};
use macforge_numeric::{FRACTION_BITS, FRACTION_PLACES, Semantics};

/// Cycles from `acc` to `q_q` for the three integer rules.
pub const LATENCY: usize = 10;

/// Cycles from `acc` to `q_q`.
pub const fn latency(semantics: Semantics) -> usize {
    match semantics {
        Semantics::OrtX86 => LATENCY + tie::STAGES,
        _ => LATENCY,
    }
}

/// Name of the module.
const NAME: &str = "requant_lane";
/// Bits of the multiplier's low half.
const LOW: u32 = 17;
/// Bits of `h = t >> (n - 1)` that are kept for int8 values.
const KEPT: u32 = 10;
/// The same for int16 values.
const KEPT_WIDE: u32 = 18;
/// Bits of a DSP48E1's wider input.
const PORT: u32 = 25;
/// Bits of the multipliers of wider accumulators.
const REDUCED: u32 = 15;
/// Bits that the two DSPs take of an accumulator.
const WIDEST: u32 = LOW + PORT;

/// Builder of the module `requant_lane`.
///
/// Ports, besides `clk`:
///
/// | port | type | meaning |
/// | --- | --- | --- |
/// | `acc`, `bias` | signed | their sum is requantized; it must fit `acc_bits` |
/// | lowest `fraction_bits` of `bias` | unsigned | [`macforge_numeric::LaneConstants::constant`] without its zero bits |
/// | `multiplier`, `shift`, `double_round` | 31, 6, 1 bits | constants of the channel, in step with `acc` |
/// | `zero_point`, `clamp_lo`, `clamp_hi` | signed 8 | constants of the layer |
/// | `lower_is_activation` | 1 bit | reaching the lower bound is not a saturation |
/// | `wide` | 1 bit | with more than 25 `acc_bits`: the layer's multipliers have 15 bits |
/// | `half` | 2 bits | with `halves`: the layer's values are int16, of which `q_q` is the high byte (1) or the low one less 128 (2) |
/// | `q_q` | signed 8 | result |
/// | `saturated_q` | 1 bit | [`macforge_numeric::Clamp::saturates`] of the result |
///
/// With [`Semantics::OrtX86`] a channel has no double rounding; there `double_round` switches the
/// tie window on ([`macforge_numeric::LaneConstants::tie_window`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequantLane {
    /// Rounding rules of the design.
    pub semantics: Semantics,
    /// Bits of the accumulator, at most 42; those of layers without `wide` have 25, as many as a
    /// DSP48E1's wider input.
    pub acc_bits: u32,
    /// Bits of the bias, at most those of the accumulator.
    pub bias_bits: u32,
    /// Bits of the constant at product scale below those of the bias: none, or
    /// [`macforge_numeric::FRACTION_BITS`] with [`Semantics::OrtX86`].
    pub fraction_bits: u32,
    /// An input `wrap` makes `q_q` the low byte of `y + zero_point`, without clamp or saturation.
    pub wraps: bool,
    /// Values may be int16; the clamps then have 16 bits.
    pub halves: bool,
}

/// `h` of one accumulator and what belongs to it.
pub(super) struct Half {
    /// `h`, with some bits of its fraction below it.
    pub h: Expr,
    /// `h` does not fit; it is far away on the side of `negative`.
    pub over: Expr,
    /// The sign.
    pub negative: Expr,
    /// Some bit of `t` below the fraction is one.
    pub sticky: Expr,
}

/// What is added to the product, at stage 1.
struct Addend {
    /// gemmlowp's first rounding.
    special: Expr,
    /// The constant at product scale.
    fraction: Option<Expr>,
}

impl RequantLane {
    /// The printed block.
    ///
    /// # Errors
    /// A width that does not fit two DSP48E1.
    pub fn build(&self) -> Result<VerilogModule, HdlError> {
        Ok(self.module()?.build())
    }

    /// The block's description.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn module(&self) -> Result<Module, HdlError> {
        self.check_widths()?;
        let Self {
            acc_bits,
            bias_bits,
            fraction_bits,
            ..
        } = *self;
        let mut m = Module::new(NAME, self.header());
        let acc = m.input("acc", signed(acc_bits));
        let bias = m.input("bias", signed(bias_bits + fraction_bits));
        let multiplier = m.input("multiplier", unsigned(31));
        let shift = m.input("shift", unsigned(6));
        let special = m.input("double_round", unsigned(1));
        let zero_point = m.input("zero_point", signed(8));
        let extras = Extras {
            wraps: self.wraps,
            halves: self.halves,
        };
        let bounds = Bounds::inputs(&mut m, extras);
        let wide = (acc_bits > PORT).then(|| m.input("wide", unsigned(1)));

        m.section("1: bias; places of h = t >> (shift - 1)");
        let whole = match fraction_bits {
            0 => bias.clone(),
            _ => bias.slice(fraction_bits, bias_bits).as_signed(),
        };
        let s = m.kept_register("s", &acc.plus(&whole.extend(acc_bits)));
        let places = m.register("places", &shift.minus(&constant(unsigned(6), 1)));
        let special = m.register("special", &special);
        let fraction = (fraction_bits > 0).then(|| {
            let first = bias.slice(0, fraction_bits);
            m.register("fraction", &first)
        });
        let addend = Addend { special, fraction };
        let operands = Operands::new(&mut m, &s, &multiplier, wide.as_ref());
        let t = self.product(&mut m, &s, &operands, &addend);
        let special = addend.special;
        m.section("places wait for t");
        let places = m.delay("places", &places, LATENCY - 6);
        let kept = if self.halves { KEPT_WIDE } else { KEPT };
        if self.semantics == Semantics::OrtX86 {
            m.section("the switch waits for h");
            let enable = m.delay("tie", &special, LATENCY - 3);
            let half = half(&mut m, &t, &places, [kept, tie::FRACTION]);
            let unclamped = tie::finish(&mut m, &half, &enable, &zero_point);
            clamp::finish(&mut m, &unclamped, &bounds, LATENCY - 1 + tie::STAGES);
        } else {
            let half = half(&mut m, &t, &places, [kept, 0]);
            let unclamped = finish(&mut m, &half, &zero_point);
            clamp::finish(&mut m, &unclamped, &bounds, LATENCY - 1);
        }
        Ok(m)
    }

    fn check_widths(&self) -> Result<(), HdlError> {
        let refuse = |what, found, wanted| {
            Err(HdlError::Width {
                block: NAME,
                what,
                found,
                wanted,
            })
        };
        if !(20..=WIDEST).contains(&self.acc_bits) {
            return refuse("an accumulator", self.acc_bits, "20 to 42");
        }
        if !(1..=self.acc_bits).contains(&self.bias_bits) {
            return refuse("a bias", self.bias_bits, "1 to the accumulator's");
        }
        let most = match self.semantics {
            Semantics::OrtX86 => FRACTION_BITS,
            _ => 0,
        };
        if ![0, most].contains(&self.fraction_bits) {
            let wanted = "none, or numeric's FRACTION_BITS in lanes of ort-x86";
            return refuse("a bias's fraction", self.fraction_bits, wanted);
        }
        Ok(())
    }

    fn header(&self) -> Header {
        let rounding = match self.semantics {
            Semantics::OrtX86 if self.fraction_bits > 0 => {
                "t = s*multiplier + fraction*2^15\ny = (t + 2^(shift-1)) >> shift; with double_round \
                 set, the even neighbour\n    where float32 would have rounded t onto a tie"
            }
            Semantics::OrtX86 => {
                "t = s*multiplier\ny = (t + 2^(shift-1)) >> shift; with double_round set, the even \
                 neighbour\n    where float32 would have rounded t onto a tie"
            }
            _ => {
                "t = s*multiplier + (double_round ? (s < 0 ? -2^30 : 2^30) : 0)\n\
                 y = (t + 2^(shift-1)) >> shift"
            }
        };
        let bias = match self.fraction_bits {
            0 => "s = acc + bias",
            _ => "s = acc + whole; bias = {whole, fraction}",
        };
        let value = match self.halves {
            false => "clamp(y + zero_point)",
            true => "byte of clamp(y + zero_point) that half says",
        };
        Header {
            purpose: format!("requantizer lane ({}): accumulator to int8", self.semantics),
            equation: match self.wraps {
                false => format!("{bias}\n{rounding}\nq = {value}"),
                true => {
                    format!("{bias}\n{rounding}\nq = wrap ? low byte of (y + zero_point) : {value}")
                }
            },
            latency: format!(
                "{}; initiation interval 1; never stalls; zero_point, clamps and\n\
                 lower_is_activation are constants of a layer",
                latency(self.semantics)
            ),
        }
    }

    /// Stages 2 to 5: `t`, from two DSPs.
    fn product(&self, m: &mut Module, s: &Expr, operands: &Operands, addend: &Addend) -> Expr {
        m.section("2: input registers of the low DSP");
        let s2 = m.register("s2", &operands.low_sum);
        let upper = (operands.high_sum.as_ref()).map(|high| m.register("s2_high", high));
        let low = m.register("lo2", &operands.low);
        let high = m.register("hi2", &operands.high);
        let product_bits = s2.ty().width + LOW + 1;
        let nudge = (self.semantics != Semantics::OrtX86).then(|| {
            (
                m.register("negative", &s.sign()),
                m.register("special2", &addend.special),
            )
        });
        let fraction = (addend.fraction.as_ref()).map(|f| m.register("fraction2", f));
        m.section(match fraction {
            Some(_) => "3: low product; the constant at product scale",
            None => "3: low product; gemmlowp's first rounding",
        });
        let low = m.register("lo_product", &s2.times(&low));
        let s3 = m.register("s3", upper.as_ref().unwrap_or(&s2));
        let high = m.register("hi3", &high);
        let sum = match (nudge, fraction) {
            (_, Some(fraction)) => {
                let zeros = |bits| constant(unsigned(bits), 0);
                let above = product_bits - FRACTION_BITS - FRACTION_PLACES;
                let constant = concat(&[zeros(above), fraction, zeros(FRACTION_PLACES)]);
                low.plus(&m.register("constant", &constant.as_signed()))
            }
            (Some((negative, special)), None) => {
                // {sign, 1, 30 zeros} is 2^30 or -2^30
                let ones = repeat(&negative.and(&special), product_bits - 31);
                let nudge = concat(&[ones, special, constant(unsigned(30), 0)]).as_signed();
                low.plus(&m.register("nudge", &nudge))
            }
            (None, None) => low,
        };
        m.section("4: low sum, high product");
        let low = m.register("lo_sum", &sum);
        let high = m.register("hi_product", &s3.times(&high));
        m.section("5: t = {high sum, 17 low bits}");
        let carried = low
            .slice(LOW, product_bits - LOW)
            .as_signed()
            .extend(high.ty().width);
        let high = m.register("hi_sum", &high.plus(&carried));
        let low = m.register("t_low", &low.slice(0, LOW));
        m.wire("t", &concat(&[high.as_unsigned(), low]).as_signed())
    }
}

/// What the two DSPs multiply.
struct Operands {
    /// Sum and multiplier of the low DSP.
    low_sum: Expr,
    low: Expr,
    /// Sum of the high DSP where it is another one.
    high_sum: Option<Expr>,
    high: Expr,
}

impl Operands {
    /// Both halves of the multiplier with the whole sum; in layers that `wide` says, the multiplier with
    /// both parts of the sum.
    fn new(m: &mut Module, s: &Expr, multiplier: &Expr, wide: Option<&Expr>) -> Self {
        let low = multiplier.slice(0, LOW).extend(LOW + 1).as_signed();
        let high = |bits: u32| multiplier.slice(LOW, 31 - LOW).extend(bits).as_signed();
        let Some(wide) = wide else {
            return Operands {
                low_sum: s.clone(),
                low: m.register("lo", &low),
                high_sum: None,
                high: m.register("hi", &high(32 - LOW)),
            };
        };
        let reduced = multiplier.slice(0, REDUCED).extend(REDUCED + 1).as_signed();
        let whole = s.slice(0, PORT).as_signed();
        let below = s.slice(0, LOW).extend(PORT).as_signed();
        let above = m.wire("s_above", &s.slice(LOW, s.ty().width - LOW).as_signed());
        Operands {
            low_sum: mux(wide, &below, &whole),
            low: m.register("lo", &low),
            high_sum: Some(mux(wide, &above.extend(PORT), &whole)),
            high: m.register("hi", &mux(wide, &reduced, &high(REDUCED + 1))),
        }
    }
}

/// Stages 6 and 7: `h`, `kept` bits of it, and `fraction` bits below them.
fn half(m: &mut Module, t: &Expr, places: &Expr, [kept, fraction]: [u32; 2]) -> Half {
    let kept = kept + fraction;
    m.section("6: shift by 0, 16, 32 or 48");
    let coarse = m.wire("coarse", &places.slice(4, 2));
    let t = match fraction {
        0 => t.clone(),
        _ => m.wire("t_scaled", &t.shifted_left(fraction)),
    };
    let first = stage(m, "coarse", &t, &coarse, 16, kept + 15);
    let value = m.register("coarse", &first.value);
    let over = m.register("coarse_over", &first.over);
    let negative = m.register("t_negative", &t.sign());
    let sticky = (fraction > 0).then(|| m.register("coarse_sticky", &first.sticky));
    let places = m.register("places_left", &places.slice(0, 4));
    m.section("7: shift by 0 to 15");
    let middle = m.wire("middle", &places.slice(2, 2));
    let second = stage(m, "middle", &value, &middle, 4, kept + 3);
    let value = m.wire("middle_value", &second.value);
    let fine = m.wire("fine", &places.slice(0, 2));
    let third = stage(m, "fine", &value, &fine, 1, kept);
    let h = m.register("h", &third.value);
    let over = m.register("over", &over.or(&second.over).or(&third.over));
    let negative = m.register("h_negative", &negative);
    let sticky = match sticky {
        Some(first) => m.register("sticky", &first.or(&second.sticky).or(&third.sticky)),
        None => constant(unsigned(1), 0),
    };
    Half {
        h,
        over,
        negative,
        sticky,
    }
}

/// Stage 8: rounding, together with the zero point.
fn finish(m: &mut Module, half: &Half, zero_point: &Expr) -> Unclamped {
    m.section("8: value = (h + 2*zero_point + 1) >> 1");
    let kept = half.h.ty().width;
    let one = constant(unsigned(1), 1);
    let twice = concat(&[zero_point.as_unsigned(), one])
        .as_signed()
        .extend(kept + 1);
    let sum = m.wire("sum", &half.h.extend(kept + 1).plus(&twice));
    let value = m.register("value", &sum.slice(1, kept).as_signed());
    m.unused(&sum.bit(0));
    let far_below = m.register("far_below", &half.over.and(&half.negative));
    let far_above = m.register("far_above", &half.over.and(&half.negative.not()));
    Unclamped {
        value,
        far_below,
        far_above,
    }
}
