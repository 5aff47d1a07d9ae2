//! RESHAPE: the same elements in row-major order under another shape.

use super::{Context, Output};
use crate::error::ReferenceError;
use crate::value::Value;

pub(super) fn eval(cx: &Context) -> Result<Output, ReferenceError> {
    match cx.input_value(0)? {
        (_, Value::I16(x)) => Ok(Output {
            value: Value::I16(cx.array(x.iter().copied().collect())?),
            saturations: 0,
        }),
        _ => cx.output(cx.input(0)?.iter().copied().collect(), 0),
    }
}
