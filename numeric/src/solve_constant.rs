//! Lane constants with a constant at product scale.
//!
//! With a multiplier `m` and a shift `s` the lane's `y = (acc * m + c + 2^(s-1)) >> s` reaches a value
//! `v` at `acc` exactly when `c >= v * 2^s - 2^(s-1) - acc * m`, and stays at or below it exactly when `c`
//! is smaller than the same for `v + 1`. So every step of a staircase bounds `c` from both sides,
//! linearly in `m`: the number of admissible `c` is a concave function of `m`, whose maximum is
//! found by bisection. The one in the middle becomes a whole offset of the accumulator and a rest.

use crate::lane::{FRACTION_PLACES, LaneConstants, PRODUCT_CONSTANT_LIMIT};
use crate::solve_lane::{Problem, SolvedLane};

/// Beyond every constant: an end of the admissible ones that no step bounds.
const FAR: i128 = 1 << 100;

/// Admissible constants, both ends included.
#[derive(Clone, Copy)]
struct Constants {
    lo: i128,
    hi: i128,
}

impl Constants {
    fn width(self) -> i128 {
        self.hi - self.lo
    }

    /// The one that is furthest from the steps.
    fn middle(self) -> i128 {
        match (self.lo > -FAR, self.hi < FAR) {
            (true, false) => self.lo,
            (false, true) => self.hi,
            _ => self.lo + self.width() / 2,
        }
    }
}

impl Problem<'_> {
    /// Constants with this zero point, proved.
    pub(crate) fn solve_with_constant(&self, zero_point: i32) -> Option<SolvedLane> {
        self.shifts().find_map(|shift| {
            let multiplier = self.best_multiplier(zero_point, shift)?;
            let constants = self.constants(zero_point, shift, multiplier);
            self.whole_and_rest(constants, multiplier)
                .into_iter()
                .flatten()
                .find_map(|(offset, constant)| {
                    let lane = LaneConstants {
                        multiplier,
                        shift,
                        constant,
                        double_round: false,
                        tie_window: None,
                        zero_point,
                        clamp: self.channel.rule.clamp,
                    };
                    let solved = SolvedLane { offset, lane };
                    self.proves(&solved).then_some(solved)
                })
        })
    }

    /// Shifts whose multiplier may have 31 bits, by the mean slope of the staircase; the largest
    /// first.
    fn shifts(&self) -> impl Iterator<Item = u8> + use<> {
        let ends = self.bounds.first().zip(self.bounds.last());
        let slope = ends.map_or(1.0, |(first, last)| {
            let rise = (last.twice - first.twice) / 2 + 1;
            rise as f64 / ((last.at - first.at) as f64).max(1.0)
        });
        let top = (31.0 - slope.log2()).floor() as i64;
        let possible = |shift: &i64| (1..=62).contains(shift);
        let shifts = (top - 2..=top + 1).rev().filter(possible);
        shifts.map(|shift| shift as u8)
    }

    fn constants(&self, zero_point: i32, shift: u8, multiplier: u32) -> Constants {
        let half = 1i128 << (shift - 1);
        let mut constants = Constants { lo: -FAR, hi: FAR };
        for bound in &self.bounds {
            let value = i128::from(bound.twice / 2) - i128::from(zero_point);
            let product = i128::from(bound.at) * i128::from(multiplier);
            let reached = (value << shift) - half - product;
            if bound.reaches {
                constants.lo = constants.lo.max(reached);
            } else {
                constants.hi = constants.hi.min(reached + (1 << shift) - 1);
            }
        }
        constants
    }

    /// The multiplier with the most admissible constants, if it has some.
    fn best_multiplier(&self, zero_point: i32, shift: u8) -> Option<u32> {
        let width = |multiplier| self.constants(zero_point, shift, multiplier).width();
        let (mut lo, mut hi) = (1u32, (1 << 31) - 1);
        while lo < hi {
            let middle = lo + (hi - lo) / 2;
            if width(middle) < width(middle + 1) {
                lo = middle + 1;
            } else {
                hi = middle;
            }
        }
        (width(lo) >= 0).then_some(lo)
    }

    /// The middle constant as an offset of the accumulator and a rest that the lane can express, rounded
    /// down and up, as far as that leaves it admissible.
    fn whole_and_rest(&self, constants: Constants, multiplier: u32) -> [Option<(i64, u32)>; 2] {
        let middle = constants.middle();
        let factor = i128::from(multiplier);
        let (offset, rest) = (middle.div_euclid(factor), middle.rem_euclid(factor) as u32);
        let down = rest >> FRACTION_PLACES << FRACTION_PLACES;
        [down, down + (1 << FRACTION_PLACES)].map(|rest| {
            let constant = offset * factor + i128::from(rest);
            let offset = i64::try_from(offset).ok()?;
            let fits = rest < PRODUCT_CONSTANT_LIMIT
                && (constants.lo..=constants.hi).contains(&constant)
                && self.channel.offsets.contains(offset);
            fits.then_some((offset, rest))
        })
    }
}
