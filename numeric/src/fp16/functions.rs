//! tanh, the logistic function, exponential, reciprocal.

use super::{FRACTION, Fp16};

/// Bits of the first magnitude in the tanh table: below `2^-6`, `tanh(x)` rounds to `x`.
pub const TANH_FIRST: u16 = 0x2400;
/// Bits of the first magnitude behind the tanh table, 4.0.
pub const TANH_LAST: u16 = 0x4400;
/// From this magnitude on (4.508) `tanh` rounds to one; between 4.0 and here to the number before.
pub const TANH_ONE: u16 = 0x4482;

/// Fraction bits of the exponential's argument in base 2, and so address bits of its table.
const EXP_BITS: u32 = 11;
/// `log2(e) * 2^20`, rounded.
pub const EXP_LOG2E: u32 = 1_512_775;

/// Fraction bits of the reciprocal's table; the last one says that there are more.
const RECIPROCAL_BITS: u32 = 13;

impl Fp16 {
    /// tanh, correctly rounded.
    ///
    /// The value is asked of float64. No FP16 argument has a tanh within `2^-44` of the middle
    /// between two FP16 (tested), so every library's float64 tanh gives the same result.
    #[must_use]
    pub fn tanh(self) -> Self {
        if self.is_nan() {
            return Self::NAN;
        }
        let magnitude = match self.abs().0 {
            x if x < TANH_FIRST => Fp16(x),
            x if x >= TANH_ONE => Self::ONE,
            x => Self::from_f64(Fp16(x).to_f64().tanh()),
        };
        Fp16(magnitude.0 | self.0 & 0x8000)
    }

    /// The logistic function by `1/2 + tanh(x/2)/2`: a halving, [`Self::tanh`], a halving and a
    /// [sum](Self::plus). Within `3 * 2^-13` of the real one, which is 3/4 of the last place of
    /// numbers above one half.
    ///
    /// A halving takes one from the exponent; below the normal numbers, where the sum does not
    /// see it, it gives zero.
    #[must_use]
    pub fn logistic(self) -> Self {
        Self::HALF.plus(self.halved().tanh().halved())
    }

    /// Half of a number from `2^-13` on and of an infinity or NaN, zero below; with its sign.
    fn halved(self) -> Self {
        let (sign, magnitude) = (self.0 & 0x8000, self.0 & 0x7fff);
        match magnitude >> FRACTION {
            0 | 1 => Fp16(sign),
            31 => self,
            _ => Fp16(sign | (magnitude - (1 << FRACTION))),
        }
    }

    /// The exponential, within 0.86 of the result's last place.
    ///
    /// ```text
    /// y = round(x * EXP_LOG2E / 2^20 * 2^11)     half away from zero; an integer
    /// e^x = round(2^(y mod 2^11 / 2^11) * 2^10) * 2^(floor(y / 2^11) - 10)
    /// ```
    ///
    /// The first rounding of the last line is a table of 2,048 words, the second happens only where
    /// the result is subnormal.
    #[must_use]
    pub fn exp(self) -> Self {
        if self.is_nan() {
            return Self::NAN;
        }
        // beyond 32 the result is infinite or zero
        if self.abs().0 >= 0x5000 {
            return match self.is_negative() {
                true => Self::ZERO,
                false => Self::INFINITY,
            };
        }
        let (significand, exponent) = self.parts();
        let product = u64::from(significand) * u64::from(EXP_LOG2E);
        // units of 2^(exponent - 20) become units of 2^-11; exponent is at most -6
        let places = (20 - EXP_BITS as i32 - exponent) as u32;
        let magnitude = (((product >> (places - 1)) + 1) >> 1) as i64;
        let y = if self.is_negative() {
            -magnitude
        } else {
            magnitude
        };
        let power = exp_significand((y & ((1 << EXP_BITS) - 1)) as u32);
        Self::round(false, power.into(), (y >> EXP_BITS) as i32 - 10)
    }

    /// `1 / x`, correctly rounded; the reciprocal of a zero is an infinity of its sign.
    #[must_use]
    pub fn reciprocal(self) -> Self {
        let sign = self.0 & 0x8000;
        match self.abs() {
            _ if self.is_nan() => Self::NAN,
            Self::ZERO => Fp16(sign | Self::INFINITY.0),
            Self::INFINITY => Fp16(sign),
            _ => {
                let (significand, exponent) = self.parts();
                let shift = significand.leading_zeros() - 21;
                let quotient = reciprocal_significand((significand << shift) & 0x3ff);
                let exponent = shift as i32 - exponent - 10 - RECIPROCAL_BITS as i32 - 1;
                Self::round(self.is_negative(), quotient.into(), exponent)
            }
        }
    }
}

/// `round(2^(f / 2^11) * 2^10)`, 1024 to 2047.
fn exp_significand(f: u32) -> u32 {
    let power = (f64::from(f) / f64::from(1 << EXP_BITS)).exp2();
    (power * 1024.0).round() as u32
}

/// `2^14 / (1 + fraction/2^10)`, its last bit set where it is not whole. Whatever is rounded from
/// it at an earlier bit is rounded as the quotient itself.
fn reciprocal_significand(fraction: u32) -> u32 {
    let (numerator, denominator) = (1 << (RECIPROCAL_BITS + 11), fraction | 0x400);
    let (quotient, rest) = (numerator / denominator, numerator % denominator);
    quotient | u32::from(rest != 0)
}

/// The words of the functions' tables, as the hardware keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fp16Tables {
    /// tanh of the magnitudes [`TANH_FIRST`]`..`[`TANH_LAST`]: 8,192 words of 14 bits.
    pub tanh: Vec<u16>,
    /// Fractions of the powers of two: 2,048 words of 10 bits.
    pub exp: Vec<u16>,
    /// Reciprocals of `1 + address/2^10` in units of `2^-14`: 1,024 words of 15 bits.
    pub reciprocal: Vec<u16>,
}

impl Fp16Tables {
    /// The tables.
    pub fn new() -> Self {
        let tanh = TANH_FIRST..TANH_LAST;
        Self {
            tanh: tanh.map(|x| Fp16(x).tanh().0).collect(),
            exp: (0..1 << EXP_BITS)
                .map(|f| (exp_significand(f) - 1024) as u16)
                .collect(),
            reciprocal: (0..1 << FRACTION)
                .map(|f| reciprocal_significand(f) as u16)
                .collect(),
        }
    }
}

impl Default for Fp16Tables {
    fn default() -> Self {
        Self::new()
    }
}
