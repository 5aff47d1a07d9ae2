//! `SOFTMAX`.

use macforge_numeric::SoftmaxRule;

use super::TFLITE;
use super::node::Node;
use crate::QuantError;
use crate::graph::QOp;

impl Node<'_> {
    /// TFLite's integer softmax; [`crate::QGraph::verify`] holds the output to its parameters.
    pub(super) fn softmax(&self, beta: f32) -> Result<QOp, QuantError> {
        self.require(TFLITE)?;
        SoftmaxRule::tflite(self.input_params(0)?.scale, beta)
            .map(QOp::Softmax)
            .map_err(self.rule("beta times input scale"))
    }
}
