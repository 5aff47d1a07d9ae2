//! `ADD`.

use macforge_model::Activation;
use macforge_numeric::{BinaryRule, Semantics};

use super::Node;
use crate::QuantError;
use crate::graph::QOp;

impl Node<'_> {
    pub(super) fn add(&self, activation: Activation) -> Result<QOp, QuantError> {
        self.require(&[Semantics::TfliteDouble])?;
        let (a, b, y) = (
            self.input_params(0)?,
            self.input_params(1)?,
            self.output_params()?,
        );
        let clamp = self.clamp(activation, y)?;
        let lower_is_activation = activation != Activation::None;
        BinaryRule::tflite_add(a, b, y)
            .map(|rule| QOp::Binary(rule.clamped(clamp, lower_is_activation)))
            .map_err(self.rule("scales"))
    }
}
