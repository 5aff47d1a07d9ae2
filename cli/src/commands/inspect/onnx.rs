//! What an ONNX model consists of.

use crate::table::Table;
use crate::{say, sayln};
use macforge_model::onnx::{OnnxDim, OnnxGraph, OnnxTensor, OnnxValue, TensorType};
use macforge_quant::QuantError;
use miette::{IntoDiagnostic, Result};
use std::collections::BTreeMap;

/// Prints inputs, outputs, nodes, totals and what is not supported.
pub fn print(graph: &OnnxGraph) -> Result<()> {
    let types = graph.infer_types().into_diagnostic()?;
    sayln!("{} (Onnx, operator set {})", graph.name, graph.opset());
    for (what, values) in [("input", &graph.inputs), ("output", &graph.outputs)] {
        for value in values {
            sayln!("  {what} {}", declared(value));
        }
    }
    say!("{}", nodes(graph, &types).render());
    let macs: u64 = (0..graph.nodes.len()).map(|i| graph.macs(i, &types)).sum();
    let constants = graph.initializers.values();
    let parameters: usize = constants.map(OnnxTensor::elements).sum();
    sayln!("  {macs} MACs, {parameters} parameters");
    if let Err(error) = macforge_quant::lower(graph, None) {
        sayln!("not supported:");
        match error {
            QuantError::Unsupported { operators, .. } => {
                for item in operators {
                    sayln!("  {item}");
                }
            }
            other => sayln!("  {other}"),
        }
    }
    Ok(())
}

fn nodes(graph: &OnnxGraph, types: &BTreeMap<String, TensorType>) -> Table {
    let mut table = Table::new(&["node", "output", "type", "MACs"]);
    for (index, node) in graph.nodes.iter().enumerate() {
        let output = node.output(0).and_then(|name| types.get(name));
        table.row(vec![
            node.source(index),
            output.map_or_else(|| "?".into(), |t| dims(&t.shape)),
            output.map_or_else(|| "?".into(), |t| t.dtype.to_string()),
            graph.macs(index, types).to_string(),
        ]);
    }
    table
}

fn dims(shape: &[usize]) -> String {
    let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    dims.join("x")
}

fn declared(value: &OnnxValue) -> String {
    let dim = |d: &OnnxDim| match d {
        OnnxDim::Size(size) => size.to_string(),
        OnnxDim::Symbol(name) if name.is_empty() => "?".to_string(),
        OnnxDim::Symbol(name) => name.clone(),
    };
    let shape = value.shape.iter().flatten().map(dim).collect::<Vec<_>>();
    let dtype = value.dtype.map_or_else(|| "?".into(), |t| t.to_string());
    format!("{} {} {dtype}", value.name, shape.join("x"))
}
