//! The arithmetic of the hardware's requantizer lane: one integer formula for all four rules.

use crate::error::{NumericError, Result};
use crate::fixed::reduced_multiplier;
use crate::format::Clamp;
use crate::requant::{RequantRule, Requantizer};

/// Constants of one requantizer lane. The lane computes, on exact integers,
///
/// ```text
/// t = acc * multiplier + constant + 2^(shift-1)         half added
///   + (double_round ? (acc < 0 ? -2^30 : 2^30) : 0)     gemmlowp's first rounding
/// y = t >> shift                                        arithmetic shift
/// y = tie_window ? nearest even where t is that close to a tie : y
/// q = clamp(y + zero_point)
/// ```
///
/// **tflite-double**, right shift `rs >= 1`, `M` the multiplier. Both roundings are floors, and
/// nested floors collapse: `floor((floor((acc*M + 2^30) / 2^31) + K) / 2^rs) =
/// floor((acc*M + 2^30 + K*2^31) / 2^(31+rs))` with `K = 2^(rs-1) - (x < 0)`, where `x` is the
/// inner floor: half away from zero is half up, less one for a negative `x`. So the constant is
/// `2^(30+rs)` plus `2^30`, or `2^30 - 2^31 = -2^30` when negative. `x < 0` may be read as
/// `acc < 0` because `M >= 2^30`: they differ only for `acc = -1, M = 2^30`, where `x = 0` and
/// both constants give 0. For `rs = 0` and for left shifts only the first rounding is left, which
/// is a plain half-up rounding of the product shifted by `31 - left`.
///
/// **ort-x86**: see [`TieWindow`]. **tflite-single**, **pow2**,
/// [`RequantRule::MultiplyAdd`] and [`RequantRule::Wide`] are the formula as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneConstants {
    /// Factor of the accumulator, below 2^31.
    pub multiplier: u32,
    /// Total right shift, 1..=62.
    pub shift: u8,
    /// Added to the product: a multiple of 2^[`FRACTION_PLACES`] below 2^31. Only lanes without
    /// gemmlowp's first rounding have it.
    pub constant: u32,
    /// Adds 2^30 for `acc >= 0` and subtracts it for `acc < 0`.
    pub double_round: bool,
    /// The float32 tie rule of onnxruntime.
    pub tie_window: Option<TieWindow>,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Output bounds, the activation included.
    pub clamp: Clamp,
}

/// Where a float32 product would have been rounded onto a tie.
///
/// onnxruntime rounds `acc * scale` to 24 bits and then half to even. With `scale = m * 2^-shift`
/// (`m` the 24-bit mantissa) the exact product is `acc * m`. Rounding to 24 bits can change the
/// final integer in one way only: by moving the product onto a tie `T = k + 1/2`, which happens
/// when it is at most half a float32 ulp away (inclusive, because `T` has an even mantissa).
/// Then the result is the even one of `k` and `k + 1`.
///
/// With `t = acc * m + 2^(shift-1)`, `y = t >> shift` and `r` the low `shift` bits of `t`:
/// `r` is the distance above the tie below, `2^shift - r` the distance to the tie above. If `y`
/// is odd and `r <= window`, one is subtracted; if `y` is odd and `2^shift - r <= window`, one is
/// added. The tie's binade is that of `|y|`, except for the ties `+-1/2`, where it is one lower:
///
/// `window = floor(2^(log2_unit + j))`, `j = floor(log2 |y|)`, less one where `y = 1` and the tie
/// is below it, or `y = -1` and the tie is above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TieWindow {
    /// log2 of half a float32 ulp of 1.0 in units of the product: `shift - 24`. With `j` it may
    /// be negative; then only exact ties count (window 0).
    pub log2_unit: i8,
}

/// Accumulators up to this magnitude are exact in float32; the ort-x86 lane is defined on them.
pub const FLOAT_EXACT_LIMIT: i64 = 1 << 24;

/// Bits of [`LaneConstants::constant`] that are stored: with a multiplier of 31 bits they are a fraction of
/// an accumulator.
pub const FRACTION_BITS: u32 = 16;

/// Zero bits below them.
pub const FRACTION_PLACES: u32 = 31 - FRACTION_BITS;

/// What [`LaneConstants::constant`] stays below.
pub(crate) const PRODUCT_CONSTANT_LIMIT: u32 = 1 << (FRACTION_BITS + FRACTION_PLACES);

impl LaneConstants {
    /// The constants that make the lane equal to `requantizer`.
    ///
    /// Equality holds on all int32 accumulators for the three integer rules, and up to
    /// [`FLOAT_EXACT_LIMIT`] for ort-x86; [`crate::staircase::prove_equal`] checks it per channel.
    ///
    /// # Errors
    /// The shift leaves 1..=62, the multiplier is not below 2^31, or the rule is a general
    /// staircase, whose lane has to be solved for ([`crate::solve_lanes`]).
    pub fn from_requantizer(requantizer: &Requantizer) -> Result<Self> {
        let (multiplier, shift, double_round) = match &requantizer.rule {
            &RequantRule::TfliteDouble { multiplier, shift } => {
                (multiplier, 31 - shift, shift < 0 && multiplier != 0)
            }
            &RequantRule::TfliteSingle { multiplier, shift } => (multiplier, 31 - shift, false),
            &RequantRule::Wide { multiplier, shift } => {
                (reduced_multiplier(multiplier), 15 - shift, false)
            }
            &RequantRule::OrtX86 { scale } => float_constants(scale),
            // A shift of zero is written as twice the value, shifted by one.
            RequantRule::Pow2 { shift: 0 } => (2, 1, false),
            &RequantRule::Pow2 { shift } => (1, shift as i32, false),
            &RequantRule::MultiplyAdd {
                multiplier, shift, ..
            } => (multiplier, shift.into(), false),
            RequantRule::Staircase(steps) => {
                return Err(NumericError::NotALane {
                    what: format!(
                        "a staircase of {} steps as it stands; solve for it",
                        steps.at().len()
                    ),
                });
            }
        };
        if !(1..=62).contains(&shift) || multiplier < 0 {
            return Err(NumericError::NotALane {
                what: format!("{:?}: shift {shift}, wanted 1..=62", requantizer.rule),
            });
        }
        let constant = match requantizer.rule {
            RequantRule::MultiplyAdd { constant, .. } => constant,
            _ => 0,
        };
        if constant >= PRODUCT_CONSTANT_LIMIT || constant % (1 << FRACTION_PLACES) != 0 {
            return Err(NumericError::NotALane {
                what: format!(
                    "{:?}: wanted a multiple of 2^{FRACTION_PLACES} below 2^31",
                    requantizer.rule
                ),
            });
        }
        let is_float = matches!(requantizer.rule, RequantRule::OrtX86 { .. });
        Ok(Self {
            multiplier: multiplier as u32,
            shift: shift as u8,
            constant,
            double_round,
            tie_window: (is_float && multiplier != 0).then_some(TieWindow {
                log2_unit: shift as i8 - 24,
            }),
            zero_point: requantizer.zero_point,
            clamp: requantizer.clamp,
        })
    }

    /// The constant half that is added before the shift.
    pub fn rounding(&self) -> i64 {
        1 << (self.shift - 1)
    }

    /// The value before clamping, zero point added. `acc` is an int32, or has 48 bits where the
    /// multiplier has 15 ([`RequantRule::Wide`]).
    pub fn unclamped(&self, acc: i64) -> i64 {
        debug_assert!(
            i32::try_from(acc).is_ok()
                || (acc.unsigned_abs() <= 1 << 47 && self.multiplier < 1 << 15),
            "accumulator {acc} is too wide"
        );
        let correction = match (self.double_round, acc < 0) {
            (false, _) => 0,
            (true, false) => 1 << 30,
            (true, true) => -(1 << 30),
        };
        // Below 2^62 + 2^61 + 2^31, so int64 is enough.
        let constant = self.rounding() + correction + i64::from(self.constant);
        let t = acc * i64::from(self.multiplier) + constant;
        let y = t >> self.shift;
        let tie = self
            .tie_window
            .map_or(0, |w| w.correction(t, y, self.shift));
        y + tie + i64::from(self.zero_point)
    }

    /// The int8 value of an accumulator.
    pub fn apply(&self, acc: i64) -> i32 {
        self.clamp.apply(self.unclamped(acc))
    }
}

impl TieWindow {
    /// -1, 0 or +1: what has to be added to the half-up result `y = t >> shift`.
    fn correction(self, t: i64, y: i64, shift: u8) -> i64 {
        if y & 1 == 0 {
            return 0;
        }
        let above_tie = t & ((1 << shift) - 1);
        let below_tie = (1 << shift) - above_tie;
        let binade = y.unsigned_abs().ilog2() as i32;
        if above_tie <= self.window(binade - i32::from(y == 1)) {
            -1
        } else if below_tie <= self.window(binade - i32::from(y == -1)) {
            1
        } else {
            0
        }
    }

    fn window(self, binade: i32) -> i64 {
        match i32::from(self.log2_unit) + binade {
            negative if negative < 0 => 0,
            exponent => 1 << exponent.min(62),
        }
    }
}

/// Mantissa and shift of a positive normal float32 scale: `scale = m * 2^-shift`.
fn float_constants(scale: f32) -> (i32, i32, bool) {
    // |acc| <= 2^24 stays below a quarter, so every output is the zero point.
    if scale < 2f32.powi(-26) {
        return (0, 31, false);
    }
    let bits = scale.to_bits();
    let mantissa = (bits & 0x7f_ffff) | 0x80_0000;
    let exponent = (bits >> 23) as i32 - 150;
    (mantissa as i32, -exponent, false)
}
