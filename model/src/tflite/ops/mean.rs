//! `MEAN` over the axes of a constant.

use super::{OpContext, Refusal, malformed};
use crate::graph::OpKind;
use crate::tflite::schema::{options_type, reducer_options as f};

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let output = op.output_like(input)?;
    let (x, y) = (&op.tensor(input).shape, &op.tensor(output).shape);
    let mut axes = op
        .integers(1)?
        .iter()
        .map(|&axis| op.axis(axis, x.len()))
        .collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    let size = |d: usize| if axes.contains(&d) { 1 } else { x[d] };
    let keep = op
        .options(options_type::REDUCER)?
        .scalar(f::KEEP_DIMS, 0u8)?
        != 0;
    let left = (0..x.len()).filter(|d| keep || !axes.contains(d));
    if left.map(size).eq(y.iter().copied()) {
        return Ok(OpKind::Mean { axes });
    }
    malformed(
        "outputs[0]",
        format!("the mean of {x:?} over axes {axes:?} is not {y:?}"),
    )
}
