//! The smaller or the larger of two int8 values as the larger of two table values, proved on all pairs.

use crate::binary::{BinaryFunction, BinaryRule, FloatOperation};
use crate::error::{NumericError, Result};
use crate::table::table;

/// `result[max(operands[0][a], operands[1][b])]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extremum {
    /// One table per operand, by `q as u8`.
    pub operands: [[i8; 256]; 2],
    /// Table of the result; `None` where it is the identity.
    pub result: Option<[i8; 256]>,
}

impl Extremum {
    /// Whether `rule` takes the smaller (`Some(true)`) or the larger one of its operands.
    pub fn takes_smaller(rule: &BinaryRule) -> Option<bool> {
        match &rule.function {
            BinaryFunction::Minimum => Some(true),
            BinaryFunction::Maximum => Some(false),
            BinaryFunction::Float(f) => match f.operation {
                FloatOperation::Min => Some(true),
                FloatOperation::Max => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// The tables that equal `rule` on all 65,536 pairs. Change of scale and clamp never decrease, so each
    /// operand can take them on its own: its table is the rule with the other operand out of the way.
    /// The smaller value is the complement (`-1 - q`) of the larger complement.
    ///
    /// # Errors
    /// * [`NumericError::NotLinear`]: the rule is no minimum or maximum.
    /// * [`NumericError::NoMulAdd`]: it is one that tables do not equal (none is known).
    pub fn solve(rule: &BinaryRule) -> Result<Self> {
        let smaller =
            Self::takes_smaller(rule).ok_or(NumericError::NotLinear { name: rule.name() })?;
        let alone = |f: &dyn Fn(i8) -> i8| match smaller {
            true => !(-128..=127).map(f).max().expect("256 values"),
            false => (-128..=127).map(f).min().expect("256 values"),
        };
        let solution = Self {
            operands: [
                *table(|a| alone(&|b| rule.apply(a, b))),
                *table(|b| alone(&|a| rule.apply(a, b))),
            ],
            result: smaller.then(|| *table(|q| !q)),
        };
        let proved = (-128..=127)
            .flat_map(|a| (-128..=127).map(move |b| (a, b)))
            .all(|(a, b)| solution.apply(a, b) == rule.apply(a, b));
        proved
            .then_some(solution)
            .ok_or(NumericError::NoMulAdd { max_shift: 0 })
    }

    /// The value of one pair.
    pub fn apply(&self, a: i8, b: i8) -> i8 {
        let [a, b] = [a, b].map(|q| usize::from(q as u8));
        let larger = self.operands[0][a].max(self.operands[1][b]);
        let result = self.result.as_ref();
        result.map_or(larger, |t| t[usize::from(larger as u8)])
    }
}
