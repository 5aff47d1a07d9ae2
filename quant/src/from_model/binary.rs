//! `ADD`, `SUB`, `MUL`, `MINIMUM`, `MAXIMUM`; with one constant operand a 256-entry table.

use macforge_model::{Activation, BinaryKind};
use macforge_numeric::{BinaryFunction, BinaryRule, Semantics, table};

use super::node::{Node, Operand, Steps, bounds_below};
use crate::QuantError;
use crate::graph::QOp;

impl Node<'_> {
    pub(super) fn binary(
        &self,
        kind: BinaryKind,
        activation: Activation,
    ) -> Result<Steps, QuantError> {
        let rule = self.binary_rule(kind, activation)?;
        let constant = |position| {
            let value = self.input_tensor(position).as_i8();
            value.and_then(|value| value.first().copied())
        };
        let mut steps = Steps::default();
        let (op, inputs) = match (constant(0), constant(1)) {
            (Some(a), _) => (QOp::Table(table::table(|q| rule.apply(a, q))), vec![1]),
            (_, Some(b)) => (QOp::Table(table::table(|q| rule.apply(q, b))), vec![0]),
            (None, None) => (QOp::Binary(rule), vec![0, 1]),
        };
        let inputs = inputs.into_iter().map(|i| Operand::Model(self.input(i)));
        steps.push(op, inputs.collect(), self.output());
        Ok(steps)
    }

    fn binary_rule(
        &self,
        kind: BinaryKind,
        activation: Activation,
    ) -> Result<BinaryRule, QuantError> {
        self.require(&[Semantics::TfliteDouble])?;
        let (a, b) = (self.input_params(0)?, self.input_params(1)?);
        let y = self.output_params()?;
        let rule = match kind {
            BinaryKind::Add => BinaryRule::tflite_add(a, b, y),
            BinaryKind::Sub => BinaryRule::tflite_sub(a, b, y),
            BinaryKind::Mul => BinaryRule::tflite_mul(a, b, y),
            BinaryKind::Minimum | BinaryKind::Maximum => {
                self.expect_same(a, y)?;
                self.expect_same(b, y)?;
                let function = match kind {
                    BinaryKind::Minimum => BinaryFunction::Minimum,
                    _ => BinaryFunction::Maximum,
                };
                Ok(BinaryRule::new(function, y.zero_point))
            }
        };
        let clamp = self.clamp(activation, y)?;
        rule.map(|rule| rule.clamped(clamp, bounds_below(activation)))
            .map_err(self.rule("scales"))
    }
}
