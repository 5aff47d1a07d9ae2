//! IEEE 754 binary16 ("FP16"), by its bits: every rule of the FP16 lane.
//!
//! Rounding is to nearest, ties to even. Subnormal numbers are numbers like any other: nothing is
//! flushed to zero, as the lane's normalizing shifter handles them anyway. Infinities follow IEEE;
//! there is one NaN ([`Fp16::NAN`]), which every operation with a NaN operand or without a value gives.
//!
//! | module | states |
//! | --- | --- |
//! | `arithmetic` | sum, product, order, minimum, maximum |
//! | `convert` | accumulator to FP16 ([`Fp16Factor`]), FP16 to int8 ([`Fp16Quantizer`]) |
//! | `functions` | tanh, the logistic function, exponential, reciprocal |

mod arithmetic;
mod convert;
mod functions;

pub use convert::{Fp16Factor, Fp16Quantizer};
pub use functions::{EXP_LOG2E, Fp16Tables, TANH_FIRST, TANH_LAST, TANH_ONE};

/// A binary16 number: sign, five bits of exponent (bias 15), ten of fraction. The default is positive
/// zero.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Fp16(u16);

/// Fraction bits.
const FRACTION: u32 = 10;
/// The weight of the last fraction bit of subnormal numbers is `2^LEAST`.
const LEAST: i32 = -24;
/// Exponent field of infinities and NaN.
const SPECIAL: u16 = 31;

impl Fp16 {
    /// Positive zero.
    pub const ZERO: Fp16 = Fp16(0);
    /// One half.
    pub const HALF: Fp16 = Fp16(0x3800);
    /// One.
    pub const ONE: Fp16 = Fp16(0x3c00);
    /// The largest finite number, 65504.
    pub const MAX: Fp16 = Fp16(0x7bff);
    /// Positive infinity.
    pub const INFINITY: Fp16 = Fp16(0x7c00);
    /// The NaN that operations give.
    pub const NAN: Fp16 = Fp16(0x7e00);

    /// The number with these bits.
    pub const fn from_bits(bits: u16) -> Self {
        Fp16(bits)
    }

    /// The number's bits.
    pub const fn to_bits(self) -> u16 {
        self.0
    }

    /// The sign bit.
    pub const fn is_negative(self) -> bool {
        self.0 >> 15 == 1
    }

    /// Whether it is a NaN, canonical or not.
    pub const fn is_nan(self) -> bool {
        self.0 & 0x7fff > Self::INFINITY.0
    }

    /// Whether it is one of the infinities.
    pub const fn is_infinite(self) -> bool {
        self.0 & 0x7fff == Self::INFINITY.0
    }

    /// The number with the sign bit cleared.
    #[must_use]
    pub const fn abs(self) -> Self {
        Fp16(self.0 & 0x7fff)
    }

    /// The number with the sign bit inverted.
    #[must_use]
    pub const fn negated(self) -> Self {
        Fp16(self.0 ^ 0x8000)
    }

    /// `(significand, exponent)` of a finite number: its magnitude is `significand * 2^exponent`,
    /// with a significand below 2^11.
    fn parts(self) -> (u32, i32) {
        let (exponent, fraction) = (self.0 >> FRACTION & SPECIAL, self.0 & 0x3ff);
        match exponent {
            0 => (fraction.into(), LEAST),
            e => ((fraction | 0x400).into(), LEAST + i32::from(e) - 1),
        }
    }

    /// `+-magnitude * 2^exponent`, rounded once: the one rounding rule of all operations.
    /// The magnitude is below 2^100.
    fn round(negative: bool, magnitude: u128, exponent: i32) -> Self {
        let sign = u16::from(negative) << 15;
        if magnitude == 0 {
            return Fp16(sign);
        }
        let width = 128 - magnitude.leading_zeros() as i32;
        // weight of the result's last bit, before rounding
        let last = (width + exponent - 11).max(LEAST);
        if last > 5 {
            return Fp16(sign | Self::INFINITY.0);
        }
        let kept = match last - exponent {
            places if places <= 0 => (magnitude << -places) as u32,
            places if places > 120 => 0,
            places => {
                let (kept, rest) = (magnitude >> places, magnitude & ((1 << places) - 1));
                let half = 1u128 << (places - 1);
                (kept + u128::from(rest > half || rest == half && kept & 1 == 1)) as u32
            }
        };
        // A significand that reached 2^11 carries into the exponent, to infinity at the end; a
        // subnormal one has no hidden bit to add.
        let field = ((last - LEAST) as u32) << FRACTION;
        Fp16(sign | (field + kept) as u16)
    }

    /// The nearest FP16 of a float64.
    pub fn from_f64(x: f64) -> Self {
        let bits = x.to_bits();
        let (field, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
        match field {
            0x7ff if fraction != 0 => Self::NAN,
            0x7ff => Fp16(Self::INFINITY.0 | u16::from(x < 0.0) << 15),
            // below every FP16, the zeros included
            0 => Fp16(u16::from(bits >> 63 == 1) << 15),
            _ => Self::round(x < 0.0, (fraction | 1 << 52).into(), field - 1075),
        }
    }

    /// The number as a float64, exactly.
    pub fn to_f64(self) -> f64 {
        let magnitude = if self.is_nan() {
            return f64::NAN;
        } else if self.is_infinite() {
            f64::INFINITY
        } else {
            let (significand, exponent) = self.parts();
            f64::from(significand) * 2f64.powi(exponent)
        };
        if self.is_negative() {
            -magnitude
        } else {
            magnitude
        }
    }
}

impl std::fmt::Debug for Fp16 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (0x{:04x})", self.to_f64(), self.0)
    }
}
