//! `macforge report`

use crate::Outcome;
use crate::cosim::result::Simulation;
use crate::measure::{Measured, measure};
use crate::project::Project;
use crate::say;
use crate::table::Table;
use clap::Args as ClapArgs;
use macforge_codegen::{EstimateEntry, LayerEntry};
use miette::{IntoDiagnostic, Result, WrapErr};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Options of `report`.
#[derive(ClapArgs)]
pub struct Args {
    /// Design folder
    pub dir: PathBuf,
    /// Runs Yosys on the design's Verilog (minutes) and keeps the figures in the folder
    #[arg(long)]
    pub measure: bool,
    /// Writes the report as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Where `report --measure` and `simulate` leave their figures in the design folder.
pub const RESOURCES: &str = "reports/resources.json";
/// See [`RESOURCES`].
pub const SIMULATION: &str = "reports/simulation.json";

#[derive(Serialize)]
struct Device {
    name: String,
    dsp: u32,
    bram36: u32,
    lut: u32,
    ff: u32,
}

#[derive(Serialize)]
struct Place {
    tensor: String,
    shape: [usize; 3],
    buffer: usize,
    base: usize,
    words: usize,
    pitch: usize,
}

#[derive(Serialize)]
struct Report {
    model: String,
    board: String,
    device: Device,
    shape: String,
    clock_mhz: f64,
    semantics: String,
    estimate: EstimateEntry,
    measured: Option<Measured>,
    simulation: Option<Simulation>,
    layers: Vec<LayerEntry>,
    memory_map: Vec<Place>,
}

/// Prints the report of a design.
pub fn run(args: &Args) -> Result<Outcome> {
    if args.measure {
        measure_into(&args.dir)?;
    }
    let report = gather(&args.dir)?;
    say!("{}", text(&report));
    if let Some(path) = &args.json {
        keep(path, &report)?;
    }
    Ok(Outcome::Passed)
}

fn measure_into(dir: &Path) -> Result<()> {
    let manifest = Project::open(dir)?.manifest;
    let measured = measure(dir, &manifest)?;
    keep(&dir.join(RESOURCES), &measured)
}

/// Writes a JSON file, completely or not at all; makes its folder if need be.
pub fn keep(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).into_diagnostic()? + "\n";
    keep_bytes(path, text.as_bytes())
}

/// Writes a file, completely or not at all; makes its folder if need be.
pub fn keep_bytes(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        file.persist(path)?;
        Ok(())
    };
    write()
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write {}", path.display()))
}

/// Reads an optional JSON file of the design folder.
fn optional<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .into_diagnostic()
            .wrap_err_with(|| format!("{} is damaged; remove it", path.display()))
            .map(Some),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e)
            .into_diagnostic()
            .wrap_err_with(|| format!("{}", path.display())),
    }
}

fn gather(dir: &Path) -> Result<Report> {
    let Project { manifest, plan, .. } = Project::open(dir)?;
    let board = macforge_constraints::board(&manifest.board).into_diagnostic()?;
    let r = board.resources();
    let memory_map = plan
        .placements
        .iter()
        .zip(&plan.layers.areas)
        .map(|(p, area)| Place {
            tensor: area.name.clone(),
            shape: p.storage.hwc,
            buffer: p.buffer,
            base: p.base,
            words: p.size(),
            pitch: p.storage.pitch,
        })
        .collect();
    Ok(Report {
        model: manifest.model,
        board: manifest.board,
        device: Device {
            name: board.device.clone(),
            dsp: r.dsp,
            bram36: r.bram36,
            lut: r.lut,
            ff: r.ff,
        },
        shape: manifest.shape,
        clock_mhz: manifest.clock_mhz,
        semantics: manifest.semantics,
        estimate: manifest.estimate,
        measured: optional(&dir.join(RESOURCES))?,
        simulation: optional(&dir.join(SIMULATION))?,
        layers: manifest.layers,
        memory_map,
    })
}

fn text(report: &Report) -> String {
    let mut out = format!(
        "{} on {} ({}), array {}, {}\n\nResources\n",
        report.model, report.board, report.device.name, report.shape, report.semantics
    );
    out += &resources(report).render();
    if report.measured.is_none() {
        out += "  not measured yet: `macforge report DIR --measure` runs Yosys on the shipped Verilog\n";
    }
    out += "\nLayers\n";
    out += &layers(report).render();
    out += &summary(report);
    out += "\nProofs (every channel, every reachable accumulator)\n";
    out += &proofs(report).render();
    out += "\nMemory map (bank words)\n";
    let mut map = Table::new(&["tensor", "shape", "buffer", "base", "words", "pitch"]);
    for place in &report.memory_map {
        let [h, w, c] = place.shape;
        map.row(vec![
            place.tensor.clone(),
            format!("{h}x{w}x{c}"),
            place.buffer.to_string(),
            place.base.to_string(),
            place.words.to_string(),
            place.pitch.to_string(),
        ]);
    }
    out + &map.render()
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
        let simulated = report.simulation.as_ref().and_then(|s| s.layers.get(i));
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
            "  {} cycles per inference (estimated {}), {:.1} us if the clock reaches {} MHz; \
             utilization {:.1} %; {} mismatches in {} values of {} samples\n",
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
            "  {} cycles per inference by the model; not simulated yet: macforge simulate DIR\n",
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
