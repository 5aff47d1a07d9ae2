//! Host operations: float32 only in front of the first integers and behind the last ones.

use super::ops::Check;
use super::{invalid, place};
use crate::QuantError;
use crate::graph::{DType, HostOp, QGraph, QNode, QOp};

/// Checks element types around a host operation.
pub(super) fn types(graph: &QGraph, node: &QNode, op: &HostOp) -> Result<(), QuantError> {
    let (from, to) = (
        graph.tensor(node.inputs[0]).dtype,
        graph.tensor(node.output).dtype,
    );
    let fits = match op {
        HostOp::Steps(_) => to == DType::F32,
        HostOp::Quantize(..) => from == DType::F32 && to == DType::I8,
        HostOp::ArgMax => from == DType::F32 && to == DType::I32,
        _ => from == DType::F32 && to == DType::F32,
    };
    if fits {
        return Ok(());
    }
    invalid(
        place(node),
        format!("{} from {from:?} to {to:?}", op.kind()),
    )
}

/// Nothing but the host reads float32, and it quantizes only what no integer precedes.
pub(super) fn boundary(graph: &QGraph) -> Result<(), QuantError> {
    let mut behind_integers = vec![false; graph.tensors.len()];
    for node in &graph.nodes {
        let from = node.inputs[0].0;
        match node.op {
            QOp::Host(HostOp::Quantize(..)) if behind_integers[from] => {
                return invalid(place(node), "quantizes what was computed from integers");
            }
            QOp::Host(_) | QOp::Quantize => behind_integers[node.output.0] = behind_integers[from],
            _ => {}
        }
        behind_integers[node.output.0] |= graph.tensors[from].dtype != DType::F32;
    }
    Ok(())
}

/// Shapes and counts of a host operation.
pub(super) fn verify(check: &Check, op: &HostOp) -> Result<(), QuantError> {
    let (input, output) = (check.input, check.output);
    let channels = input.shape.last().copied().unwrap_or(1);
    let same = input.shape == output.shape;
    let fits = match op {
        HostOp::Steps(steps) | HostOp::Quantize(steps, _) => {
            same && [1, channels].contains(&steps.len())
        }
        HostOp::FullyConnected {
            weights,
            out_channels,
        } => {
            output.shape == [*out_channels]
                && input.elements().checked_mul(*out_channels) == Some(weights.len())
        }
        HostOp::Conv2d {
            window,
            weights,
            out_channels,
        } => {
            check.window(window)?;
            let [kh, kw] = window.kernel;
            let taps = kh.checked_mul(kw).and_then(|t| t.checked_mul(channels));
            output.hwc()[2] == *out_channels
                && taps.and_then(|t| t.checked_mul(*out_channels)) == Some(weights.len())
        }
        HostOp::Softmax | HostOp::LogSoftmax | HostOp::Sigmoid => same,
        HostOp::ArgMax => output.elements() * channels == input.elements(),
        HostOp::Select(index) => {
            *index < channels && output.elements() * channels == input.elements()
        }
    };
    if !fits {
        return check.fail(format!(
            "{} on {:?} does not give {:?}",
            op.kind(),
            input.shape,
            output.shape
        ));
    }
    match op {
        HostOp::Quantize(_, clamp) => check.clamp(*clamp),
        _ => Ok(()),
    }
}
