//! A model of either format.

use crate::graph::Model;
use crate::mfq::Mfq;
use crate::onnx::OnnxGraph;

/// What [`crate::load`] and [`crate::from_bytes`] return.
#[derive(Clone, Debug, PartialEq)]
pub enum Imported {
    /// A TFLite model.
    TfLite(Model),
    /// An ONNX model: float, quantized (QDQ, QOperator) or QONNX.
    Onnx(OnnxGraph),
    /// A model that `macforge quantize` made.
    Mfq(Mfq),
}

impl Imported {
    /// Model name: file stem, or the name given.
    pub fn name(&self) -> &str {
        match self {
            Imported::TfLite(model) => &model.name,
            Imported::Onnx(graph) | Imported::Mfq(Mfq { graph, .. }) => &graph.name,
        }
    }

    /// The TFLite model, where it is one.
    pub fn into_tflite(self) -> Option<Model> {
        match self {
            Imported::TfLite(model) => Some(model),
            Imported::Onnx(_) | Imported::Mfq(_) => None,
        }
    }

    /// The ONNX graph, where it is one; of an `.mfq` file its model.
    pub fn into_onnx(self) -> Option<OnnxGraph> {
        match self {
            Imported::TfLite(_) => None,
            Imported::Onnx(graph) | Imported::Mfq(Mfq { graph, .. }) => Some(graph),
        }
    }
}

/// A borrowed model of either format: what the passes of `macforge-quant` start from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A TFLite model.
    TfLite(&'a Model),
    /// An ONNX model.
    Onnx(&'a OnnxGraph),
    /// An ONNX model with its own rounding rules.
    Mfq(&'a Mfq),
}

impl<'a> From<&'a Model> for Source<'a> {
    fn from(model: &'a Model) -> Self {
        Source::TfLite(model)
    }
}

impl<'a> From<&'a OnnxGraph> for Source<'a> {
    fn from(graph: &'a OnnxGraph) -> Self {
        Source::Onnx(graph)
    }
}

impl<'a> From<&'a Imported> for Source<'a> {
    fn from(imported: &'a Imported) -> Self {
        match imported {
            Imported::TfLite(model) => Source::TfLite(model),
            Imported::Onnx(graph) => Source::Onnx(graph),
            Imported::Mfq(mfq) => Source::Mfq(mfq),
        }
    }
}
