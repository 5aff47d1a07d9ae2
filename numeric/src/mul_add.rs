//! An int8 addition as one multiply-add, solved for and proved on all input pairs.

use crate::add::AddRule;
use crate::error::{NumericError, Result};
use crate::format::Clamp;

/// `clamp((a * qa + b * qb + c) >> shift)`: what the hardware's residual adder computes.
///
/// The output zero point is part of `c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MulAdd {
    /// Factor of the first input, 25 bits signed.
    pub a: i32,
    /// Factor of the second input, 25 bits signed.
    pub b: i32,
    /// Constant.
    pub c: i64,
    /// Arithmetic right shift.
    pub shift: u8,
    /// Output bounds, the activation included.
    pub clamp: Clamp,
}

impl MulAdd {
    /// Largest shift that is tried.
    pub const MAX_SHIFT: u8 = 24;

    /// The value of one pair.
    pub fn apply(&self, qa: i8, qb: i8) -> i8 {
        let sum = i64::from(self.a) * i64::from(qa) + i64::from(self.b) * i64::from(qb) + self.c;
        self.clamp.apply(sum >> self.shift) as i8
    }

    /// The multiply-add with the smallest shift that equals `rule` on all 65,536 pairs.
    ///
    /// For given `a`, `b` and `shift` every pair allows an interval of `c`: the sum must reach
    /// `y << shift` and stay below `(y + 1) << shift`, unless `y` is a clamp bound. Integers near
    /// the real factors are tried until the intersection is not empty.
    ///
    /// # Errors
    /// None exists with a shift up to [`Self::MAX_SHIFT`] near the real factors. That was seen
    /// only where many sums lie exactly on a tie and TFLite's rounding of the inputs decides them
    /// without order: scales in simple ratios such as 3 : 2 : 2 with unlike zero points.
    pub fn solve(rule: &AddRule) -> Result<Self> {
        let problem = Problem::new(rule);
        (1..=Self::MAX_SHIFT)
            .find_map(|shift| problem.solve_shift(shift))
            .filter(|solution| solution.proves(rule))
            .ok_or(NumericError::NoMulAdd {
                max_shift: Self::MAX_SHIFT,
            })
    }

    /// Whether this equals `rule` on all 65,536 pairs.
    pub fn proves(&self, rule: &AddRule) -> bool {
        pairs().all(|(qa, qb)| self.apply(qa, qb) == rule.apply(qa, qb))
    }
}

/// Every pair of int8 values.
fn pairs() -> impl Iterator<Item = (i8, i8)> {
    (-128..=127).flat_map(|qa| (-128..=127).map(move |qb| (qa, qb)))
}

/// How far around the rounded real factors integers are tried.
const RADIUS: i64 = 4;

/// Factors wider than the multiplier's 25-bit signed input are of no use.
const FACTOR_LIMIT: i64 = 1 << 24;

/// One bound on the constant: `c >= level * 2^shift - a * qa - b * qb`, or `c <` the same.
struct Bound {
    qa: i64,
    qb: i64,
    level: i64,
    /// The bound over 2^shift with the real factors in place of `a` and `b`.
    nominal: f64,
}

struct Problem {
    alpha: f64,
    beta: f64,
    /// Tightest first.
    lower: Vec<Bound>,
    /// Tightest first.
    upper: Vec<Bound>,
    clamp: Clamp,
}

impl Problem {
    fn new(rule: &AddRule) -> Self {
        let output = real_multiplier(rule.output_multiplier, rule.output_shift)
            * f64::from(1 << rule.left_shift);
        let alpha = output * real_multiplier(rule.input1_multiplier, rule.input1_shift);
        let beta = output * real_multiplier(rule.input2_multiplier, rule.input2_shift);
        let bound = |qa: i8, qb: i8, level: i32| Bound {
            qa: i64::from(qa),
            qb: i64::from(qb),
            level: i64::from(level),
            nominal: f64::from(level) - alpha * f64::from(qa) - beta * f64::from(qb),
        };
        let (mut lower, mut upper) = (Vec::new(), Vec::new());
        for (qa, qb) in pairs() {
            let y = i32::from(rule.apply(qa, qb));
            if y > rule.clamp.lo {
                lower.push(bound(qa, qb, y));
            }
            if y < rule.clamp.hi {
                upper.push(bound(qa, qb, y + 1));
            }
        }
        lower.sort_by(|p, q| q.nominal.total_cmp(&p.nominal));
        upper.sort_by(|p, q| p.nominal.total_cmp(&q.nominal));
        Self {
            alpha,
            beta,
            lower,
            upper,
            clamp: rule.clamp,
        }
    }

    /// The first factors near the real ones for which a constant exists at this shift.
    fn solve_shift(&self, shift: u8) -> Option<MulAdd> {
        self.candidates(f64::from(1u32 << shift))
            .into_iter()
            .filter(|&(a, b)| a.abs() < FACTOR_LIMIT && b.abs() < FACTOR_LIMIT)
            .find_map(|(a, b)| {
                let c = self.constant(a, b, shift)?;
                Some(MulAdd {
                    a: a as i32,
                    b: b as i32,
                    c,
                    shift,
                    clamp: self.clamp,
                })
            })
    }

    /// Integer factors to try: the neighbours of the rounded real factors, nearest first, then
    /// those with both factors stretched alike. A slight stretch pushes sums that lie exactly on
    /// a tie away from zero on both sides, as the rule's half-away rounding does.
    fn candidates(&self, unit: f64) -> Vec<(i64, i64)> {
        let near = || -RADIUS..=RADIUS;
        let (a0, b0) = (
            (self.alpha * unit).round() as i64,
            (self.beta * unit).round() as i64,
        );
        let mut candidates: Vec<_> = near()
            .flat_map(|da| near().map(move |db| (da, db)))
            .collect();
        candidates.sort_by_key(|(da, db)| da.abs() + db.abs());
        let smaller = self.alpha.min(self.beta);
        let stretched = near().map(|steps| {
            let unit = unit + steps as f64 / smaller;
            let factor = |real: f64| (real * unit).round() as i64;
            (factor(self.alpha), factor(self.beta))
        });
        candidates
            .into_iter()
            .map(|(da, db)| (a0 + da, b0 + db))
            .chain(stretched)
            .collect()
    }

    /// The middle of the constants that all pairs allow.
    fn constant(&self, a: i64, b: i64, shift: u8) -> Option<i64> {
        let unit = f64::from(1u32 << shift);
        // No bound moves further than this from its nominal place, so a scan of the sorted bounds
        // may stop once the nominal ones have fallen behind the tightest by as much.
        let drift = 128.0
            * ((a as f64 / unit - self.alpha).abs() + (b as f64 / unit - self.beta).abs())
            + 1e-9;
        let exact = |p: &Bound| (p.level << shift) - a * p.qa - b * p.qb;
        let mut lowest = i64::MIN;
        for p in &self.lower {
            if (p.nominal + drift) * unit < lowest as f64 {
                break;
            }
            lowest = lowest.max(exact(p));
        }
        let mut highest = i64::MAX;
        for p in &self.upper {
            if (p.nominal - drift) * unit > highest as f64 {
                break;
            }
            highest = highest.min(exact(p) - 1);
            if highest < lowest {
                return None;
            }
        }
        Some(match (self.lower.is_empty(), self.upper.is_empty()) {
            (true, true) => i64::from(self.clamp.lo) << shift,
            (true, false) => highest,
            (false, true) => lowest,
            (false, false) => lowest + (highest - lowest) / 2,
        })
    }
}

fn real_multiplier(multiplier: i32, shift: i32) -> f64 {
    f64::from(multiplier) * f64::from(shift - 31).exp2()
}
