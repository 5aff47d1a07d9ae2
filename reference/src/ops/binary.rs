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
    // contiguous, because ndarray walks over dynamic dimensions slowly
    let (a, b) = (a.as_standard_layout(), b.as_standard_layout());
    let contiguous = "standard layout is contiguous";
    let (a, b) = (
        a.as_slice().expect(contiguous),
        b.as_slice().expect(contiguous),
    );
    let pairs = a.iter().zip(b);
    let values: Vec<i8> = match cx.prepared {
        Prepared::Pairs(table) => pairs.map(|(&a, &b)| count(table.get(a, b))).collect(),
        _ => pairs
            .map(|(&a, &b)| count((rule.apply(a, b), rule.saturates(a, b))))
            .collect(),
    };
    cx.output(values, saturations)
}
