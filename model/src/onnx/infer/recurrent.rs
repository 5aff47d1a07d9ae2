//! Shapes of recurrent layers.

use super::{Known, TensorType, Types, wrong};
use crate::onnx::graph::OnnxNode;

/// Outputs of LSTM: all hidden states, the last hidden state, the last cell state.
pub(super) fn lstm(node: &OnnxNode, known: &Known) -> Types {
    let (x, w, r) = (known.of(node, 0)?, known.of(node, 1)?, known.of(node, 2)?);
    let batch_first = node.int("layout").unwrap_or(0) != 0;
    let &[first, second, inputs] = x.shape.as_slice() else {
        return wrong(format!("a sequence of shape {:?}", x.shape));
    };
    let (length, batch) = match batch_first {
        true => (second, first),
        false => (first, second),
    };
    let (&[directions, rows, columns], &[directions2, rows2, units]) =
        (w.shape.as_slice(), r.shape.as_slice())
    else {
        return wrong(format!("weights of shape {:?} and {:?}", w.shape, r.shape));
    };
    let fits = columns == inputs
        && directions == directions2
        && rows == rows2
        && Some(rows) == units.checked_mul(4);
    if !fits {
        return wrong(format!(
            "weights of shape {:?} and {:?} for vectors of {inputs}",
            w.shape, r.shape
        ));
    }
    let (all, last) = match batch_first {
        true => (
            vec![batch, length, directions, units],
            vec![batch, directions, units],
        ),
        false => (
            vec![length, directions, batch, units],
            vec![directions, batch, units],
        ),
    };
    let of = |shape| TensorType {
        dtype: x.dtype,
        shape,
    };
    Ok(vec![of(all), of(last.clone()), of(last)])
}
