//! A float model, its samples and a policy: what `quantize` works on, and `compile` as its first step.

use super::progress::Progress;
use super::{Preprocessing, calibration, data, float_graph, mfq};
use crate::project::ModelFile;
use clap::Args as ClapArgs;
use macforge_model::onnx::OnnxGraph;
use macforge_numeric::Semantics;
use macforge_ptq::policy::PolicyFile;
use macforge_ptq::{Dataset, Options, PtqError, Quantization, Suggestion};
use miette::{IntoDiagnostic, Result, WrapErr};
use std::path::{Path, PathBuf};

/// Samples for a float model.
#[derive(Clone, Debug, Default, ClapArgs)]
#[group(id = "samples")]
pub struct Samples {
    /// Calibration samples for a float model, which is quantized first
    #[arg(long, value_name = "DATA.npz")]
    pub calib: Option<PathBuf>,
    /// Samples to measure the quantized model's accuracy on [default: the calibration samples, if they
    /// have labels]
    #[arg(long, value_name = "DATA.npz", requires = "calib")]
    pub eval: Option<PathBuf>,
    #[command(flatten)]
    pub preprocessing: Preprocessing,
}

/// A policy file.
pub struct Policy {
    /// Content.
    pub bytes: Vec<u8>,
    /// The same, parsed.
    pub file: PolicyFile,
}

impl Policy {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot read the policy {}", path.display()))?;
        Ok(Policy {
            file: PolicyFile::parse(&path.display().to_string(), &text).into_diagnostic()?,
            bytes: text.into_bytes(),
        })
    }
}

/// A float model with its samples, ready to be quantized.
pub struct FloatModel {
    graph: OnnxGraph,
    calibration: Dataset,
    evaluation: Option<Dataset>,
    semantics: Semantics,
}

/// Where the samples of a float model are.
pub struct Sources<'a> {
    /// Calibration samples; a built-in model has its own.
    pub calib: Option<&'a Path>,
    /// Samples to measure accuracy on; by default the calibration samples, if they have labels.
    pub eval: Option<&'a Path>,
    /// Labels of the latter; by default beside them.
    pub labels: Option<&'a Path>,
    /// What is done to each sample.
    pub preprocessing: &'a Preprocessing,
}

impl Samples {
    /// Where they are.
    pub fn sources(&self) -> Sources<'_> {
        Sources {
            calib: self.calib.as_deref(),
            eval: self.eval.as_deref(),
            labels: None,
            preprocessing: &self.preprocessing,
        }
    }
}

impl FloatModel {
    /// Reads model and samples.
    ///
    /// # Errors
    /// The model is quantized already, or there are no samples.
    pub fn open(model: &str, sources: &Sources, semantics: Semantics) -> Result<Self> {
        let graph = float_graph(model)?;
        let calibration = calibration(model, &graph, sources.calib, sources.preprocessing)?;
        let evaluation = match sources.eval {
            Some(path) => {
                let (labels, preprocessing) = (sources.labels, sources.preprocessing);
                Some(data::load(&graph, path, labels, preprocessing)?)
            }
            None => calibration.labels.is_some().then(|| calibration.clone()),
        };
        Ok(FloatModel {
            graph,
            calibration,
            evaluation,
            semantics,
        })
    }

    /// The model in the integers of a policy, without one in 8 bits; a mixed policy, too, if `suggest`.
    pub fn quantize(
        &self,
        policy: Option<&Policy>,
        sensitivity: bool,
        suggest: bool,
    ) -> Result<(Quantization, Option<Suggestion>)> {
        let file = policy.map_or_else(PolicyFile::default, |p| p.file.clone());
        let options = Options {
            semantics: self.semantics,
            sensitivity,
        };
        let mut progress = Progress::new();
        let mut work = || -> Result<_, PtqError> {
            let (graph, calibration) = (self.graph.clone(), &self.calibration);
            let mut done = Quantization::new(graph, &file, calibration, options, &mut progress)?;
            let suggestion = if suggest {
                Some(done.suggest(calibration, &mut progress)?)
            } else {
                None
            };
            if let Some(data) = &self.evaluation {
                done.evaluate(data, &mut progress)?;
            }
            Ok((done, suggestion))
        };
        let done = work();
        progress.finish();
        done.into_diagnostic()
    }

    /// The same as a file called `name`.
    pub fn quantized(&self, name: &str, policy: Option<&Policy>) -> Result<ModelFile> {
        let (done, _) = self.quantize(policy, false, false)?;
        Ok(ModelFile {
            name: format!("{name}.mfq"),
            bytes: mfq(&done, self.semantics)?,
        })
    }

    /// Name of the network.
    pub fn name(&self) -> &str {
        &self.graph.name
    }
}
