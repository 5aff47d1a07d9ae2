//! `SLICE`, `STRIDED_SLICE`, `SPLIT` and `SPLIT_V`: regular selections of elements.

use super::{OpContext, Refusal, malformed, unsupported};
use crate::graph::{OpKind, SliceOptions};
use crate::tflite::schema::{options_type, strided_slice_options as f};

pub(super) fn import_slice(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let shape = &op.tensor(input).shape;
    let (begin, size) = (op.integers(1)?, op.integers(2)?);
    if begin.len() != shape.len() || size.len() != shape.len() {
        return malformed("inputs", format!("{begin:?} and {size:?} for {shape:?}"));
    }
    let mut slice = whole(shape);
    for d in 0..shape.len() {
        let start = usize::try_from(begin[d]).ok().filter(|&s| s <= shape[d]);
        let count = match (start, size[d]) {
            (Some(start), -1) => Some(shape[d] - start),
            (Some(start), n) => usize::try_from(n).ok().filter(|&n| n <= shape[d] - start),
            (None, _) => None,
        };
        let (Some(start), Some(count)) = (start, count) else {
            return malformed("inputs", format!("{begin:?} and {size:?} for {shape:?}"));
        };
        (slice.start[d], slice.count[d]) = (start, count);
    }
    finish(op, input, vec![slice], &[])
}

/// `begin`, `end` and stride per dimension; a set bit of a mask ignores that dimension's bound.
pub(super) fn import_strided(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let shape = &op.tensor(input).shape;
    let [begin, end, strides] = [op.integers(1)?, op.integers(2)?, op.integers(3)?];
    let options = op.options(options_type::STRIDED_SLICE)?;
    let mask = |field| options.scalar(field, 0i32);
    let other = mask(f::ELLIPSIS_MASK)? | mask(f::NEW_AXIS_MASK)?;
    if other != 0 || options.scalar(f::OFFSET, 0u8)? != 0 {
        return unsupported(
            None,
            "an ellipsis, a new axis or ends given as offsets",
            "begin, end and stride of every dimension",
        );
    }
    if [begin.len(), end.len(), strides.len()] != [shape.len(); 3] || shape.len() > 31 {
        return unsupported(
            None,
            format!("{} bounds for {shape:?}", begin.len()),
            "begin, end and stride of every dimension",
        );
    }
    let masks = [f::BEGIN_MASK, f::END_MASK, f::SHRINK_AXIS_MASK].map(mask);
    let [begin_mask, end_mask, shrink_mask] = masks;
    let [begin_mask, end_mask, shrink_mask] = [begin_mask?, end_mask?, shrink_mask?];
    let mut slice = whole(shape);
    let mut dropped = Vec::new();
    for d in 0..shape.len() {
        let set = |mask: i32| mask >> d & 1 == 1;
        let Some(step) = usize::try_from(strides[d]).ok().filter(|&s| s >= 1) else {
            let found = format!("stride {} of dimension {d}", strides[d]);
            return unsupported(None, found, "positive strides");
        };
        let size = shape[d];
        let clamp = |at: i64| {
            let from_front = if at < 0 {
                at.saturating_add(size as i64)
            } else {
                at
            };
            usize::try_from(from_front).unwrap_or(0).min(size)
        };
        let start = if set(begin_mask) { 0 } else { clamp(begin[d]) };
        let stop = match () {
            () if set(shrink_mask) => start + 1,
            () if set(end_mask) => size,
            () => clamp(end[d]),
        };
        if set(shrink_mask) {
            dropped.push(d);
        }
        slice.start[d] = start;
        slice.step[d] = step;
        slice.count[d] = stop.min(size).saturating_sub(start).div_ceil(step);
    }
    finish(op, input, vec![slice], &dropped)
}

/// Inputs: axis, activation. Equal parts.
pub(super) fn import_split(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(1)?;
    let shape = &op.tensor(input).shape;
    let axis = single_axis(op, 0, shape.len())?;
    let parts = op.outputs.len().max(1);
    if !shape[axis].is_multiple_of(parts) {
        return malformed("outputs", format!("{parts} parts of {shape:?}"));
    }
    split(op, input, axis, &vec![shape[axis] / parts; parts])
}

/// Inputs: activation, sizes of the parts (-1 for the rest), axis.
pub(super) fn import_split_v(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let shape = &op.tensor(input).shape;
    let axis = single_axis(op, 2, shape.len())?;
    let sizes = op.integers(1)?;
    let given: i64 = sizes
        .iter()
        .filter(|&&s| s >= 0)
        .fold(0, |sum, &s| sum.saturating_add(s));
    let rest = usize::try_from(shape[axis] as i64 - given).unwrap_or(0);
    let sizes: Vec<usize> = sizes
        .iter()
        .map(|&s| usize::try_from(s).unwrap_or(rest))
        .collect();
    split(op, input, axis, &sizes)
}

fn single_axis(op: &OpContext<'_>, position: usize, rank: usize) -> Result<usize, Refusal> {
    match op.integers(position)?.as_slice() {
        &[axis] => op.axis(axis, rank),
        several => malformed("axis", format!("{several:?}, wanted one")),
    }
}

fn split(
    op: &OpContext<'_>,
    input: usize,
    axis: usize,
    sizes: &[usize],
) -> Result<OpKind, Refusal> {
    let shape = &op.tensor(input).shape;
    let sum = sizes.iter().try_fold(0usize, |sum, &s| sum.checked_add(s));
    if sum != Some(shape[axis]) {
        return malformed("inputs", format!("parts {sizes:?} of {shape:?}"));
    }
    let mut at = 0;
    let slices = sizes.iter().map(|&size| {
        let mut slice = whole(shape);
        (slice.start[axis], slice.count[axis]) = (at, size);
        at += size;
        slice
    });
    finish(op, input, slices.collect(), &[])
}

/// All of a tensor.
fn whole(shape: &[usize]) -> SliceOptions {
    SliceOptions {
        start: vec![0; shape.len()],
        step: vec![1; shape.len()],
        count: shape.to_vec(),
    }
}

/// Checks the slices against the input and the outputs, which lack the dimensions `dropped`.
fn finish(
    op: &OpContext<'_>,
    input: usize,
    slices: Vec<SliceOptions>,
    dropped: &[usize],
) -> Result<OpKind, Refusal> {
    let shape = &op.tensor(input).shape;
    if slices.len() != op.outputs.len() {
        let found = op.outputs.len();
        return malformed("outputs", format!("{found}, wanted {}", slices.len()));
    }
    for (slice, &output) in slices.iter().zip(op.outputs) {
        op.expect_type(output, op.tensor(input).dtype)?;
        let last = |d: usize| slice.start[d] + (slice.count[d].max(1) - 1) * slice.step[d];
        let fits = (0..shape.len()).all(|d| slice.count[d] >= 1 && last(d) < shape[d]);
        let kept = (0..shape.len()).filter(|d| !dropped.contains(d));
        let out = &op.tensor(output).shape;
        if !fits || !kept.map(|d| slice.count[d]).eq(out.iter().copied()) {
            return malformed(
                "outputs",
                format!("{slice:?} of {shape:?} does not give {out:?}"),
            );
        }
    }
    Ok(OpKind::Slices(slices))
}
