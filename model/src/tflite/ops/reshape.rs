//! `RESHAPE`, `EXPAND_DIMS`, `SQUEEZE`: same elements in the same order, the output tensor's shape.

use super::{OpContext, Refusal, malformed, unsupported};
use crate::graph::OpKind;

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let output = op.output_like(input)?;
    let (from, to) = (op.tensor(input), op.tensor(output));
    if from.elements() != to.elements() {
        return malformed(
            "outputs[0]",
            format!(
                "`{}` {:?} does not reshape to `{}` {:?}",
                from.name, from.shape, to.name, to.shape
            ),
        );
    }
    // The new shape is operand 1 or an option; either way the converter has put it into the
    // output tensor, unless it is only known at run time.
    if let Some(shape) = op.operand(1)
        && op.tensor(shape).data.is_none()
    {
        return unsupported(
            Some(shape),
            "shape computed at run time",
            "a constant shape",
        );
    }
    Ok(OpKind::Reshape)
}
