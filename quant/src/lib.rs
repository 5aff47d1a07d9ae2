//! Quantized graphs: passes that lower an imported model to [`QGraph`], the integer-only IR.
//!
//! ```text
//! Model --from_model--> QGraph --remove_dead--> QGraph
//! ```
//!
//! [`QGraph::verify`] runs after every pass.

mod display;
mod error;
mod from_model;
mod graph;
mod passes;
mod ranges;
mod verify;

use macforge_model::{Format, Model};
use macforge_numeric::Semantics;

pub use error::QuantError;
pub use graph::{
    Conv2d, DType, FullyConnected, MatMul, QGraph, QNode, QOp, QState, QTensor, TensorId, Window,
};

/// Lowers a model to integers, and verifies the result.
///
/// `semantics` overrides the format's own rounding rules, which for TFLite are
/// [`Semantics::TfliteDouble`].
///
/// # Errors
/// [`QuantError::Unsupported`] lists every operator without a lowering; the other variants name
/// node and tensor, what was found and what was wanted.
pub fn lower(model: &Model, semantics: Option<Semantics>) -> Result<QGraph, QuantError> {
    let semantics = semantics.unwrap_or(match model.format {
        Format::TfLite => Semantics::TfliteDouble,
    });
    let mut graph = from_model::run(model, semantics)?;
    graph.verify()?;
    for pass in passes::SEQUENCE {
        pass(&mut graph);
        graph.verify()?;
    }
    Ok(graph)
}

/// The same graph with float32 at its boundary (`--io float`), verified.
///
/// # Errors
/// The result does not verify; that is a defect of the pass.
pub fn with_float_boundary(mut graph: QGraph) -> Result<QGraph, QuantError> {
    passes::float_boundary::run(&mut graph);
    graph.verify()?;
    Ok(graph)
}
