//! `AVERAGE_POOL_2D` and `MAX_POOL_2D`: raw integers, so input and output share parameters.

use macforge_model::PoolOptions;
use macforge_numeric::AveragePoolRule;
use macforge_numeric::pool::Mean;

use super::TFLITE;
use super::node::Node;
use crate::QuantError;
use crate::graph::{QOp, Window};

impl Node<'_> {
    pub(super) fn average_pool(&self, options: PoolOptions) -> Result<QOp, QuantError> {
        self.require(TFLITE)?;
        let clamp = self.clamp(options.activation, self.same_params()?)?;
        let mean = if self.unsigned() {
            Mean::TfliteUnsigned
        } else {
            Mean::Tflite
        };
        let rule = AveragePoolRule { mean, clamp };
        Ok(QOp::AveragePool(self.pool_window(options), rule))
    }

    pub(super) fn max_pool(&self, options: PoolOptions) -> Result<QOp, QuantError> {
        let clamp = self.clamp(options.activation, self.same_params()?)?;
        Ok(QOp::MaxPool(self.pool_window(options), clamp))
    }

    fn pool_window(&self, options: PoolOptions) -> Window {
        let input = &self.input_tensor(0).shape;
        let (kernel, stride) = (options.kernel, options.stride);
        self.window(input, kernel, stride, [1, 1], options.padding)
    }
}
