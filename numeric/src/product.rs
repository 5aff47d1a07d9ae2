//! A product of two int8 values as a requantizer of the exact integer product, proved on all pairs.

use crate::binary::{BinaryFunction, BinaryRule, FloatOperation};
use crate::error::{NumericError, Result};
use crate::format::Clamp;
use crate::interval::Interval;
use crate::requant::{RequantRule, Requantizer};
use crate::thresholds::Thresholds;
use std::collections::BTreeMap;

/// `requant((a - zero_points[0]) * (b - zero_points[1]))`.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// Of the operands.
    pub zero_points: [i32; 2],
    /// Product to output value. Where float32 roundings of the model make it no scale and shift it is a
    /// staircase.
    pub requant: Requantizer,
}

impl Product {
    /// Whether `rule` multiplies its operands.
    pub fn is_product(rule: &BinaryRule) -> bool {
        match &rule.function {
            BinaryFunction::TfliteMul(_) | BinaryFunction::QLinearMul(_) => true,
            BinaryFunction::Float(f) => f.operation == FloatOperation::Mul,
            _ => false,
        }
    }

    /// The requantizer of the product that equals `rule` on all 65,536 pairs, in value and in whether a
    /// pair saturates.
    ///
    /// # Errors
    /// * [`NumericError::NotProduct`]: the rule is no multiplication, or float32 roundings of the
    ///   operands give pairs of one product different results.
    pub fn solve(rule: &BinaryRule) -> Result<Self> {
        let none = NumericError::NotProduct { name: rule.name() };
        let (zero_points, scaled) = match &rule.function {
            BinaryFunction::TfliteMul(mul) => (
                [-mul.input1_offset, -mul.input2_offset],
                RequantRule::TfliteDouble {
                    multiplier: mul.multiplier,
                    shift: mul.shift,
                },
            ),
            BinaryFunction::QLinearMul(mul) => (
                [mul.zero_point_a, mul.zero_point_b],
                RequantRule::OrtX86 { scale: mul.ratio },
            ),
            BinaryFunction::Float(f) if f.operation == FloatOperation::Mul => (
                [f.a.zero_point, f.b.zero_point],
                RequantRule::OrtX86 {
                    scale: f.a.scale * f.b.scale / f.scale,
                },
            ),
            _ => return Err(none),
        };
        let with = |scale: RequantRule| Self {
            zero_points,
            requant: Requantizer {
                rule: scale,
                zero_point: rule.zero_point,
                clamp: rule.clamp,
            },
        };
        let normal = !matches!(scaled, RequantRule::OrtX86 { scale } if !scale.is_normal());
        if let Some(product) = Some(with(scaled)).filter(|p| normal && p.proves(rule)) {
            return Ok(product);
        }
        let steps = staircase(rule, zero_points).ok_or(none.clone())?;
        Some(with(RequantRule::Staircase(steps)))
            .filter(|p| p.proves(rule))
            .ok_or(none)
    }

    /// The products of all pairs.
    pub fn reach(&self) -> Interval {
        let [a, b] = self
            .zero_points
            .map(|z| Interval::INT8 + Interval::point(-i64::from(z)));
        a * b
    }

    /// Whether this equals `rule` on all 65,536 pairs, saturations included.
    fn proves(&self, rule: &BinaryRule) -> bool {
        let clamp = self.requant.clamp;
        pairs().all(|(a, b)| {
            let y = self.requant.unclamped(of_pair(self.zero_points, a, b));
            i64::from(clamp.apply(y)) == i64::from(rule.apply(a, b))
                && clamp.saturates(y, rule.lower_is_activation) == rule.saturates(a, b)
        })
    }
}

/// The exact product of a pair.
fn of_pair(zero_points: [i32; 2], a: i8, b: i8) -> i64 {
    i64::from(i32::from(a) - zero_points[0]) * i64::from(i32::from(b) - zero_points[1])
}

/// The values of the rule by product, less its zero point; `None` where a product has several, or
/// they decrease.
fn staircase(rule: &BinaryRule, zero_points: [i32; 2]) -> Option<Thresholds> {
    // one beyond int8 on either side tells where a value saturates
    let bounds = Clamp { lo: -129, hi: 128 };
    let mut values: BTreeMap<i64, i32> = BTreeMap::new();
    for (a, b) in pairs() {
        let y = bounds.apply(rule.unclamped(a, b)) - rule.zero_point;
        if *values.entry(of_pair(zero_points, a, b)).or_insert(y) != y {
            return None;
        }
    }
    let base = *values.values().next()?;
    let mut last = base;
    let mut at = Vec::new();
    for (&product, &y) in &values {
        let steps = usize::try_from(y - last).ok()?;
        at.resize(at.len() + steps, i32::try_from(product).ok()?);
        last = y;
    }
    Thresholds::new(base, at).ok()
}

/// Every pair of int8 values.
fn pairs() -> impl Iterator<Item = (i8, i8)> {
    (-128..=127).flat_map(|a| (-128..=127).map(move |b| (a, b)))
}
