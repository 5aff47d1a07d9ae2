//! `FULLY_CONNECTED`: the input, or each of its rows, times weights `[OC, IC]`.

use super::{OpContext, Refusal, malformed, unsupported};
use crate::graph::OpKind;
use crate::tflite::schema::{fully_connected_options as f, options_type};

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.activation8(0)?;
    let output = op.output_like(input)?;
    let weights = op.weights(1, input)?;
    let [oc, ic] = *op.tensor(weights).shape else {
        return malformed(
            "inputs[1]",
            format!(
                "weights `{}` have rank {}, wanted 2",
                op.tensor(weights).name,
                op.tensor(weights).shape.len()
            ),
        );
    };
    let (inputs, outputs) = (op.tensor(input).elements(), op.tensor(output).elements());
    if oc == 0
        || ic == 0
        || inputs == 0
        || !inputs.is_multiple_of(ic)
        || inputs / ic != outputs / oc
        || outputs % oc != 0
    {
        return malformed(
            "inputs[1]",
            format!("weights [{oc}, {ic}] do not fit {inputs} inputs and {outputs} outputs"),
        );
    }
    let last = op.tensor(input).shape.last().copied();
    if inputs != ic && last != Some(ic) {
        return unsupported(
            Some(input),
            format!(
                "rows of {ic} inputs across dimensions {:?}",
                op.tensor(input).shape
            ),
            "one row, or rows along the last dimension",
        );
    }
    op.check_bias(2, oc)?;
    let options = op.options(options_type::FULLY_CONNECTED)?;
    if options.scalar(f::WEIGHTS_FORMAT, 0i8)? != 0 {
        return unsupported(
            Some(weights),
            "shuffled weights",
            "the default weights format",
        );
    }
    Ok(OpKind::FullyConnected(op.fused(options, f::ACTIVATION)?))
}
