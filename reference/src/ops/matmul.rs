//! MATMUL of two computed operands.

use macforge_quant::MatMul;

use super::{Context, Output};
use crate::dot::Rows;
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context, op: &MatMul) -> Result<Output, ReferenceError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let a_zero = cx.input_params()?.zero_point as i16;
    let b_zero = cx.params(cx.node.inputs[1])?.zero_point as i16;
    let depth = a.shape().last().copied().unwrap_or(1);
    let columns = cx.graph.tensor(cx.node.output).shape.last().copied();
    let columns = columns.unwrap_or(1);
    let rows_of_a = a.len() / depth;
    // a second operand without leading dimensions serves all of the first's
    let matrix = depth * columns;
    let rows_per_matrix = rows_of_a / (b.len() / matrix).max(1);
    let a: Vec<i64> = a
        .iter()
        .map(|&q| i64::from(i16::from(q) - a_zero))
        .collect();
    let b: Vec<i64> = b
        .iter()
        .map(|&q| i64::from(i16::from(q) - b_zero))
        .collect();
    let requant = op.requant.iter().cloned().collect::<Vec<_>>();
    let rows = Rows {
        weights: &[],
        weight_zero_points: &[],
        bias: &[0],
        requant: &requant,
        lower_is_activation: false,
        limits: cx.output_limits(),
    };
    let mut elements = rows.elements(rows_of_a * columns);
    for (index, row) in a.chunks_exact(depth).enumerate() {
        let b = &b[index / rows_per_matrix * matrix..][..matrix];
        for column in 0..columns {
            let at = |k: usize| {
                if op.transpose_b {
                    b[column * depth + k]
                } else {
                    b[k * columns + column]
                }
            };
            let sum = row.iter().enumerate().map(|(k, &x)| x * at(k)).sum();
            rows.finish(cx, 0, sum, &mut elements)?;
        }
    }
    cx.accumulated(elements)
}
