//! The report of `quantize` as text.

use crate::table::Table;
use macforge_ptq::{Fidelity, LayerReport, Report, Suggestion, TensorReport};
use std::path::Path;

/// One row per layer.
pub fn layers(report: &Report) -> Table {
    let mut table = Table::new(&[
        "layer",
        "op",
        "weights",
        "SQNR",
        "activations",
        "range seen",
        "represented",
        "> 3 sigma",
        "SQNR",
        "cosine",
        "saturated",
        "sat. error",
        "accumulated",
        "alone",
    ]);
    for layer in &report.layers {
        table.row(row(layer));
    }
    table
}

fn row(layer: &LayerReport) -> Vec<String> {
    let none = || "-".to_string();
    let (w, a) = (layer.weights.as_ref(), layer.activations.as_ref());
    let of = |t: Option<&TensorReport>, show: &dyn Fn(&TensorReport) -> String| {
        t.map_or_else(none, show)
    };
    vec![
        layer.name.clone(),
        layer.op.clone(),
        of(w, &kind),
        of(w, &|t| decibels(&t.fidelity)),
        of(a, &kind),
        of(a, &|t| range(t.seen)),
        of(a, &|t| range(t.represented)),
        of(a, &|t| percent(t.outlier_share)),
        of(a, &|t| decibels(&t.fidelity)),
        of(a, &|t| format!("{:.5}", t.fidelity.cosine)),
        of(a, &|t| percent(t.error.saturated_share)),
        of(a, &|t| {
            let all = t.error.rounding + t.error.saturation;
            percent(if all > 0.0 {
                t.error.saturation / all
            } else {
                0.0
            })
        }),
        layer.accumulated.as_ref().map_or_else(none, decibels),
        layer
            .sensitivity
            .map_or_else(none, |s| show_decibels(s.output_sqnr_db)),
    ]
}

fn kind(t: &TensorReport) -> String {
    let scheme = if t.scheme == "symmetric" { "s" } else { "a" };
    let grain = match t.granularity.as_str() {
        "tensor" => "",
        "channel" => "/ch",
        other => return format!("{}{scheme}/{other} {}", t.bits, t.calibrator),
    };
    format!("{}{scheme}{grain} {}", t.bits, t.calibrator)
}

fn decibels(fidelity: &Fidelity) -> String {
    show_decibels(fidelity.sqnr_db)
}

fn show_decibels(db: Option<f64>) -> String {
    db.map_or_else(|| "exact".into(), |db| format!("{db:.1} dB"))
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn range([lo, hi]: [f64; 2]) -> String {
    format!("{lo:.3}..{hi:.3}")
}

/// The lines under the table.
pub fn summary(report: &Report, separate: bool) -> String {
    let mut text = format!(
        "  calibrated on {} samples; accumulated: integers against float on {} of them; \
         alone: SQNR of the outputs with only this layer quantized\n",
        report.calibration_samples, report.compared_samples
    );
    if !report.outside.is_empty() {
        let outside = report.outside.join(", ");
        text += &format!("  left to the host, in float: {outside}\n");
    }
    if let Some(e) = &report.evaluation {
        let data = if separate {
            "evaluation"
        } else {
            "calibration"
        };
        text += &format!(
            "  {} {data} samples in {} integers: ",
            e.samples, report.semantics
        );
        if let (Some(float), Some(quantized)) = (e.float_accuracy, e.quantized_accuracy) {
            text += &format!(
                "accuracy {} ({} in float), ",
                percent(quantized),
                percent(float)
            );
        }
        text += &format!(
            "outputs {}, {} of the answers changed\n",
            decibels(&e.outputs),
            percent(e.top1_changed)
        );
    }
    text
}

/// Which layers were taken.
pub fn suggestion(suggestion: &Suggestion, path: &Path) -> String {
    let mut table = Table::new(&["layer", "weights", "alone in 4 bits"]);
    for (i, candidate) in suggestion.candidates.iter().enumerate() {
        let bits = if i < suggestion.taken {
            "4 bits"
        } else {
            "kept"
        };
        let db = (candidate.noise > 0.0).then(|| -10.0 * candidate.noise.log10());
        table.row(vec![
            candidate.layer.clone(),
            bits.into(),
            show_decibels(db),
        ]);
    }
    table.render()
        + &format!(
            "  {} of {} layers in 4 bits: {}\n",
            suggestion.taken,
            suggestion.candidates.len(),
            path.display()
        )
}
