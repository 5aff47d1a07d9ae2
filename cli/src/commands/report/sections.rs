//! The report's sections: a title, a table, a sentence.

use super::gather::Report;
use super::precisions::{self, simulated_layer};
use crate::table::Table;

/// A part of the report.
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// The figures.
    pub table: Table,
    /// What they mean in one line; may be empty.
    pub note: String,
}

/// The report's first line.
pub fn heading(report: &Report) -> String {
    format!(
        "{} on {} ({}), array {}, {}",
        report.model, report.board, report.device.name, report.shape, report.semantics
    )
}

/// All sections, in order.
pub fn sections(report: &Report) -> Vec<Section> {
    let section = |title, table, note| Section { title, table, note };
    let unmeasured =
        "not measured yet: `macforge report DIR --measure` runs Yosys on the shipped Verilog";
    let measured = match &report.measured {
        Some(_) => String::new(),
        None => unmeasured.to_owned(),
    };
    let mut sections = vec![
        section("Resources", resources(report), measured),
        section("Layers", layers(report), summary(report)),
        section(
            "Roofline (cycles)",
            report.roofline.table(),
            report.roofline.summary(),
        ),
        section(
            "Proofs (every channel, every reachable accumulator)",
            proofs(report),
            String::new(),
        ),
        section(
            "Memory map (bank words; in DDR, bursts of 16 beats)",
            memory_map(report),
            String::new(),
        ),
    ];
    if !report.precisions.is_empty() {
        let table = precisions::table(&report.precisions, report.simulation.as_ref());
        let note = "register PRECISION (0x028) chooses one; layers, proofs and memory map are of all, the \
                    figures below the layers and the roofline of the first";
        sections.insert(1, section("Precisions", table, note.into()));
    }
    sections
}

fn memory_map(report: &Report) -> Table {
    let mut map = Table::new(&["tensor", "shape", "buffer", "base", "words", "pitch"]);
    for place in &report.memory_map {
        let [h, w, c] = place.shape;
        map.row(vec![
            place.tensor.clone(),
            format!("{h}x{w}x{c}"),
            place.buffer.clone(),
            place.base.to_string(),
            place.words.to_string(),
            place.pitch.to_string(),
        ]);
    }
    map
}

fn resources(report: &Report) -> Table {
    let mut table = Table::new(&[
        "",
        "estimate",
        "measured (Yosys)",
        "estimate/measured",
        "device",
        "used",
    ]);
    let (e, d) = (&report.estimate, &report.device);
    let m = report.measured.as_ref();
    let rows = [
        (
            "DSP48E1",
            e.dsp as f64,
            m.map(|m| m.dsp as f64),
            f64::from(d.dsp),
        ),
        ("BRAM36", e.bram36, m.map(|m| m.bram36), f64::from(d.bram36)),
        (
            "LUT",
            e.lut as f64,
            m.map(|m| m.lut as f64),
            f64::from(d.lut),
        ),
        ("FF", e.ff as f64, m.map(|m| m.ff as f64), f64::from(d.ff)),
    ];
    for (name, estimate, measured, device) in rows {
        let used = measured.unwrap_or(estimate) / device;
        table.row(vec![
            name.to_string(),
            estimate.to_string(),
            measured.map_or_else(|| "-".into(), |m| m.to_string()),
            measured.map_or_else(|| "-".into(), |m| format!("{:.2}", estimate / m)),
            device.to_string(),
            format!("{:.1} %", 100.0 * used),
        ]);
    }
    table
}

fn layers(report: &Report) -> Table {
    let mut table = Table::new(&[
        "layer",
        "op",
        "precision",
        "MACs",
        "cycles (est.)",
        "cycles",
        "utilization",
        "saturations",
    ]);
    for (i, layer) in report.layers.iter().enumerate() {
        let simulation = report.simulation.as_ref();
        let simulated = simulation.and_then(|s| simulated_layer(&report.precisions, s, i));
        table.row(vec![
            layer.name.clone(),
            layer.op.clone(),
            layer.precision.clone(),
            layer.macs.to_string(),
            layer.estimated_cycles.to_string(),
            simulated.map_or_else(|| "-".into(), |l| l.cycles.to_string()),
            simulated.map_or_else(|| "-".into(), |l| format!("{:.1} %", 100.0 * l.utilization)),
            simulated.map_or_else(|| "-".into(), |l| l.saturations.to_string()),
        ]);
    }
    table
}

fn summary(report: &Report) -> String {
    match &report.simulation {
        Some(s) => format!(
            "{} cycles per inference (estimated {}), {:.1} us if the clock reaches {} MHz; \
             utilization {:.1} %; {} mismatches in {} values of {} samples",
            s.cycles_per_inference,
            report.estimate.cycles,
            s.latency_us,
            s.clock_mhz,
            100.0 * s.utilization,
            s.mismatches,
            s.values_compared,
            s.samples
        ),
        None => format!(
            "{} cycles per inference by the model; not simulated yet: macforge simulate DIR",
            report.estimate.cycles
        ),
    }
}

fn proofs(report: &Report) -> Table {
    let mut table = Table::new(&[
        "layer",
        "channels",
        "thresholds",
        "accumulator",
        "packed low lane",
    ]);
    for layer in &report.layers {
        if let Some(p) = &layer.proof {
            table.row(vec![
                layer.name.clone(),
                p.channels.to_string(),
                p.thresholds.to_string(),
                format!("{}..={}", p.accumulator[0], p.accumulator[1]),
                p.low_lane
                    .map_or("-".into(), |[lo, hi]| format!("{lo}..={hi}")),
            ]);
        }
    }
    table
}
