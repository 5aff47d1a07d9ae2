//! QUANTIZE: float32 to int8 or int16 with the output's parameters, rounded as the graph's semantics says.

use macforge_numeric::Clamp;

use super::{Context, Output};
use crate::error::ReferenceError;
use crate::value::Value;

pub(super) fn eval(cx: &Context) -> Result<Output, ReferenceError> {
    let params = cx.output_params()?;
    let limits = cx.output_limits();
    let mut saturations = 0;
    let mut quantize = |&value: &f32| {
        let q = params.quantize_as(cx.graph.semantics, value);
        saturations += u64::from(limits.saturates_in(limits, q, false));
        limits.apply(q)
    };
    let reals = cx.input_f32(0)?.iter();
    let value = if limits == Clamp::INT16 {
        Value::I16(cx.array(reals.map(|v| quantize(v) as i16).collect())?)
    } else {
        Value::I8(cx.array(reals.map(|v| quantize(v) as i8).collect())?)
    };
    Ok(Output { value, saturations })
}
