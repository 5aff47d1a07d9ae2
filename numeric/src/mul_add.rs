//! A weighted sum of two int8 values as one multiply-add, solved for and proved on all input pairs.
//!
//! Where no multiply-add equals a rule everywhere (float32 roundings move single sums across a
//! tie), [`PairSum`] adds a short list of pairs whose result is one more or one less.

use crate::binary::BinaryRule;
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

    /// The value of one pair before clamping; the hardware counts saturations by it.
    pub fn unclamped(&self, qa: i8, qb: i8) -> i64 {
        let sum = i64::from(self.a) * i64::from(qa) + i64::from(self.b) * i64::from(qb) + self.c;
        sum >> self.shift
    }

    /// The value of one pair.
    pub fn apply(&self, qa: i8, qb: i8) -> i8 {
        self.clamp.apply(self.unclamped(qa, qb)) as i8
    }

    /// The same with the factors exchanged: for operands in the other order.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self {
            a: self.b,
            b: self.a,
            ..self
        }
    }

    /// The multiply-add with the smallest shift that equals `rule` on all 65,536 pairs, in value and
    /// in whether a pair saturates.
    ///
    /// For given `a`, `b` and `shift` every pair allows an interval of `c`: the sum must reach
    /// `y << shift` and stay below `(y + 1) << shift`, unless `y` is the last value that can be told
    /// apart, see [`visible`]. Integers near the real factors are tried until the intersection is
    /// not empty.
    ///
    /// # Errors
    /// * [`NumericError::NotLinear`]: the rule is no weighted sum.
    /// * [`NumericError::NoMulAdd`]: none exists with a shift up to [`Self::MAX_SHIFT`] near the
    ///   real factors. That was seen only where many sums lie exactly on a tie and TFLite's
    ///   rounding of the inputs decides them without order: scales in simple ratios such as
    ///   3 : 2 : 2 with unlike zero points.
    pub fn solve(rule: &BinaryRule) -> Result<Self> {
        let problem = Problem::new(rule)?;
        (1..=Self::MAX_SHIFT)
            .find_map(|shift| problem.solve_shift(shift))
            .filter(|solution| solution.proves(rule))
            .ok_or(NumericError::NoMulAdd {
                max_shift: Self::MAX_SHIFT,
            })
    }

    /// Whether this equals `rule` on all 65,536 pairs, saturations included.
    pub fn proves(&self, rule: &BinaryRule) -> bool {
        let saturates = |y| self.clamp.saturates(y, rule.lower_is_activation);
        pairs().all(|(qa, qb)| {
            self.apply(qa, qb) == rule.apply(qa, qb)
                && saturates(self.unclamped(qa, qb)) == rule.saturates(qa, qb)
        })
    }
}

/// A pair of operands whose sum is not the multiply-add's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairException {
    /// First operand.
    pub a: i8,
    /// Second operand.
    pub b: i8,
    /// The result is one more, otherwise one less.
    pub up: bool,
}

/// A multiply-add and the pairs on which it is off by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairSum {
    /// What holds for all other pairs.
    pub multiply_add: MulAdd,
    /// At most [`Self::MAX_EXCEPTIONS`].
    pub exceptions: Vec<PairException>,
}

impl From<MulAdd> for PairSum {
    fn from(multiply_add: MulAdd) -> Self {
        Self {
            multiply_add,
            exceptions: Vec::new(),
        }
    }
}

impl PairSum {
    /// Longest list: the hardware compares every pair with every entry.
    pub const MAX_EXCEPTIONS: usize = 8;

    /// The multiply-add that equals `rule` on all 65,536 pairs, or the one with the fewest
    /// exceptions.
    ///
    /// # Errors
    /// As [`MulAdd::solve`], where more than [`Self::MAX_EXCEPTIONS`] pairs remain, or a pair is off
    /// by more than one.
    pub fn solve(rule: &BinaryRule) -> Result<Self> {
        match MulAdd::solve(rule) {
            Ok(multiply_add) => Ok(multiply_add.into()),
            Err(none @ NumericError::NoMulAdd { .. }) => Self::with_exceptions(rule)?.ok_or(none),
            Err(other) => Err(other),
        }
    }

    /// The multiply-add's constant for a result that is `step` more.
    pub fn offset(&self, step: i64) -> i64 {
        self.multiply_add.c + (step << self.multiply_add.shift)
    }

    /// The value of one pair before clamping.
    pub fn unclamped(&self, qa: i8, qb: i8) -> i64 {
        let exception = self.exceptions.iter().find(|e| (e.a, e.b) == (qa, qb));
        let step = exception.map_or(0, |e| if e.up { 1 } else { -1 });
        self.multiply_add.unclamped(qa, qb) + step
    }

    /// The same for operands in the other order.
    #[must_use]
    pub fn swapped(self) -> Self {
        let swap = |e: PairException| PairException {
            a: e.b,
            b: e.a,
            ..e
        };
        Self {
            multiply_add: self.multiply_add.swapped(),
            exceptions: self.exceptions.into_iter().map(swap).collect(),
        }
    }

    fn with_exceptions(rule: &BinaryRule) -> Result<Option<Self>> {
        let problem = Problem::new(rule)?;
        let visible = visible(rule);
        let Some(multiply_add) = problem.most_bounds() else {
            return Ok(None);
        };
        let mut exceptions = Vec::new();
        for (a, b) in pairs() {
            let found = visible.apply(multiply_add.unclamped(a, b));
            let wanted = visible.apply(rule.unclamped(a, b));
            match wanted - found {
                0 => {}
                1 | -1 if exceptions.len() < Self::MAX_EXCEPTIONS => {
                    let up = wanted > found;
                    exceptions.push(PairException { a, b, up });
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(Self {
            multiply_add,
            exceptions,
        }))
    }
}

/// The unclamped values that must be told apart: the clamp's, and one more on each side where
/// leaving int8 is counted as a saturation.
fn visible(rule: &BinaryRule) -> Clamp {
    let Clamp { lo, hi } = rule.clamp;
    let counted = |y: i32| rule.clamp.saturates(y.into(), rule.lower_is_activation);
    Clamp {
        lo: lo - i32::from(counted(lo - 1)),
        hi: hi + i32::from(counted(hi + 1)),
    }
}

/// Every pair of int8 values.
fn pairs() -> impl Iterator<Item = (i8, i8)> {
    (-128..=127).flat_map(|qa| (-128..=127).map(move |qb| (qa, qb)))
}

/// How far around the rounded real factors integers are tried.
const RADIUS: i64 = 4;

/// Factors wider than the multiplier's 25-bit signed input are of no use.
const FACTOR_LIMIT: u64 = 1 << 24;

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
    fn new(rule: &BinaryRule) -> Result<Self> {
        let (alpha, beta) = rule
            .linear_factors()
            .ok_or(NumericError::NotLinear { name: rule.name() })?;
        let bound = |qa: i8, qb: i8, level: i32| Bound {
            qa: i64::from(qa),
            qb: i64::from(qb),
            level: i64::from(level),
            nominal: f64::from(level) - alpha * f64::from(qa) - beta * f64::from(qb),
        };
        let visible = visible(rule);
        let (mut lower, mut upper) = (Vec::new(), Vec::new());
        for (qa, qb) in pairs() {
            let y = visible.apply(rule.unclamped(qa, qb));
            if y > visible.lo {
                lower.push(bound(qa, qb, y));
            }
            if y < visible.hi {
                upper.push(bound(qa, qb, y + 1));
            }
        }
        lower.sort_by(|p, q| q.nominal.total_cmp(&p.nominal));
        upper.sort_by(|p, q| p.nominal.total_cmp(&q.nominal));
        Ok(Self {
            alpha,
            beta,
            lower,
            upper,
            clamp: rule.clamp,
        })
    }

    /// The first factors near the real ones for which a constant exists at this shift.
    fn solve_shift(&self, shift: u8) -> Option<MulAdd> {
        self.candidates(f64::from(1u32 << shift))
            .into_iter()
            .filter(|(a, b)| a.unsigned_abs() < FACTOR_LIMIT && b.unsigned_abs() < FACTOR_LIMIT)
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

    /// The multiply-add that keeps the most bounds, among the factors near the real ones with the
    /// largest shift that they leave room for.
    fn most_bounds(&self) -> Option<MulAdd> {
        let largest = self.alpha.abs().max(self.beta.abs());
        let fits = |shift: &u8| largest * f64::from(1u32 << shift) + 8.0 < FACTOR_LIMIT as f64;
        let shift = (1..=MulAdd::MAX_SHIFT).rev().find(fits)?;
        let of_factors = |(a, b): (i64, i64)| {
            let (c, broken) = self.least_broken(a, b, shift);
            let solution = MulAdd {
                a: a as i32,
                b: b as i32,
                c,
                shift,
                clamp: self.clamp,
            };
            (broken, solution)
        };
        let candidates = self.candidates(f64::from(1u32 << shift));
        let best = candidates.into_iter().map(of_factors);
        best.min_by_key(|&(broken, _)| broken).map(|(_, best)| best)
    }

    /// The constant that breaks the fewest bounds, and how many.
    fn least_broken(&self, a: i64, b: i64, shift: u8) -> (i64, usize) {
        let exact = |p: &Bound| (p.level << shift) - a * p.qa - b * p.qb;
        // c must reach every lower bound and stay below every upper one
        let mut lower: Vec<i64> = self.lower.iter().map(exact).collect();
        let mut upper: Vec<i64> = self.upper.iter().map(exact).collect();
        lower.sort_unstable_by(|p, q| q.cmp(p));
        upper.sort_unstable();
        // giving up the `n` tightest lower bounds, how many upper ones are broken?
        let given_up = 0..lower.len().min(PairSum::MAX_EXCEPTIONS + 1);
        let broken = given_up.map(|n| {
            let c = lower[n];
            (c, n + upper.partition_point(|&limit| limit <= c))
        });
        broken
            .min_by_key(|&(_, broken)| broken)
            .unwrap_or((0, usize::MAX))
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
        let smaller = self.alpha.abs().min(self.beta.abs());
        let stretched = near().map(|steps| {
            let unit = unit + steps as f64 / smaller;
            let factor = |real: f64| (real * unit).round() as i64;
            (factor(self.alpha), factor(self.beta))
        });
        candidates
            .into_iter()
            .map(|(da, db)| (a0.saturating_add(da), b0.saturating_add(db)))
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
