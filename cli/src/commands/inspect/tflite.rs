//! What a TFLite model consists of.

use crate::table::Table;
use crate::{say, sayln};
use macforge_model::{Model, Tensor};

/// Prints inputs, outputs, operators, totals and what is not supported.
pub fn print(model: &Model) {
    sayln!("{} ({:?})", model.name, model.format);
    for (what, tensors) in [("input", &model.inputs), ("output", &model.outputs)] {
        for &t in tensors {
            sayln!("  {what} {}", describe(&model.tensors[t]));
        }
    }
    say!("{}", operators(model).render());
    let macs: u64 = (0..model.operators.len()).map(|i| model.macs(i)).sum();
    sayln!("  {} MACs, {} parameters", macs, model.parameters());
    if !model.unsupported.is_empty() {
        sayln!("not supported:");
    }
    for item in &model.unsupported {
        sayln!("  {item}");
    }
}

fn operators(model: &Model) -> Table {
    let mut table = Table::new(&["operator", "output", "weights", "activations", "MACs"]);
    for (index, operator) in model.operators.iter().enumerate() {
        let output = operator.outputs.first().map(|&t| &model.tensors[t]);
        let weights = operator
            .inputs
            .iter()
            .skip(1)
            .flatten()
            .map(|&t| &model.tensors[t])
            .find(|t| t.data.is_some() && t.quantization.is_some());
        table.row(vec![
            short(&model.source(index)),
            output.map_or_else(String::new, shape),
            weights.map_or_else(|| "-".into(), granularity),
            output.map_or_else(|| "-".into(), quantization),
            model.macs(index).to_string(),
        ]);
    }
    table
}

/// Fused models carry the names of all their origins, joined by semicolons.
fn short(name: &str) -> String {
    const MOST: usize = 60;
    let first = name.split(';').next().unwrap_or(name);
    let cut: String = first.chars().take(MOST).collect();
    if cut.len() < name.len() {
        cut + ".."
    } else {
        cut
    }
}

fn shape(tensor: &Tensor) -> String {
    let dims: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
    dims.join("x")
}

fn granularity(tensor: &Tensor) -> String {
    let scales = tensor.quantization.as_ref().map_or(0, |q| q.scale.len());
    let grain = if scales > 1 {
        "per channel"
    } else {
        "per tensor"
    };
    format!("{} {grain}", tensor.dtype)
}

fn quantization(tensor: &Tensor) -> String {
    match tensor
        .quantization
        .as_ref()
        .map(|q| (q.scale.as_slice(), q.zero_point.as_slice()))
    {
        Some(([scale], [zero_point])) => {
            format!("{} scale {scale} zero point {zero_point}", tensor.dtype)
        }
        _ => format!("{}", tensor.dtype),
    }
}

fn describe(tensor: &Tensor) -> String {
    format!("{} {} {}", tensor.name, shape(tensor), quantization(tensor))
}
