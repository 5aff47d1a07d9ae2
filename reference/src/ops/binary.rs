//! Element-wise functions of two tensors: ADD, SUB, MUL, MINIMUM, MAXIMUM.

use macforge_numeric::BinaryRule;
use ndarray::IxDyn;

use super::{Context, Output};
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context, rule: &BinaryRule) -> Result<Output, ReferenceError> {
    let shape = IxDyn(&cx.graph.tensor(cx.node.output).shape);
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    // ndarray broadcasts as numpy does
    let a = a.broadcast(shape.clone()).ok_or(cx.shapes_differ())?;
    let b = b.broadcast(shape).ok_or(cx.shapes_differ())?;
    let mut saturations = 0;
    let elements = a
        .iter()
        .zip(&b)
        .map(|(&a, &b)| {
            saturations += u64::from(rule.saturates(a, b));
            rule.apply(a, b)
        })
        .collect();
    cx.output(elements, saturations)
}
