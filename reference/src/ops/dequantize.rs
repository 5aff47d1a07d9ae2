//! DEQUANTIZE: int8 to float32 with the input's parameters.

use super::{Context, Output};
use crate::error::ReferenceError;
use crate::value::Value;

pub(super) fn eval(cx: &Context) -> Result<Output, ReferenceError> {
    let params = cx.input_params()?;
    Ok(Output {
        value: Value::F32(cx.input(0)?.mapv(|q| params.dequantize(q))),
        saturations: 0,
    })
}
