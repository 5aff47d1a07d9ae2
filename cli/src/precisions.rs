//! What `compile` makes a design of: one network, in one precision or in several.

use crate::commands::quantize::float_model::{FloatModel, Policy, Samples};
use crate::project::ModelFile;
use clap::Args as ClapArgs;
use macforge_numeric::Semantics;
use miette::{Result, miette};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Most precisions of a design.
const MOST: usize = 16;

/// How a float model is quantized before it is compiled, once or several times.
#[derive(Clone, Debug, Default, ClapArgs)]
#[group(id = "precisions")]
pub struct Args {
    /// Policy file for a float model [default with --calib or a built-in one: 8 bits, weights per channel, minmax]
    #[arg(long, value_name = "P.toml", conflicts_with = "several")]
    pub policy: Option<PathBuf>,
    /// Several precisions in one design, of which a register chooses one per inference: policy files for
    /// a float MODEL (.toml), quantized models (any other file)
    #[arg(
        id = "several",
        long = "precisions",
        value_delimiter = ',',
        value_name = "A,B,.."
    )]
    pub several: Vec<PathBuf>,
    #[command(flatten)]
    pub samples: Samples,
}

/// A network in one precision.
pub struct Precision {
    /// Its name: that of its file, without the ending.
    pub name: String,
    /// The quantized model.
    pub file: ModelFile,
    /// Content of the policy file that it was quantized by.
    pub policy: Option<Vec<u8>>,
}

impl Args {
    /// The network that is asked for, in all its precisions.
    pub fn open(&self, model: &str, semantics: Option<Semantics>) -> Result<Vec<Precision>> {
        if !self.several.is_empty() {
            return self.open_several(model, semantics);
        }
        let builtin = macforge_builtin::find(model).is_some_and(|b| b.is_float());
        if self.policy.is_none() && self.samples.calib.is_none() && !builtin {
            let file = ModelFile::open(model)?;
            return Ok(vec![Precision {
                name: file.name.clone(),
                file,
                policy: None,
            }]);
        }
        let policy = self.policy.as_deref().map(Policy::open).transpose()?;
        let float = self.float(model, semantics)?;
        Ok(vec![Precision {
            name: float.name().to_string(),
            file: float.quantized(float.name(), policy.as_ref())?,
            policy: policy.map(|p| p.bytes),
        }])
    }

    /// The float model, with its samples.
    fn float(&self, model: &str, semantics: Option<Semantics>) -> Result<FloatModel> {
        let semantics = semantics.unwrap_or(Semantics::OrtX86);
        FloatModel::open(model, &self.samples.sources(), semantics)
    }

    fn open_several(&self, model: &str, semantics: Option<Semantics>) -> Result<Vec<Precision>> {
        let names: Vec<String> = self.several.iter().map(|path| stem(path)).collect();
        let different: BTreeSet<&String> = names.iter().collect();
        if names.len() < 2 || names.len() > MOST || different.len() < names.len() {
            return Err(miette!(
                "--precisions {}: wanted 2 to {MOST} files with different names, which are the names \
                 of the precisions",
                names.join(",")
            ));
        }
        let is_policy = |path: &PathBuf| path.extension().is_some_and(|e| e == "toml");
        let float = if self.several.iter().any(is_policy) {
            Some(self.float(model, semantics)?)
        } else if self.several.iter().any(|path| path == Path::new(model)) {
            None
        } else {
            return Err(miette!(
                "the precisions are quantized models; `{model}` has to be one of them (or a float \
                 model, with policy files among the precisions)"
            ));
        };
        let open = |(path, name): (&PathBuf, String)| match &float {
            Some(float) if is_policy(path) => {
                let policy = Policy::open(path)?;
                Ok(Precision {
                    file: float.quantized(&name, Some(&policy))?,
                    policy: Some(policy.bytes),
                    name,
                })
            }
            _ => {
                let mut file = ModelFile::open(&path.to_string_lossy())?;
                // models of the same name may come from different folders
                let ending = path.extension().unwrap_or_default().to_string_lossy();
                file.name = format!("{name}.{ending}");
                Ok(Precision {
                    name,
                    file,
                    policy: None,
                })
            }
        };
        self.several.iter().zip(names).map(open).collect()
    }
}

/// A file's name without its ending.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
}
