//! DEQUANTIZE: int8 or int16 to float32 with the input's parameters.

use super::{Context, Output};
use crate::error::ReferenceError;
use crate::value::Value;

pub(super) fn eval(cx: &Context) -> Result<Output, ReferenceError> {
    let params = cx.input_params()?;
    let values = match cx.input_value(0)? {
        (_, Value::I16(x)) => x.mapv(|q| params.dequantize_wide(q)),
        _ => cx.input(0)?.mapv(|q| params.dequantize(q)),
    };
    Ok(Output {
        value: Value::F32(values),
        saturations: 0,
    })
}
