//! `macforge quantize`

mod data;
pub mod float_model;
mod print;
mod progress;

use crate::Outcome;
use crate::keep;
use crate::project::ModelFile;
use crate::{say, sayln};
use clap::Args as ClapArgs;
pub use data::Preprocessing;
use float_model::{FloatModel, Policy, Sources};
use macforge_model::onnx::OnnxGraph;
use macforge_model::{Imported, Mfq};
use macforge_numeric::Semantics;
use macforge_ptq::{Dataset, Quantization};
use miette::{IntoDiagnostic, Result, miette};
use std::path::{Path, PathBuf};

/// Options of `quantize`.
#[derive(ClapArgs)]
pub struct Args {
    /// Float model (.onnx) or name of a built-in one (firenet, firenet-small)
    pub model: String,
    /// Calibration samples, batch first: the first array that holds no labels, or one array per input,
    /// by its name [default: a built-in model's own]
    #[arg(long, value_name = "DATA.npz")]
    pub calib: Option<PathBuf>,
    /// Policy file; without it 8 bits, weights per channel, ranges by minmax
    #[arg(long, value_name = "P.toml")]
    pub policy: Option<PathBuf>,
    /// Samples to measure accuracy on [default: the calibration samples, if they have labels]
    #[arg(long, value_name = "DATA.npz")]
    pub eval: Option<PathBuf>,
    /// Labels of the samples to measure accuracy on [default: the array `labels`, `label` or `y`
    /// beside the samples]
    #[arg(long, value_name = "LABELS.npz")]
    pub labels: Option<PathBuf>,
    #[command(flatten)]
    pub preprocessing: Preprocessing,
    /// Rounding rules of the integer model
    #[arg(long, default_value = "ort-x86")]
    pub semantics: Semantics,
    /// Quantizes each layer alone, too, and reports what the outputs lose
    #[arg(long)]
    pub sensitivity: bool,
    /// Writes a mixed 4/8-bit policy, found by sensitivity on the calibration samples
    #[arg(long, value_name = "P.toml")]
    pub suggest: Option<PathBuf>,
    /// Writes the report as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The quantized model: .mfq, or .onnx for its QDQ form
    #[arg(short, long, value_name = "OUT.mfq")]
    pub output: PathBuf,
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Mfq,
    Onnx,
}

/// Quantizes a float model.
pub fn run(args: &Args) -> Result<Outcome> {
    let target = target(&args.output)?;
    let policy = args.policy.as_deref().map(Policy::open).transpose()?;
    let sources = Sources {
        calib: args.calib.as_deref(),
        eval: args.eval.as_deref(),
        labels: args.labels.as_deref(),
        preprocessing: &args.preprocessing,
    };
    let model = FloatModel::open(&args.model, &sources, args.semantics)?;
    let suggest = args.suggest.is_some();
    let (done, suggestion) = model.quantize(policy.as_ref(), args.sensitivity, suggest)?;
    write(&args.output, target, &done, args.semantics)?;
    say!("{}", print::layers(&done.report).render());
    say!("{}", print::summary(&done.report, args.eval.is_some()));
    if let (Some(path), Some(suggestion)) = (&args.suggest, suggestion) {
        keep::bytes(path, suggestion.policy.to_toml().as_bytes())?;
        say!("{}", print::suggestion(&suggestion, path));
    }
    if let Some(path) = &args.json {
        keep::json(path, &done.report)?;
    }
    sayln!("  wrote {}", args.output.display());
    Ok(Outcome::Passed)
}

/// The samples of a file, or a built-in model's own.
fn calibration(
    model: &str,
    graph: &OnnxGraph,
    file: Option<&Path>,
    preprocessing: &Preprocessing,
) -> Result<Dataset> {
    if let Some(path) = file {
        return data::load(graph, path, None, preprocessing);
    }
    let builtin = macforge_builtin::find(model);
    builtin.and_then(|b| b.calibration()).ok_or_else(|| {
        miette!(
            "the ranges of the float model `{model}` come from samples: give calibration samples with \
             --calib DATA.npz"
        )
    })
}

fn target(path: &Path) -> Result<Target> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("mfq") => Ok(Target::Mfq),
        Some("onnx") => Ok(Target::Onnx),
        _ => Err(miette!(
            "cannot write `{}`: give a name that ends in .mfq or .onnx",
            path.display()
        )),
    }
}

fn float_graph(model: &str) -> Result<OnnxGraph> {
    let file = ModelFile::open(model)?;
    match file.import()? {
        Imported::Onnx(mut graph) => {
            let stem = Path::new(&file.name).file_stem();
            graph.name = stem.map_or(graph.name, |s| s.to_string_lossy().into_owned());
            Ok(graph)
        }
        _ => Err(miette!(
            "`{model}` is quantized already; policies and calibration are for float .onnx models, \
             `macforge compile` takes this one as it is"
        )),
    }
}

fn write(path: &Path, target: Target, done: &Quantization, semantics: Semantics) -> Result<()> {
    let bytes = match target {
        Target::Onnx => done.onnx.to_bytes().into_diagnostic(),
        Target::Mfq => mfq(done, semantics),
    };
    keep::bytes(path, &bytes?)
}

/// The quantized model as an .mfq file.
fn mfq(done: &Quantization, semantics: Semantics) -> Result<Vec<u8>> {
    if done.graph.is_none() {
        return Err(miette!(
            "policy: weights_only: activations stay float, which the integer path of an .mfq file \
             cannot express; write an .onnx file, or remove weights_only"
        ));
    }
    let file = Mfq {
        graph: done.onnx.clone(),
        semantics: semantics.to_string(),
        report: serde_json::to_value(&done.report).into_diagnostic()?,
    };
    file.to_bytes().into_diagnostic()
}
