//! Sums of integers with whole factors, divided and rounded down: the residual sums of integer-only
//! ONNX models.

use crate::format::AffineParams;

/// `floor((a * (qa - za) + b * (qb - zb)) / divisor)`, exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightedSum {
    /// Factor of the first operand.
    pub a: i32,
    /// Zero point of the first operand.
    pub zero_point_a: i32,
    /// Factor of the second operand.
    pub b: i32,
    /// Zero point of the second operand.
    pub zero_point_b: i32,
    /// At least 1.
    pub divisor: i32,
}

/// Factors and divisors stay below this. Then a model's float32 arithmetic gives the same
/// integers: products and sums stay below 2^24, and a quotient that is no whole number is further
/// away from the next one than a float32 rounding reaches.
const LIMIT: f32 = 2048.0;

impl WeightedSum {
    /// The rule where the scales are whole factors; `None` where they, or the divisor, are not
    /// whole numbers in `1..2048`.
    pub fn new(a: AffineParams, b: AffineParams, divisor: f32) -> Option<Self> {
        let whole = |v: f32| (v.fract() == 0.0 && (1.0..LIMIT).contains(&v)).then_some(v as i32);
        Some(Self {
            a: whole(a.scale)?,
            zero_point_a: a.zero_point,
            b: whole(b.scale)?,
            zero_point_b: b.zero_point,
            divisor: whole(divisor)?,
        })
    }

    pub(super) fn apply(&self, a: i8, b: i8) -> i64 {
        let sum = self.a * (i32::from(a) - self.zero_point_a)
            + self.b * (i32::from(b) - self.zero_point_b);
        sum.div_euclid(self.divisor).into()
    }

    pub(super) fn factors(&self) -> (f64, f64) {
        let ratio = |factor: i32| f64::from(factor) / f64::from(self.divisor);
        (ratio(self.a), ratio(self.b))
    }
}
