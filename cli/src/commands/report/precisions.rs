//! The precisions of a design side by side: cycles, and what quantization costs.

use crate::cosim::result::{Layer, Simulation};
use crate::project::ModelFile;
use crate::table::Table;
use macforge_codegen::{Manifest, PrecisionEntry};
use macforge_model::Imported;
use miette::Result;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// A precision with what its model file's report says.
#[derive(Serialize)]
pub struct Precision {
    #[serde(flatten)]
    pub entry: PrecisionEntry,
    /// Bits of the weights, as in `8` or `4 to 8`; absent without a report.
    pub weight_bits: Option<String>,
    /// The report's accuracy over its evaluation data.
    pub evaluation: Option<Value>,
}

/// The precisions of a design folder.
pub fn gather(dir: &Path, manifest: &Manifest) -> Result<Vec<Precision>> {
    let of_entry = |entry: &PrecisionEntry| {
        let file = ModelFile::open(&dir.join(&entry.model_file).to_string_lossy())?;
        // a model that macforge has not quantized has no report
        let report = match file.import()? {
            Imported::Mfq(mfq) => Some(mfq.report),
            _ => None,
        };
        Ok(Precision {
            entry: entry.clone(),
            weight_bits: report.as_ref().and_then(weight_bits),
            evaluation: report.and_then(|r| r.get("evaluation").cloned()),
        })
    };
    manifest.precisions.iter().map(of_entry).collect()
}

fn weight_bits(report: &Value) -> Option<String> {
    let layers = report.get("layers")?.as_array()?.iter();
    let bits = layers.filter_map(|l| l.get("weights")?.get("bits")?.as_u64());
    let (lo, hi) = bits.fold((u64::MAX, 0), |(lo, hi), b| (lo.min(b), hi.max(b)));
    match hi {
        0 => None,
        _ if lo == hi => Some(hi.to_string()),
        _ => Some(format!("{lo} to {hi}")),
    }
}

/// One row per precision.
pub fn table(precisions: &[Precision], simulation: Option<&Simulation>) -> Table {
    let streamed = precisions.iter().any(|p| p.entry.stream.is_some());
    let mut columns = vec![
        "precision",
        "PRECISION",
        "weight bits",
        "layers",
        "cycles (est.)",
        "cycles",
        "us",
        "mismatches",
        "accuracy",
        "in float",
        "outputs",
    ];
    if streamed {
        columns.push("weight bytes");
    }
    let mut table = Table::new(&columns);
    for p in precisions {
        let simulated = simulation.and_then(|s| s.precisions.get(p.entry.value));
        let figure = |name: &str| p.evaluation.as_ref()?.get(name)?.as_f64();
        let percent = |name| figure(name).map(|share| format!("{:.2} %", 100.0 * share));
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let mut row = vec![
            p.entry.name.clone(),
            p.entry.value.to_string(),
            or_dash(p.weight_bits.clone()),
            p.entry.layers.to_string(),
            p.entry.estimated_cycles.to_string(),
            or_dash(simulated.map(|s| s.cycles_per_inference.to_string())),
            or_dash(simulated.map(|s| format!("{:.1}", s.latency_us))),
            or_dash(simulated.map(|s| s.mismatches.to_string())),
            or_dash(percent("quantized_accuracy")),
            or_dash(percent("float_accuracy")),
            or_dash(figure("sqnr_db").map(|db| format!("{db:.1} dB"))),
        ];
        row.extend(p.entry.stream.as_ref().map(|s| s.bytes.to_string()));
        table.row(row);
    }
    table
}

/// What the simulation found for layer `index` of the program.
pub fn simulated_layer<'a>(
    precisions: &[Precision],
    simulation: &'a Simulation,
    index: usize,
) -> Option<&'a Layer> {
    let of_set = |p: &&Precision| {
        let first = p.entry.first_layer;
        (first..first + p.entry.layers).contains(&index)
    };
    match precisions.iter().find(of_set) {
        None => simulation.layers.get(index),
        Some(p) => {
            // each precision's list begins with the layers that restore states
            let resets = precisions.first()?.entry.first_layer;
            let layers = &simulation.precisions.get(p.entry.value)?.layers;
            layers.get(index - p.entry.first_layer + resets)
        }
    }
}
