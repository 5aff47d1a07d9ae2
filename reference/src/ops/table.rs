//! TABLE: a unary int8 function as 256 entries.

use macforge_numeric::table::lookup;

use super::{Context, Output};
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context, table: &[i8; 256]) -> Result<Output, ReferenceError> {
    let elements = cx.input(0)?.iter().map(|&q| lookup(table, q)).collect();
    cx.output(elements, 0)
}
