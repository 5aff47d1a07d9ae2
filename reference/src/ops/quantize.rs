//! QUANTIZE: float32 to int8 with the output's parameters, rounded as the graph's semantics says.

use macforge_numeric::Clamp;

use super::{Context, Output};
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context) -> Result<Output, ReferenceError> {
    let params = cx.output_params()?;
    let mut saturations = 0;
    let elements = cx
        .input_f32(0)?
        .iter()
        .map(|&value| {
            let q = params.quantize_as(cx.graph.semantics, value);
            saturations += u64::from(Clamp::INT8.saturates(q, false));
            Clamp::INT8.apply(q) as i8
        })
        .collect();
    cx.output(elements, saturations)
}
