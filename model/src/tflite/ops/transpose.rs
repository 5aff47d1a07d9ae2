//! `TRANSPOSE`.

use super::{OpContext, Refusal, malformed};
use crate::graph::OpKind;

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let output = op.output_like(input)?;
    let (x, y) = (&op.tensor(input).shape, &op.tensor(output).shape);
    let perm = op
        .integers(1)?
        .iter()
        .map(|&p| op.axis(p, x.len()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().eq(0..x.len()) && perm.iter().map(|&p| x[p]).eq(y.iter().copied()) {
        return Ok(OpKind::Transpose(perm));
    }
    malformed(
        "inputs[1]",
        format!("order {perm:?} of {x:?} does not give {y:?}"),
    )
}
