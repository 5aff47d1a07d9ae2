//! Models that the program carries: a quantized classifier, and the forest-fire network in two sizes,
//! which is built here as float ONNX.

pub mod fire_risk;
pub mod firenet;
mod random;

use std::borrow::Cow;

use macforge_model::onnx::OnnxGraph;
use macforge_ptq::Dataset;

/// A built-in model.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// Name on the command line.
    pub name: &'static str,
    source: Source,
}

/// Where a model comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// A quantized model file.
    File(&'static str, &'static [u8]),
    /// A float network that is built.
    Network(fn() -> OnnxGraph, fn() -> Dataset),
}

/// All built-in models.
pub const ALL: [Builtin; 3] = [
    Builtin {
        name: fire_risk::NAME,
        source: Source::File(fire_risk::FILE, fire_risk::MODEL),
    },
    Builtin {
        name: "firenet-small",
        source: Source::Network(firenet::small, firenet::small_calibration),
    },
    Builtin {
        name: "firenet",
        source: Source::Network(firenet::full, firenet::full_calibration),
    },
];

/// The built-in model called `name`.
pub fn find(name: &str) -> Option<Builtin> {
    ALL.into_iter().find(|b| b.name == name)
}

impl Builtin {
    /// File name and content of the model as it is kept: a quantized file, or float ONNX.
    pub fn file(&self) -> (String, Cow<'static, [u8]>) {
        match self.source {
            Source::File(name, bytes) => (name.into(), Cow::Borrowed(bytes)),
            Source::Network(build, _) => {
                let bytes = build().to_bytes().expect("a graph of plain attributes");
                (format!("{}.onnx", self.name), Cow::Owned(bytes))
            }
        }
    }

    /// Whether it has to be quantized first.
    pub fn is_float(&self) -> bool {
        matches!(self.source, Source::Network(..))
    }

    /// Calibration samples of a float network, with labels where it is trained; `None` for a model that
    /// is quantized already.
    pub fn calibration(&self) -> Option<Dataset> {
        match self.source {
            Source::File(..) => None,
            Source::Network(_, calibration) => Some(calibration()),
        }
    }
}
