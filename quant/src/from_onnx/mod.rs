//! The first pass for ONNX: quantized graphs (QDQ, QOperator) become a [`QGraph`].

use macforge_model::Unsupported;
use macforge_model::onnx::OnnxGraph;
use macforge_numeric::Semantics;

use crate::QuantError;
use crate::graph::QGraph;

/// Lowers all nodes, in topological order.
pub(crate) fn run(model: &OnnxGraph, semantics: Semantics) -> Result<QGraph, QuantError> {
    let refused = model
        .nodes
        .iter()
        .enumerate()
        .map(|(index, node)| Unsupported {
            operator: index,
            name: node.qualified_op(),
            tensor: node.outputs.first().cloned().unwrap_or_default(),
            found: format!("an operator without an importer under {semantics}"),
            needed: "a quantized operator of TFLite".into(),
        });
    Err(QuantError::Unsupported {
        model: model.name.clone(),
        operators: refused.collect(),
    })
}
