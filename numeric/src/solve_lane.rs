//! Lane constants for a general staircase.
//!
//! With `p = 2^shift / multiplier` (accumulator steps per output step) and a whole `offset` added to
//! the accumulator, the lane's `y = floor((acc + offset) / p + 1/2)` reaches the value `v` at
//! `acc` exactly when `2 * (acc + offset) >= (2v - 1) * p`, and stays at or below `v` exactly when
//! `2 * (acc + offset) < (2v + 1) * p`. Every step of the staircase is one bound of each kind, linear
//! in `offset` and `p`, so for a given offset the admissible `p` are an interval whose length is a
//! concave function of the offset: its maximum is found by bisection, and where it is negative no
//! constants exist. The zero point, common to all channels of a layer, moves the phase between
//! `offset` and `p`; all 256 are tried.

use crate::error::{NumericError, Result};
use crate::interval::Interval;
use crate::lane::LaneConstants;
use crate::requant::{RequantRule, Requantizer};
use crate::staircase::{prove_equal_functions, thresholds};

/// One output channel whose lane is wanted.
#[derive(Clone, Copy, Debug)]
pub struct StaircaseChannel<'a> {
    /// The rule.
    pub rule: &'a Requantizer,
    /// Reachable accumulators of the rule.
    pub reach: Interval,
    /// The lane gets the accumulators times this (at least 1): with weights of few bits the
    /// hardware may multiply them all, which makes the whole offset finer.
    pub factor: i64,
    /// What may be added to that product: the free part of the lane's bias.
    pub offsets: Interval,
    /// The lower clamp is an activation's, so values below it are no saturations.
    pub lower_is_activation: bool,
    /// The lane has onnxruntime's tie rule, so it can round exact halves to even: what a division
    /// by a power of two needs.
    pub ties: bool,
    /// The lane has a constant at product scale ([`LaneConstants::constant`]).
    pub constants: bool,
}

/// Constants that equal a channel's staircase on its reachable accumulators:
/// `lane.apply(factor * acc + offset)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SolvedLane {
    /// Added to the accumulator.
    pub offset: i64,
    /// The lane; its zero point and clamp are those of all channels of the layer.
    pub lane: LaneConstants,
}

/// Solves the lanes of a layer. They share one zero point, which need not be the tensor's: the lane
/// only adds it.
///
/// Equality is proved per channel by [`prove_equal_functions`], for the clamped values and for
/// where the value before clamping counts as a saturation ([`crate::Clamp::saturates`]).
///
/// # Errors
/// [`NumericError::NoLane`]: there are no such constants. That is usual for staircases of many
/// steps whose phase is not a whole accumulator, where the lane has no constant at product scale;
/// those of a few steps nearly always have some.
pub fn solve_lanes(channels: &[StaircaseChannel]) -> Result<Vec<SolvedLane>> {
    let Some(first) = channels.first() else {
        return Ok(Vec::new());
    };
    let stated = first.rule.zero_point;
    let problems: Vec<Problem> = channels.iter().map(Problem::new).collect();
    let mut furthest = 0;
    for zero_point in by_distance(stated) {
        let mut lanes = Vec::with_capacity(problems.len());
        for problem in &problems {
            match problem.solve(zero_point) {
                Some(lane) => lanes.push(lane),
                None => break,
            }
        }
        if lanes.len() == problems.len() {
            return Ok(lanes);
        }
        furthest = furthest.max(lanes.len());
    }
    Err(NumericError::NoLane {
        channel: furthest,
        steps: problems[furthest].steps,
        range: channels[furthest].reach,
    })
}

/// The int8 zero points, nearest to `stated` first.
fn by_distance(stated: i32) -> Vec<i32> {
    let mut all: Vec<i32> = (-128..=127).collect();
    all.sort_by_key(|z| (z - stated).abs());
    all
}

/// `2 * (at + offset) >= level * p`, or `<` it. Levels are odd, so never zero.
pub(crate) struct Bound {
    /// The lane's accumulator without the offset.
    pub(crate) at: i64,
    /// Twice the value, zero point included.
    pub(crate) twice: i64,
    pub(crate) reaches: bool,
}

/// A rational with a positive denominator.
#[derive(Clone, Copy)]
struct Ratio {
    num: i64,
    den: i64,
}

impl Ratio {
    fn less(self, other: Self) -> bool {
        i128::from(self.num) * i128::from(other.den) < i128::from(other.num) * i128::from(self.den)
    }

    fn value(self) -> f64 {
        self.num as f64 / self.den as f64
    }
}

/// The admissible `p` of one offset, as far as the bounds go: `lo..=hi`, possibly empty.
#[derive(Clone, Copy)]
struct Gap {
    lo: Ratio,
    hi: Ratio,
}

impl Gap {
    /// Slopes that the lane can express with a full multiplier.
    const ALL: Gap = Gap {
        lo: Ratio {
            num: 1,
            den: 1 << 24,
        },
        hi: Ratio {
            num: 1 << 40,
            den: 1,
        },
    };

    /// `hi - lo` as an exact fraction.
    fn length(self) -> (i128, i128) {
        let (lo, hi) = (self.lo, self.hi);
        let num = i128::from(hi.num) * i128::from(lo.den) - i128::from(lo.num) * i128::from(hi.den);
        (num, i128::from(hi.den) * i128::from(lo.den))
    }

    fn shorter_than(self, other: Self) -> bool {
        let ((a, b), (c, d)) = (self.length(), other.length());
        a * d < c * b
    }
}

pub(crate) struct Problem<'a> {
    pub(crate) channel: &'a StaircaseChannel<'a>,
    pub(crate) bounds: Vec<Bound>,
    steps: usize,
}

impl<'a> Problem<'a> {
    fn new(channel: &'a StaircaseChannel<'a>) -> Self {
        let visible = visible_values(channel);
        let f = |acc| observed(visible, channel.rule.unclamped(acc));
        let steps = thresholds(f, channel.reach);
        let mut bounds = Vec::new();
        let mut bound = |at: i64, value: i32, reaches: bool| {
            let free = if reaches { visible.lo } else { visible.hi };
            if i64::from(value) != free {
                bounds.push(Bound {
                    at: channel.factor * at,
                    twice: 2 * i64::from(value),
                    reaches,
                });
            }
        };
        let mut value = f(channel.reach.lo);
        bound(channel.reach.lo, value, true);
        for &(at, next) in &steps {
            bound(at - 1, value, false);
            bound(at, next, true);
            value = next;
        }
        bound(channel.reach.hi, value, false);
        Self {
            channel,
            bounds,
            steps: steps.len(),
        }
    }

    /// Constants with this zero point, proved.
    fn solve(&self, zero_point: i32) -> Option<SolvedLane> {
        let to_even = || self.solve_to_even(zero_point).filter(|_| self.channel.ties);
        let constant = || {
            let allowed = self.channel.constants;
            allowed.then(|| self.solve_with_constant(zero_point))?
        };
        (self.solve_half_up(zero_point))
            .or_else(to_even)
            .or_else(constant)
    }

    /// A division by a power of two that rounds half to even. The first step tells the offset: it
    /// lies on a tie or right behind one.
    fn solve_to_even(&self, zero_point: i32) -> Option<SolvedLane> {
        let first = self.bounds.iter().find(|b| b.reaches)?;
        let value = first.twice / 2 - i64::from(zero_point);
        let candidates = (1..=24u32).flat_map(|shift| {
            let tie = (value << shift) - (1 << (shift - 1));
            [0, 1].map(|behind| (shift, tie + behind - first.at))
        });
        candidates
            .filter(|(_, offset)| self.channel.offsets.contains(*offset))
            .find_map(|(shift, offset)| {
                let rule = Requantizer {
                    rule: RequantRule::OrtX86 {
                        scale: pow2(shift).recip() as f32,
                    },
                    zero_point,
                    clamp: self.channel.rule.clamp,
                };
                let lane = LaneConstants::from_requantizer(&rule).ok()?;
                let solved = SolvedLane { offset, lane };
                self.proves(&solved).then_some(solved)
            })
    }

    fn solve_half_up(&self, zero_point: i32) -> Option<SolvedLane> {
        let offset = self.best_offset(zero_point)?;
        let gap = self.gap(offset, zero_point);
        let slope = (1.0 / gap.lo.value() + 1.0 / gap.hi.value()) / 2.0;
        let shift = (1..=62).rev().find(|&s| slope * pow2(s) < pow2(31) - 2.0)?;
        let middle = (slope * pow2(shift)).round() as i64;
        [0, -1, 1].into_iter().find_map(|nudge| {
            let solved = SolvedLane {
                offset,
                lane: LaneConstants {
                    multiplier: u32::try_from(middle + nudge).ok()?,
                    shift: shift as u8,
                    constant: 0,
                    double_round: false,
                    tie_window: None,
                    zero_point,
                    clamp: self.channel.rule.clamp,
                },
            };
            self.proves(&solved).then_some(solved)
        })
    }

    /// The offset with the longest interval of slopes, if that is not empty.
    fn best_offset(&self, zero_point: i32) -> Option<i64> {
        let Interval { mut lo, mut hi } = self.channel.offsets;
        if lo > hi {
            return None;
        }
        while lo < hi {
            let middle = lo + (hi - lo) / 2;
            let (here, next) = (
                self.gap(middle, zero_point),
                self.gap(middle + 1, zero_point),
            );
            if here.shorter_than(next) {
                lo = middle + 1;
            } else {
                hi = middle;
            }
        }
        (self.gap(lo, zero_point).length().0 >= 0).then_some(lo)
    }

    fn gap(&self, offset: i64, zero_point: i32) -> Gap {
        let mut gap = Gap::ALL;
        for bound in &self.bounds {
            let half = if bound.reaches { -1 } else { 1 };
            let level = bound.twice - 2 * i64::from(zero_point) + half;
            let ratio = Ratio {
                num: 2 * (bound.at + offset) * level.signum(),
                den: level.abs(),
            };
            // dividing by a negative level turns the comparison around
            if bound.reaches == (level > 0) {
                if ratio.less(gap.hi) {
                    gap.hi = ratio;
                }
            } else if gap.lo.less(ratio) {
                gap.lo = ratio;
            }
        }
        gap
    }

    pub(crate) fn proves(&self, solved: &SolvedLane) -> bool {
        let channel = self.channel;
        let visible = visible_values(channel);
        let lane = |acc: i64| channel.factor * acc + solved.offset;
        let fits = Interval::new(lane(channel.reach.lo), lane(channel.reach.hi));
        let fits = fits.bits_signed() <= 31;
        fits && prove_equal_functions(
            |acc| observed(visible, channel.rule.unclamped(acc)),
            |acc| observed(visible, solved.lane.unclamped(lane(acc))),
            channel.reach,
        )
        .is_ok()
    }
}

/// The values that can be told apart: those of the clamp, and beyond a bound where leaving int8
/// counts as a saturation one more.
fn visible_values(channel: &StaircaseChannel) -> Interval {
    let clamp = channel.rule.clamp;
    let beyond = |value: i64| i64::from(clamp.saturates(value, channel.lower_is_activation));
    Interval {
        lo: i64::from(clamp.lo) - beyond(i64::from(clamp.lo) - 1),
        hi: i64::from(clamp.hi) + beyond(i64::from(clamp.hi) + 1),
    }
}

fn observed(visible: Interval, value: i64) -> i32 {
    value.clamp(visible.lo, visible.hi) as i32
}

fn pow2(n: u32) -> f64 {
    f64::from(n).exp2()
}
