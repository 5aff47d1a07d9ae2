//! Conformance suites, judged by the reference model. What passes keeps its graphs and samples, so
//! that the hardware's tests can run the same cases.

pub mod cmsis_nn;
pub mod onnx_node;
pub mod tflite;

use macforge_quant::QGraph;
use macforge_reference::Value;

/// A graph with samples at which the reference model gives the suite's outputs.
#[derive(Clone)]
pub struct Exact {
    /// The graph, verified.
    pub graph: QGraph,
    /// Inputs and outputs, in graph order, of each sample.
    pub samples: Vec<(Vec<Value>, Vec<Value>)>,
}

/// What became of a case in the reference model.
pub enum Outcome {
    /// Equal; the graphs that were run, none where a rule alone was compared.
    Passed(Vec<Exact>),
    /// Why it cannot be run.
    NotApplicable(String),
    /// What differs.
    Failed(String),
}

impl Outcome {
    /// For a stated reason.
    pub fn not_applicable(reason: impl Into<String>) -> Self {
        Outcome::NotApplicable(reason.into())
    }
}

/// A case and what became of it.
pub struct Judged {
    /// Name of the case, unique in its suite.
    pub name: String,
    /// Operator, as the suite calls it.
    pub op: String,
    /// In the reference model.
    pub outcome: Outcome,
}
