//! What `compile` makes a design of: one network, in one precision or in several.

use crate::commands::quantize::ahead::{FloatModel, Policy, Samples};
use crate::project::ModelFile;
use clap::Args as ClapArgs;
use macforge_numeric::Semantics;
use miette::Result;
use std::path::PathBuf;

/// How a float model is quantized before it is compiled, once or several times.
#[derive(Clone, Debug, Default, ClapArgs)]
#[group(id = "precisions")]
pub struct Args {
    /// Policy file for a float model [default with --calib or a built-in one: 8 bits, weights per channel, minmax]
    #[arg(long, value_name = "P.toml")]
    pub policy: Option<PathBuf>,
    #[command(flatten)]
    pub samples: Samples,
}

/// A network in one precision.
pub struct Precision {
    /// The quantized model.
    pub file: ModelFile,
    /// Content of the policy file that it was quantized by.
    pub policy: Option<Vec<u8>>,
}

impl Args {
    /// The network that is asked for.
    pub fn open(&self, model: &str, semantics: Option<Semantics>) -> Result<Precision> {
        let float = macforge_builtin::find(model).is_some_and(|b| b.is_float());
        if self.policy.is_none() && self.samples.calib.is_none() && !float {
            return Ok(Precision {
                file: ModelFile::open(model)?,
                policy: None,
            });
        }
        let policy = self.policy.as_deref().map(Policy::open).transpose()?;
        let float = FloatModel::open(model, &self.samples, semantics)?;
        Ok(Precision {
            file: float.quantized(float.name(), policy.as_ref())?,
            policy: policy.map(|p| p.bytes),
        })
    }
}
