//! `FULLY_CONNECTED`: the flattened input times weights `[OC, IC]`.

use super::{OpContext, Refusal, malformed, unsupported};
use crate::graph::{ElementType, OpKind};
use crate::tflite::schema::{fully_connected_options as f, options_type};

pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    let input = op.int8_activation(0)?;
    let output = op.int8_output()?;
    let weights = op.constant(1, ElementType::I8)?;
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
    if inputs != ic {
        return unsupported(
            Some(input),
            format!("{} rows of {ic} inputs", inputs / ic),
            "batch 1: one row",
        );
    }
    op.check_bias(oc)?;
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
