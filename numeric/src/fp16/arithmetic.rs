//! Sum, product, order.

use super::Fp16;

impl Fp16 {
    /// The sum. `x + -x` is positive zero, opposite infinities give NaN.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        if self.is_nan() || other.is_nan() {
            return Self::NAN;
        }
        match (self.is_infinite(), other.is_infinite()) {
            (true, true) if self != other => return Self::NAN,
            (true, _) => return self,
            (_, true) => return other,
            _ => {}
        }
        // Every finite number is a multiple of 2^-24 below 2^16, so the sum is exact in 42 bits.
        let exact = |x: Self| {
            let (significand, exponent) = x.parts();
            let magnitude = i64::from(significand) << (exponent - super::LEAST);
            if x.is_negative() {
                -magnitude
            } else {
                magnitude
            }
        };
        let sum = exact(self) + exact(other);
        let negative = match sum {
            0 => self.is_negative() && other.is_negative(),
            _ => sum < 0,
        };
        Self::round(negative, sum.unsigned_abs().into(), super::LEAST)
    }

    /// The product. Zero times infinity is NaN.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let negative = self.is_negative() != other.is_negative();
        if self.is_nan() || other.is_nan() {
            return Self::NAN;
        }
        if self.is_infinite() || other.is_infinite() {
            let zero = self.abs() == Self::ZERO || other.abs() == Self::ZERO;
            return match (zero, negative) {
                (true, _) => Self::NAN,
                (_, true) => Self::INFINITY.negated(),
                (_, false) => Self::INFINITY,
            };
        }
        let ((a, ea), (b, eb)) = (self.parts(), other.parts());
        Self::round(negative, u128::from(a) * u128::from(b), ea + eb)
    }

    /// Whether it is less than `other`; false where one is NaN. The zeros are equal.
    pub fn is_less(self, other: Self) -> bool {
        let zeros = (self.0 | other.0) & 0x7fff == 0;
        !self.is_nan() && !other.is_nan() && !zeros && self.key() < other.key()
    }

    /// IEEE 754-2019 `maximum`: NaN where one is NaN; negative zero is below positive zero.
    #[must_use]
    pub fn maximum(self, other: Self) -> Self {
        match self.is_nan() || other.is_nan() {
            true => Self::NAN,
            false if self.key() < other.key() => other,
            false => self,
        }
    }

    /// IEEE 754-2019 `minimum`, the counterpart of [`Self::maximum`].
    #[must_use]
    pub fn minimum(self, other: Self) -> Self {
        match self.is_nan() || other.is_nan() {
            true => Self::NAN,
            false if self.key() < other.key() => self,
            false => other,
        }
    }

    /// An integer that is ordered as the numbers are, negative zero below positive zero.
    fn key(self) -> u16 {
        match self.is_negative() {
            true => !self.0,
            false => self.0 | 0x8000,
        }
    }
}
