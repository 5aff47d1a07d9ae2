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
mod from_onnx;
mod from_qonnx;
mod graph;
mod parts;
mod passes;
mod ranges;
mod verify;

use macforge_model::{Format, Model, Source};
use macforge_numeric::Semantics;

pub use error::QuantError;
pub use graph::{
    Attention, Conv2d, DType, FullyConnected, HostOp, Lstm, LstmArithmetic, LstmGate, MatMul,
    QGraph, QNode, QOp, QState, QTensor, TensorId, Window,
};

pub use parts::Parts;

/// Lowers a model to integers, and verifies the result.
///
/// `model` is a [`Model`], an [`macforge_model::onnx::OnnxGraph`] or an
/// [`macforge_model::Imported`] of either. `semantics` overrides the format's own rounding rules,
/// which are [`Semantics::TfliteDouble`] for TFLite and [`Semantics::OrtX86`] for ONNX; an
/// `.mfq` file states its own.
///
/// # Errors
/// [`QuantError::Unsupported`] lists every operator without a lowering; the other variants name
/// node and tensor, what was found and what was wanted.
pub fn lower<'m>(
    model: impl Into<Source<'m>>,
    semantics: Option<Semantics>,
) -> Result<QGraph, QuantError> {
    let mut graph = match model.into() {
        Source::TfLite(model) => from_model::run(model, semantics.unwrap_or(own_semantics(model)))?,
        Source::Onnx(graph) if from_qonnx::applies(graph) => {
            from_qonnx::run(graph, semantics.unwrap_or(Semantics::OrtX86))?
        }
        Source::Onnx(graph) => from_onnx::run(graph, semantics.unwrap_or(Semantics::OrtX86))?,
        Source::Mfq(mfq) => {
            let own = mfq.semantics.parse().map_err(|source| QuantError::Rule {
                node: mfq.graph.name.clone(),
                what: "semantics".into(),
                source,
            });
            from_onnx::run(&mfq.graph, semantics.map_or(own, Ok)?)?
        }
    };
    graph.verify()?;
    for pass in passes::SEQUENCE {
        pass(&mut graph);
        graph.verify()?;
    }
    Ok(graph)
}

/// The rounding rules of a file format's own runtime.
fn own_semantics(model: &Model) -> Semantics {
    match model.format {
        Format::TfLite => Semantics::TfliteDouble,
    }
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

/// The same graph with integers as its inputs where it has several float32 ones, and as inputs and outputs
/// where they are int16, verified: hardware has one converter of int8 at either end.
///
/// # Errors
/// The result does not verify; that is a defect of the pass.
pub fn with_integer_inputs(mut graph: QGraph) -> Result<QGraph, QuantError> {
    passes::integer_inputs::run(&mut graph);
    graph.verify()?;
    Ok(graph)
}
