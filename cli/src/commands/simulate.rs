//! `macforge simulate`

use crate::Outcome;
use crate::commands::report;
pub use crate::cosim::run::{Request, Verified};
use crate::cosim::{
    layout,
    result::{Layer, Simulation},
    run as cosim, samples,
};
use crate::keep;
use crate::project::{Network, Project};
use crate::table::Table;
use crate::{host, say, sayln};
use clap::Args as ClapArgs;
use indicatif::{ProgressBar, ProgressStyle};
use macforge_quant::{DType, QGraph};
use macforge_reference::Value;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzWriter;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Options of `simulate`.
#[derive(ClapArgs)]
pub struct Args {
    /// Design folder
    pub dir: PathBuf,
    /// Samples: the first array of an .npz file, batch first [default: seeded random values]
    #[arg(long, value_name = "X.npz")]
    pub input: Option<PathBuf>,
    /// How many samples [default: all of the file, or 2 random ones; 1 with --trace]
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// Writes the outputs under their tensor name and as output0
    #[arg(long, value_name = "Y.npz")]
    pub output: Option<PathBuf>,
    /// Compares every tensor that the hardware stores, not just the outputs
    #[arg(long)]
    pub layers: bool,
    /// Writes a waveform (FST)
    #[arg(long, value_name = "W.fst")]
    pub trace: Option<PathBuf>,
    /// Stalls streams and memory ports at random
    #[arg(long, value_name = "SEED")]
    pub stall: Option<u64>,
    /// Cycles from a request to the DDR memory to its first data [default: 250 ns]
    #[arg(long, value_name = "CYCLES")]
    pub ddr_latency: Option<u64>,
    /// Percent of the bandwidth that the board's DDR memory has
    #[arg(long, value_name = "PERCENT", default_value = "100", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub ddr_bandwidth: u64,
    /// Writes the result as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Random samples where no file is given.
const DEFAULT_SAMPLES: usize = 2;

/// Set by Ctrl-C; the simulation looks at it every few thousand cycles.
static CANCEL: AtomicBool = AtomicBool::new(false);

/// Simulates a design folder.
pub fn run(args: &Args) -> Result<Outcome> {
    let project = Project::open(&args.dir)?;
    // a waveform of one inference is large, and slow to write
    let limit = args.samples.or(args.trace.as_ref().map(|_| 1));
    let of_network = |network: &Network| {
        let front = network.head.as_ref().unwrap_or(&network.graph);
        let inputs = match &args.input {
            Some(path) => samples::from_file(front, path, limit)?,
            None => samples::random(front, limit.unwrap_or(DEFAULT_SAMPLES))?,
        };
        host::apply(network.head.as_ref(), inputs)
    };
    let inputs = project.networks.iter().map(of_network);
    let inputs: Vec<Vec<Vec<Value>>> = inputs.collect::<Result<_>>()?;
    if inputs.iter().all(Vec::is_empty) {
        return Err(miette!("no sample to simulate"));
    }
    let request = Request {
        layers: args.layers,
        stall: args.stall,
        trace: args.trace.clone(),
        ddr_latency: args.ddr_latency,
        ddr_bandwidth: args.ddr_bandwidth,
    };
    let verified = verify(&args.dir, &project, &inputs, &request)?;
    let simulation = &verified.simulation;
    if let Some(path) = &args.output {
        let all = std::iter::once(&verified.outputs).chain(&verified.further_outputs);
        let mut written = Vec::new();
        for (network, outputs) in project.networks.iter().zip(all) {
            written.push(Written {
                precision: &network.name,
                graph: network.tail.as_ref().unwrap_or(&network.graph),
                outputs: host::apply(network.tail.as_ref(), outputs.clone())?,
            });
        }
        write_outputs(path, &written)?;
    }
    if let Some(path) = &args.json {
        keep::json(path, simulation)?;
    }
    let figures = |layers: &[Layer], cycles: u64, utilization: f64| {
        say!("{}", layer_table(layers).render());
        sayln!(
            "  {cycles} cycles per inference, utilization {:.1} % of {} MACs per cycle",
            100.0 * utilization,
            simulation.macs_per_cycle_peak
        );
    };
    if simulation.precisions.is_empty() {
        figures(
            &simulation.layers,
            simulation.cycles_per_inference,
            simulation.utilization,
        );
    }
    for p in &simulation.precisions {
        sayln!("precision {}", p.name);
        figures(&p.layers, p.cycles_per_inference, p.utilization);
    }
    sayln!("{}", verdict(simulation));
    Ok(outcome_of(simulation))
}

/// Runs the samples with a progress bar and keeps the result in the design folder.
pub fn verify(
    dir: &Path,
    project: &Project,
    inputs: &[Vec<Vec<Value>>],
    request: &Request,
) -> Result<Verified> {
    // a second handler in the same process is refused, and the first one serves as well
    let _ = ctrlc::set_handler(|| CANCEL.store(true, Ordering::Relaxed));
    let inferences: usize = inputs.iter().map(Vec::len).sum();
    let bar = ProgressBar::new(inferences as u64);
    let style = "  [{bar:30}] {pos}/{len} inferences, {elapsed}, {msg}";
    bar.set_style(ProgressStyle::with_template(style).expect("a constant template"));
    bar.set_message("building the simulation");
    let verified = cosim::verify(
        dir,
        project,
        inputs,
        request,
        &CANCEL,
        &mut |inference, progress| {
            bar.set_position(inference as u64);
            bar.set_message(format!("cycle {}", progress.cycles));
        },
    );
    bar.finish_and_clear();
    let verified = verified?;
    keep::json(&dir.join(report::SIMULATION), &verified.simulation)?;
    Ok(verified)
}

/// The last line: what was compared and what differed.
pub fn verdict(simulation: &Simulation) -> String {
    let mut text: String = simulation
        .differences
        .iter()
        .map(|d| format!("  {d}\n"))
        .collect();
    text += &format!(
        "{} samples, {} integers compared with the reference model, {} mismatches",
        simulation.samples, simulation.values_compared, simulation.mismatches
    );
    text
}

/// Equal in every integer, or not.
pub fn outcome_of(simulation: &Simulation) -> Outcome {
    if simulation.mismatches == 0 {
        Outcome::Passed
    } else {
        Outcome::Failed
    }
}

fn layer_table(layers: &[Layer]) -> Table {
    let mut columns = vec![
        "layer",
        "op",
        "MACs",
        "cycles",
        "utilization",
        "saturations",
    ];
    let streamed = layers.iter().any(|l| l.stalls.is_some());
    if streamed {
        columns.push("stalls");
    }
    let mut table = Table::new(&columns);
    for layer in layers {
        let mut row = vec![
            layer.name.clone(),
            layer.op.clone(),
            layer.macs.to_string(),
            layer.cycles.to_string(),
            format!("{:.1} %", 100.0 * layer.utilization),
            layer.saturations.to_string(),
        ];
        row.extend(layer.stalls.map(|stalls| stalls.to_string()));
        table.row(row);
    }
    table
}

/// What a precision gave.
struct Written<'a> {
    precision: &'a str,
    graph: &'a QGraph,
    outputs: Vec<Vec<Value>>,
}

/// Writes every output as `output0`, `output1`, ... and under its tensor's name, batch first,
/// completely or not at all. Of several precisions these are the first one's; each has its own as
/// `NAME.output0`, ...
fn write_outputs(path: &Path, all: &[Written]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let attempt = || -> Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder).into_diagnostic()?;
        write_npz(file.as_file_mut(), all)?;
        file.persist(path).into_diagnostic()?;
        Ok(())
    };
    attempt().wrap_err_with(|| format!("cannot write {}", path.display()))
}

fn write_npz(file: &mut File, all: &[Written]) -> Result<()> {
    let mut npz = NpzWriter::new_compressed(&mut *file);
    let mut names = BTreeSet::new();
    let mut add = |from: &Written, position: usize, name: String| {
        if names.insert(name.clone()) {
            write_array(&mut npz, from, position, name)
        } else {
            Ok(())
        }
    };
    for (position, &id) in all[0].graph.outputs.iter().enumerate() {
        add(&all[0], position, format!("output{position}"))?;
        add(&all[0], position, all[0].graph.tensor(id).name.clone())?;
    }
    for from in all.iter().filter(|_| all.len() > 1) {
        for position in 0..from.graph.outputs.len() {
            let name = format!("{}.output{position}", from.precision);
            add(from, position, name)?;
        }
    }
    npz.finish().into_diagnostic()?;
    file.flush().into_diagnostic()
}

/// One output of all samples.
fn write_array(
    npz: &mut NpzWriter<&mut File>,
    from: &Written,
    position: usize,
    name: String,
) -> Result<()> {
    let tensor = from.graph.tensor(from.graph.outputs[position]);
    let of_samples = from
        .outputs
        .iter()
        .filter_map(|sample| sample.get(position));
    let (mut bytes, mut halves) = (Vec::new(), Vec::new());
    let (mut words, mut floats) = (Vec::new(), Vec::new());
    for value in of_samples {
        match value {
            Value::I8(a) => bytes.push(a),
            Value::I16(a) => halves.push(a),
            Value::I32(a) => words.push(a),
            Value::F32(a) => floats.push(a),
        }
    }
    match tensor.dtype {
        DType::I8 if tensor.unsigned => {
            // held less 128
            let values = stack(&bytes)?.mapv(|v: i8| v as u8 ^ 0x80);
            add(npz, name, layout::of_model(tensor, values))
        }
        DType::I8 => add(npz, name, layout::of_model(tensor, stack(&bytes)?)),
        DType::I16 => add(npz, name, layout::of_model(tensor, stack(&halves)?)),
        DType::I32 => add(npz, name, layout::of_model(tensor, stack(&words)?)),
        DType::F32 => add(npz, name, layout::of_model(tensor, stack(&floats)?)),
    }
}

fn add<T: ndarray_npy::WritableElement>(
    npz: &mut NpzWriter<&mut File>,
    name: String,
    batch: ArrayD<T>,
) -> Result<()> {
    npz.add_array(name, &batch).into_diagnostic()
}

fn stack<T: Clone>(arrays: &[&ArrayD<T>]) -> Result<ArrayD<T>> {
    let views: Vec<_> = arrays.iter().map(|a| a.view()).collect();
    ndarray::stack(Axis(0), &views).into_diagnostic()
}
