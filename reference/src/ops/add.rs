//! ADD: element-wise sum of two tensors of the same shape.

use macforge_numeric::AddRule;

use super::{Context, Output};
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context, rule: &AddRule) -> Result<Output, ReferenceError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    cx.expect("elements of the second input", b.len(), a.len())?;
    let mut saturations = 0;
    let elements = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| {
            let y = i64::from(rule.unclamped(a, b));
            saturations += u64::from(rule.clamp.saturates(y, rule.lower_is_activation));
            rule.clamp.apply(y) as i8
        })
        .collect();
    cx.output(elements, saturations)
}
