//! Sums of two int8 tensors.

use macforge_numeric::{
    AffineParams, BinaryFunction, BinaryRule, FloatOperation, Number, Rounding, Step, WeightedSum,
};

use super::emit::Output;
use super::value::{Chain, Operand, Source};
use super::{At, Pass};
use crate::QuantError;

impl Pass<'_> {
    /// The sum of two int8 tensors.
    pub(super) fn sum(&mut self, at: &At, a: Chain, b: Chain) -> Result<Chain, QuantError> {
        if at.node.op_type != "Add" || a.shape != b.shape {
            let found = format!("{} of {:?} and {:?}", at.node.op_type, a.shape, b.shape);
            return Err(at.error(found, "a sum of two values of one shape"));
        }
        let mut operands = Vec::new();
        for chain in [a, b] {
            let chain = self.integers(at, chain)?;
            let (Source::Integers(tensor, range), Some(levels)) = (&chain.source, chain.levels)
            else {
                return Err(at.error("an operand without integers", "quantized operands"));
            };
            operands.push((
                Operand {
                    tensor: *tensor,
                    range: *range,
                    scale: levels.scale,
                    zero_point: levels.zero_point as i32,
                },
                chain,
            ));
        }
        let [(a, chain), (b, other)]: [(Operand, Chain); 2] =
            operands.try_into().expect("two operands were pushed");
        if chain.hwc != other.hwc {
            let found = format!("tensors of {:?} and {:?}", chain.hwc, other.hwc);
            return Err(at.error(found, "the same layout"));
        }
        Ok(Chain {
            source: Source::Pair([a, b]),
            levels: None,
            origin: at.source(),
            ..chain
        })
    }
}

/// The rule of a sum of two tensors: `floor((a*x + b*y) / d)` of whole factors, or a float32 sum
/// that is rounded to the output's scale.
pub(super) fn pair_rule(
    at: &At,
    chain: &Chain,
    pair: &[Operand; 2],
    out: &Output,
) -> Result<BinaryRule, QuantError> {
    let [steps] = chain.steps.as_slice() else {
        return Err(at.error(
            "a sum with steps per channel",
            "the same steps for all channels",
        ));
    };
    let params = |o: &Operand| {
        AffineParams::new(o.scale, o.zero_point).map_err(at.rule("an operand of the sum"))
    };
    let function = match steps.as_slice() {
        [Step::Round(Rounding::Floor)] => {
            WeightedSum::new(params(&pair[0])?, params(&pair[1])?, 1.0)
        }
        &[Step::Divide(Number::Float(d)), Step::Round(Rounding::Floor)] => {
            WeightedSum::new(params(&pair[0])?, params(&pair[1])?, d)
        }
        _ => None,
    };
    let rounded = match steps.as_slice() {
        [Step::Round(Rounding::HalfEven)] => Some(1.0),
        [
            Step::Divide(Number::Float(d)),
            Step::Round(Rounding::HalfEven),
        ]
        | [
            Step::Relu,
            Step::Divide(Number::Float(d)),
            Step::Round(Rounding::HalfEven),
        ] => Some(*d),
        _ => None,
    };
    let rule = match (function, rounded) {
        (Some(sum), _) => BinaryRule::new(BinaryFunction::WeightedSum(sum), out.params.zero_point),
        (None, Some(d)) if d == out.params.scale => {
            let (a, b) = (params(&pair[0])?, params(&pair[1])?);
            BinaryRule::float(FloatOperation::Add, a, b, out.params).map_err(at.rule("the sum"))?
        }
        _ => {
            return Err(at.error(
                format!("a sum behind which {steps:?} stand"),
                "Floor of a quotient, or a quantizer",
            ));
        }
    };
    Ok(rule.clamped(out.clamp, out.lower_is_activation))
}
