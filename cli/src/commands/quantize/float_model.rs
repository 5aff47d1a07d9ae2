//! Quantization as the first step of `compile`: a float model, its samples, one or more policies.

use super::progress::Progress;
use super::{Preprocessing, calibration, data, float_graph, mfq};
use crate::project::ModelFile;
use clap::Args as ClapArgs;
use macforge_model::onnx::OnnxGraph;
use macforge_numeric::Semantics;
use macforge_ptq::policy::PolicyFile;
use macforge_ptq::{Dataset, Options, PtqError, Quantization};
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

impl FloatModel {
    /// Reads model and samples.
    ///
    /// # Errors
    /// The model is quantized already, or there are no samples.
    pub fn open(model: &str, samples: &Samples, semantics: Option<Semantics>) -> Result<Self> {
        let graph = float_graph(model)?;
        let load = |path: &PathBuf| data::load(&graph, path, None, &samples.preprocessing);
        let file = samples.calib.as_deref();
        let calibration = calibration(model, &graph, file, &samples.preprocessing)?;
        let evaluation = match &samples.eval {
            Some(path) => Some(load(path)?),
            None => calibration.labels.is_some().then(|| calibration.clone()),
        };
        Ok(FloatModel {
            calibration,
            evaluation,
            graph,
            semantics: semantics.unwrap_or(Semantics::OrtX86),
        })
    }

    /// The model in the integers of a policy, without one in 8 bits, as a file called `name`.
    pub fn quantized(&self, name: &str, policy: Option<&Policy>) -> Result<ModelFile> {
        let file = policy.map_or_else(PolicyFile::default, |p| p.file.clone());
        let options = Options {
            semantics: self.semantics,
            sensitivity: false,
        };
        let mut progress = Progress::new();
        let mut work = || -> Result<_, PtqError> {
            let graph = self.graph.clone();
            let mut done =
                Quantization::new(graph, &file, &self.calibration, options, &mut progress)?;
            if let Some(data) = &self.evaluation {
                done.evaluate(data, &mut progress)?;
            }
            Ok(done)
        };
        let done = work();
        progress.finish();
        Ok(ModelFile {
            name: format!("{name}.mfq"),
            bytes: mfq(&done.into_diagnostic()?, self.semantics)?,
        })
    }

    /// Name of the network.
    pub fn name(&self) -> &str {
        &self.graph.name
    }
}
