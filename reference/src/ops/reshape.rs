//! RESHAPE: the same elements in row-major order under another shape.

use super::{Context, Output};
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context) -> Result<Output, ReferenceError> {
    cx.output(cx.input(0)?.iter().copied().collect(), 0)
}
