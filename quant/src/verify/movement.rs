//! Invariants of the operations that move values, and of the product of two tensors.

use super::ops::Check;
use crate::QuantError;
use crate::graph::{DType, MatMul, QTensor};

pub(super) fn matmul(check: &Check, b: &QTensor, product: &MatMul) -> Result<(), QuantError> {
    let (a, y) = (&check.input.shape, &check.output.shape);
    let (Some((&k, a_rows)), Some((&n, y_rows))) = (a.split_last(), y.split_last()) else {
        return check.fail("operands without dimensions");
    };
    let depth_and_width = if product.transpose_b { [n, k] } else { [k, n] };
    let fits = b.shape.ends_with(&depth_and_width) && a_rows == y_rows;
    if !fits || product.requant.is_none() != (check.output.dtype == DType::I32) {
        return check.fail(format!("{a:?} times {:?} does not give {y:?}", b.shape));
    }
    Ok(())
}

pub(super) fn transpose(check: &Check, perm: &[usize]) -> Result<(), QuantError> {
    let (input, output) = (&check.input.shape, &check.output.shape);
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    let complete = sorted.iter().copied().eq(0..input.len());
    if complete && perm.iter().map(|&p| input[p]).eq(output.iter().copied()) {
        return same_params(check, check.input);
    }
    check.fail(format!(
        "order {perm:?} on {input:?} does not give {output:?}"
    ))
}

pub(super) fn concat(check: &Check, inputs: &[&QTensor], axis: usize) -> Result<(), QuantError> {
    let output = &check.output.shape;
    let sum: usize = inputs.iter().map(|t| t.shape.get(axis).unwrap_or(&0)).sum();
    let alike = |t: &&QTensor| {
        t.shape.len() == output.len()
            && (0..output.len()).all(|d| d == axis || t.shape[d] == output[d])
    };
    if output.get(axis) != Some(&sum) || !inputs.iter().all(alike) {
        return check.fail(format!("inputs along axis {axis} do not give {output:?}"));
    }
    inputs.iter().try_for_each(|t| same_params(check, t))
}

pub(super) fn slice(check: &Check, start: &[usize], step: &[usize]) -> Result<(), QuantError> {
    let (input, output) = (&check.input.shape, &check.output.shape);
    let ranks = [start.len(), step.len(), output.len()];
    let inside = ranks == [input.len(); 3]
        && (0..input.len()).all(|d| {
            let last = (output[d] - 1).checked_mul(step[d]);
            let last = last.and_then(|l| l.checked_add(start[d]));
            step[d] >= 1 && last.is_some_and(|last| last < input[d])
        });
    if inside {
        return same_params(check, check.input);
    }
    check.fail(format!(
        "from {start:?} step {step:?} on {input:?} does not give {output:?}"
    ))
}

pub(super) fn pad(check: &Check, before: &[usize]) -> Result<(), QuantError> {
    let (input, output) = (&check.input.shape, &check.output.shape);
    let fits = before.len() == input.len()
        && output.len() == input.len()
        && (0..input.len()).all(|d| {
            let end = before[d].checked_add(input[d]);
            end.is_some_and(|end| end <= output[d])
        });
    if fits {
        return same_params(check, check.input);
    }
    check.fail(format!(
        "{before:?} before {input:?} does not fit {output:?}"
    ))
}

pub(super) fn resize(check: &Check, rows: &[usize], columns: &[usize]) -> Result<(), QuantError> {
    let ([h, w, c], output) = (check.input.hwc(), check.output.hwc());
    let inside = rows.iter().all(|&y| y < h) && columns.iter().all(|&x| x < w);
    if inside && output == [rows.len(), columns.len(), c] {
        return same_params(check, check.input);
    }
    check.fail(format!("maps of {:?} do not give {output:?}", [h, w, c]))
}

/// Values are moved, not changed, so they must mean the same on both sides.
fn same_params(check: &Check, input: &QTensor) -> Result<(), QuantError> {
    if input.quant == check.output.quant && input.unsigned == check.output.unsigned {
        return Ok(());
    }
    check.fail("input and output have different affine parameters")
}
