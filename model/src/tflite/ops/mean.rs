//! `MEAN` over the axes of a constant.

use super::{OpContext, Refusal, malformed};
use crate::graph::OpKind;

/// The option to keep the axes is not read: the output's shape tells.
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
    let kept = (0..x.len()).map(size);
    let gone = (0..x.len()).filter(|d| !axes.contains(d)).map(size);
    if kept.eq(y.iter().copied()) || gone.eq(y.iter().copied()) {
        return Ok(OpKind::Mean { axes });
    }
    malformed(
        "outputs[0]",
        format!("the mean of {x:?} over axes {axes:?} is not {y:?}"),
    )
}
