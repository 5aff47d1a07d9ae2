//! Integers of nine bits in front of a product: as the sum of two int8 tensors one behind the other,
//! over which the product's weights are repeated.

use macforge_numeric::{Interval, Number, Rounding, Step};

use super::emit::bounded;
use super::value::{Chain, Levels, Operand, Source};
use super::{At, Pass};
use crate::QuantError;
use crate::graph::{DType, QOp, TensorId};

impl Pass<'_> {
    /// The tensor of both parts, and the factors of the repeated weights; `None` where eight bits
    /// are enough or nine are not.
    pub(super) fn side_by_side(
        &mut self,
        at: &At,
        chain: &Chain,
    ) -> Result<Option<(Chain, [i64; 2])>, QuantError> {
        if let Some(sum) = self.sum_of_two(chain) {
            return Ok(Some(sum));
        }
        self.low_and_excess(at, chain)
    }

    /// `ka * a + kb * b` of int8 tensors, as both of them.
    fn sum_of_two(&mut self, chain: &Chain) -> Option<(Chain, [i64; 2])> {
        let Source::Pair(pair) = &chain.source else {
            return None;
        };
        let divisor = match chain.steps.as_slice() {
            [steps] => match steps.as_slice() {
                [Step::Round(Rounding::Floor)] => 1.0,
                &[Step::Divide(Number::Float(d)), Step::Round(Rounding::Floor)] => d,
                _ => return None,
            },
            _ => return None,
        };
        let quant = |o: &Operand| self.graph.tensor(o.tensor).quant;
        let factor = |o: &Operand| {
            let k = o.scale / divisor;
            (k.fract() == 0.0 && (1.0..128.0).contains(&k)).then_some(k as i64)
        };
        let (a, b) = (factor(&pair[0])?, factor(&pair[1])?);
        let end = |f: fn(Interval) -> i64| {
            let real = |o: &Operand| f(o.range) - i64::from(o.zero_point);
            a * real(&pair[0]) + b * real(&pair[1])
        };
        let narrow = end(|i| i.hi) - end(|i| i.lo) <= 255;
        let alike = quant(&pair[0]) == quant(&pair[1]);
        if chain.levels != Some(Levels::PLAIN) || !alike || narrow {
            return None;
        }
        let joined = self.joined(chain, [pair[0].tensor, pair[1].tensor])?;
        Some((joined, [a, b]))
    }

    /// Levels of `0..=510` as `min(y, 255)` and what goes beyond.
    fn low_and_excess(
        &mut self,
        at: &At,
        chain: &Chain,
    ) -> Result<Option<(Chain, [i64; 2])>, QuantError> {
        let (Some(levels), Source::Product(_)) = (chain.levels, &chain.source) else {
            return Ok(None);
        };
        let levels = bounded(levels, chain, &self.reach(chain));
        let Interval { lo, hi } = levels.bounds;
        if lo < 0 || !(256..=510).contains(&hi) || levels.zero_point != 0 {
            return Ok(None);
        }
        let part = Levels {
            bounds: Interval::new(0, 255),
            ..levels
        };
        let low = Chain {
            levels: Some(part),
            ..chain.clone()
        };
        let mut excess = Chain {
            label: format!("{}:excess", chain.label),
            ..low.clone()
        };
        excess.push_on_levels(Step::Subtract(Number::Integer(255)));
        let mut tensors = Vec::new();
        for chain in [low, excess] {
            match self.integers(at, chain)?.source {
                Source::Integers(id, _) => tensors.push(id),
                _ => unreachable!("integers() returns an int8 tensor"),
            }
        }
        let joined = self.joined(chain, [tensors[0], tensors[1]]);
        Ok(joined.map(|chain| (chain, [1, 1])))
    }

    /// Two tensors of the same parameters, channels one behind the other.
    fn joined(&mut self, chain: &Chain, parts: [TensorId; 2]) -> Option<Chain> {
        let first = self.graph.tensor(parts[0]).clone();
        let params = first.quant?;
        let mut hwc = chain.hwc.clone();
        let axis = hwc.len() - 1;
        hwc[axis] *= 2;
        let name = format!("{}:parts", chain.label);
        let id = self.add_tensor(&name, hwc.clone(), DType::I8, Some(params), first.unsigned);
        self.add_node(chain.origin.clone(), QOp::Concat(axis), parts.to_vec(), id);
        let joined = Chain {
            hwc,
            ..chain.clone()
        };
        Some(joined.replaced(id, params, Interval::INT8))
    }
}
