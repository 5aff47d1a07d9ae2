//! SOFTMAX over the last dimension.

use macforge_numeric::SoftmaxRule;

use super::{Context, Output};
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context, rule: &SoftmaxRule) -> Result<Output, ReferenceError> {
    let input: Vec<i8> = cx.input(0)?.iter().copied().collect();
    let [_, _, row] = cx.graph.tensor(cx.node.inputs[0]).hwc();
    let elements = input
        .chunks(row.max(1))
        .flat_map(|row| rule.apply(row))
        .collect();
    cx.output(elements, 0)
}
