//! `AVERAGE_POOL_2D` and `MAX_POOL_2D`: raw integers, so input and output share parameters.

use macforge_model::PoolOptions;
use macforge_numeric::AveragePoolRule;

use super::{Node, TFLITE};
use crate::QuantError;
use crate::graph::{QOp, Window};

impl Node<'_> {
    pub(super) fn average_pool(&self, options: PoolOptions) -> Result<QOp, QuantError> {
        self.require(TFLITE)?;
        let clamp = self.clamp(options.activation, self.same_params()?)?;
        let rule = AveragePoolRule::tflite(clamp);
        Ok(QOp::AveragePool(self.pool_window(options), rule))
    }

    pub(super) fn max_pool(&self, options: PoolOptions) -> Result<QOp, QuantError> {
        let clamp = self.clamp(options.activation, self.same_params()?)?;
        Ok(QOp::MaxPool(self.pool_window(options), clamp))
    }

    fn pool_window(&self, options: PoolOptions) -> Window {
        self.window(options.kernel, options.stride, [1, 1], options.padding)
    }
}
