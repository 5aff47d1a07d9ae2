//! Element-wise functions of two tensors: ADD, SUB, MUL, MINIMUM, MAXIMUM.

use macforge_numeric::BinaryRule;
use ndarray::IxDyn;

use super::{Context, Output};
use crate::error::ReferenceError;
use crate::prepare::Prepared;

pub(super) fn eval(cx: &Context, rule: &BinaryRule) -> Result<Output, ReferenceError> {
    let shape = IxDyn(&cx.graph.tensor(cx.node.output).shape);
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    // ndarray broadcasts as numpy does
    let a = a.broadcast(shape.clone()).ok_or(cx.shapes_differ())?;
    let b = b.broadcast(shape).ok_or(cx.shapes_differ())?;
    let mut saturations = 0;
    let mut count = |(value, saturated): (i8, bool)| {
        saturations += u64::from(saturated);
        value
    };
    let pairs = ndarray::Zip::from(a).and(b);
    let values = match cx.prepared {
        Prepared::Pairs(table) => pairs.map_collect(|&a, &b| count(table.get(a, b))),
        _ => pairs.map_collect(|&a, &b| count((rule.apply(a, b), rule.saturates(a, b)))),
    };
    cx.output(values.into_iter().collect(), saturations)
}
