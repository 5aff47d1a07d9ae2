//! `RELU`, `RELU6`, `RELU_N1_TO_1` as operators of their own: a 256-entry table.

use macforge_model::Activation;
use macforge_numeric::{AffineParams, Clamp, Requantizer, table};

use super::{Node, affine};
use crate::QuantError;
use crate::graph::QOp;

impl Node<'_> {
    /// TFLite `ReluX` on int8: rescale from input to output, then clamp. The multiplier is a
    /// float32 quotient there (`ReluPrepare`).
    pub(super) fn activation(&self, activation: Activation) -> Result<QOp, QuantError> {
        let (x, y) = (self.input_params(0)?, self.output_params()?);
        let clamp = self.clamp(activation, y)?;
        self.rescale_table(f64::from(x.scale / y.scale), x, y, clamp)
    }

    /// The table of `clamp(round(multiplier * (q - zx)) + zy)` under the graph's semantics.
    pub(super) fn rescale_table(
        &self,
        multiplier: f64,
        x: AffineParams,
        y: AffineParams,
        clamp: Clamp,
    ) -> Result<QOp, QuantError> {
        let requant = Requantizer::from_real(self.semantics, multiplier, y.zero_point, clamp)
            .map_err(self.rule("input to output scale"))?;
        Ok(QOp::Table(table::table(|q| {
            let acc = i64::from(q) - i64::from(x.zero_point);
            i8::try_from(requant.apply(acc)).expect("the clamp lies inside int8")
        })))
    }

    /// Output bounds of an activation function in the output's parameters.
    pub(super) fn clamp(
        &self,
        activation: Activation,
        y: AffineParams,
    ) -> Result<Clamp, QuantError> {
        affine::clamp(activation, y).ok_or_else(|| {
            self.parameter(
                format!("output scale {}", y.scale),
                "a scale in which the activation's bounds fit int32",
            )
        })
    }
}
