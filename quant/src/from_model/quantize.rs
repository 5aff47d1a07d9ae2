//! `QUANTIZE`: float32 to int8 at the graph's input, or int8 to int8 as a table.

use macforge_model::ElementType;
use macforge_numeric::Clamp;

use super::node::Node;
use crate::QuantError;
use crate::graph::QOp;

impl Node<'_> {
    pub(super) fn quantize(&self) -> Result<QOp, QuantError> {
        if self.input_tensor(0).dtype == ElementType::F32 {
            return Ok(QOp::Quantize);
        }
        // TFLite `Requantize`: the quotient of the scales in float64.
        let (x, y) = (self.input_params(0)?, self.output_params()?);
        let multiplier = f64::from(x.scale) / f64::from(y.scale);
        self.rescale_table(multiplier, x, y, Clamp::INT8)
    }
}
