//! Why a graph could not be evaluated.

use macforge_quant::DType;

/// Errors of [`crate::run`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Wrong number of graph inputs.
    #[error("found {found} inputs, wanted {wanted}: {}", names.join(", "))]
    InputCount {
        /// Inputs given.
        found: usize,
        /// Inputs of the graph.
        wanted: usize,
        /// Their tensor names.
        names: Vec<String>,
    },
    /// A value of the wrong shape.
    #[error("tensor `{tensor}`: found shape {found:?}, wanted {wanted:?}")]
    Shape {
        /// Tensor name.
        tensor: String,
        /// Shape of the value.
        found: Vec<usize>,
        /// Shape in the graph.
        wanted: Vec<usize>,
    },
    /// A value of the wrong element type.
    #[error("tensor `{tensor}`: found element type {found:?}, wanted {wanted:?}")]
    ElementType {
        /// Tensor name.
        tensor: String,
        /// Type of the value.
        found: DType,
        /// Type that the graph or the operator wants.
        wanted: DType,
    },
    /// A node reads a tensor that nothing has written, or lacks an input.
    #[error("node `{node}`: input {index} is missing")]
    MissingInput {
        /// Node name.
        node: String,
        /// Position of the input.
        index: usize,
    },
    /// An int8 tensor without affine parameters.
    #[error("tensor `{tensor}` has no scale and zero point")]
    NoAffineParams {
        /// Tensor name.
        tensor: String,
    },
    /// The operator's parameters do not fit its tensors.
    #[error("node `{node}`: {what}: found {found}, wanted {wanted}")]
    Parameters {
        /// Node name.
        node: String,
        /// Which quantity.
        what: &'static str,
        /// Its value.
        found: usize,
        /// What the tensors imply.
        wanted: usize,
    },
    /// An accumulator left the bits of its rule, where the arithmetic is no longer defined.
    #[error("node `{node}`: accumulator {value} of output channel {channel} is not an int{bits}")]
    AccumulatorOverflow {
        /// Node name.
        node: String,
        /// Output channel.
        channel: usize,
        /// The sum.
        value: i64,
        /// Bits of the rule's accumulators.
        bits: u32,
    },
    /// A pooling window that lies entirely in the padding.
    #[error("node `{node}`: the window of output row {row}, column {column} holds no input")]
    EmptyWindow {
        /// Node name.
        node: String,
        /// Output row.
        row: usize,
        /// Output column.
        column: usize,
    },
}
