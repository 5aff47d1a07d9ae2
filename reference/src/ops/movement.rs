//! Operations that move values: TRANSPOSE, CONCATENATION, SLICE, PAD, RESIZE_NEAREST.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice};

use super::{Context, Output};
use crate::error::ReferenceError;

/// A view's elements in their order; ndarray copies whole rows where it can.
fn elements(view: ArrayViewD<i8>) -> Vec<i8> {
    let contiguous = view.as_standard_layout().into_owned();
    contiguous.into_raw_vec_and_offset().0
}

pub(super) fn transpose(cx: &Context, perm: &[usize]) -> Result<Output, ReferenceError> {
    let input = cx.input(0)?;
    cx.expect("dimensions", perm.len(), input.ndim())?;
    let view = input.view().permuted_axes(IxDyn(perm));
    cx.output(elements(view), 0)
}

pub(super) fn concat(cx: &Context, axis: usize) -> Result<Output, ReferenceError> {
    let inputs = (0..cx.node.inputs.len())
        .map(|index| Ok(cx.input(index)?.view()))
        .collect::<Result<Vec<_>, ReferenceError>>()?;
    let joined = ndarray::concatenate(Axis(axis), &inputs);
    let joined = joined.map_err(|_| cx.shapes_differ())?;
    cx.output(joined.iter().copied().collect(), 0)
}

pub(super) fn slice(
    cx: &Context,
    start: &[usize],
    step: &[usize],
) -> Result<Output, ReferenceError> {
    let counts = &cx.graph.tensor(cx.node.output).shape;
    let mut view = cx.input(0)?.view();
    cx.expect("dimensions", start.len(), view.ndim())?;
    for (axis, &count) in counts.iter().enumerate() {
        let end = start[axis] + (count - 1) * step[axis] + 1;
        let length = view.len_of(Axis(axis));
        if end > length {
            cx.expect("elements along a dimension", length, end)?;
        }
        let of_axis = Slice::new(
            start[axis] as isize,
            Some(end as isize),
            step[axis] as isize,
        );
        view.slice_axis_inplace(Axis(axis), of_axis);
    }
    cx.output(elements(view), 0)
}

pub(super) fn pad(cx: &Context, before: &[usize], value: i8) -> Result<Output, ReferenceError> {
    let input = cx.input(0)?;
    let shape = &cx.graph.tensor(cx.node.output).shape;
    let mut padded = ArrayD::from_elem(IxDyn(shape), value);
    let mut inner = padded.view_mut();
    for (axis, (&from, &count)) in before.iter().zip(input.shape()).enumerate() {
        let range = Slice::new(from as isize, Some((from + count) as isize), 1);
        inner.slice_axis_inplace(Axis(axis), range);
    }
    inner.assign(input);
    cx.output(padded.into_raw_vec_and_offset().0, 0)
}

pub(super) fn resize(
    cx: &Context,
    rows: &[usize],
    columns: &[usize],
) -> Result<Output, ReferenceError> {
    let input = cx.input_image()?;
    let pixels = rows
        .iter()
        .flat_map(|&y| columns.iter().map(move |&x| (y, x)));
    let elements = pixels.flat_map(|(y, x)| (0..input.dim().2).map(move |c| [y, x, c]));
    cx.output(elements.map(|at| input[at]).collect(), 0)
}
