//! ONNX models (`.onnx`): a typed graph that can be inspected, edited and written back.

mod fold;
mod graph;
mod infer;
mod order;
mod proto;
mod read;
mod scan;
mod tensor;
mod types;
mod write;

use crate::ModelError;

pub use graph::{OnnxAttribute, OnnxDim, OnnxGraph, OnnxNode, OnnxValue, TensorType};
pub use infer::{AutoPad, SliceRange, WindowSizes, window_sizes};
pub(crate) use scan::is_onnx;
pub use tensor::OnnxTensor;
pub use types::{OnnxType, TensorData};

/// Largest file, and largest single tensor, that is accepted (256 MiB); decoded contents may take
/// eight times as much.
pub const MAX_BYTES: u64 = 1 << 28;

/// Reads an ONNX file and names the graph `name`.
///
/// A symbolic first dimension of a graph input is the batch, and becomes 1. Constant subgraphs of
/// shapes and integers are folded into initializers, see [`OnnxGraph::fold_constants`]. Operators
/// are not looked at otherwise.
///
/// # Errors
/// [`ModelError::Malformed`] and [`ModelError::TooLarge`] with the place;
/// [`ModelError::Refused`] with a remedy for external data, local functions, sparse constants and
/// element types without contents here.
pub fn import(name: &str, bytes: &[u8]) -> Result<OnnxGraph, ModelError> {
    let mut graph = read::read(name, bytes)?;
    graph.fix_batch();
    graph.fold_constants()?;
    Ok(graph)
}

/// Reads a single tensor (a `TensorProto`, as in `.pb` files of test data).
///
/// # Errors
/// As [`import`].
pub fn import_tensor(bytes: &[u8]) -> Result<OnnxTensor, ModelError> {
    let tensor = <proto::Tensor as prost::Message>::decode(bytes)
        .map_err(|error| ModelError::malformed("tensor", error.to_string()))?;
    tensor::read(&tensor)
}

impl OnnxGraph {
    /// Gives the first dimension of every graph input and output size 1 where it is symbolic.
    fn fix_batch(&mut self) {
        for value in self.inputs.iter_mut().chain(&mut self.outputs) {
            let first = value.shape.as_mut().and_then(|shape| shape.first_mut());
            if let Some(dim @ OnnxDim::Symbol(_)) = first {
                *dim = OnnxDim::Size(1);
            }
        }
    }
}
