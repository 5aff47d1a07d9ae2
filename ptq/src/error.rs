//! Why a model cannot be quantized.

use macforge_model::ModelError;
use macforge_numeric::NumericError;
use macforge_quant::QuantError;
use macforge_reference::ReferenceError;
use thiserror::Error;

/// Error of this crate.
#[derive(Debug, Error)]
pub enum PtqError {
    /// The policy asks for something that does not exist or cannot be done.
    #[error("policy: {at}: {found}; {remedy}")]
    Policy {
        /// Key, or file and place.
        at: String,
        /// What was found.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// The model has something that cannot be quantized.
    #[error("{node}: {found}; {remedy}")]
    Model {
        /// Node or value.
        node: String,
        /// What was found.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// The data do not fit the model.
    #[error("{what}: {found}; {remedy}")]
    Data {
        /// Which data.
        what: String,
        /// What was found.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// Float inference failed.
    #[error("float inference: {0}")]
    Inference(String),
    /// A scale or rule that cannot be stated.
    #[error("{at}: {source}")]
    Rule {
        /// Layer or value.
        at: String,
        /// Reason.
        source: NumericError,
    },
    /// The ONNX graph cannot be read or written.
    #[error(transparent)]
    Onnx(#[from] ModelError),
    /// The quantized graph cannot be lowered to integers.
    #[error(transparent)]
    Lower(#[from] QuantError),
    /// The reference model refuses the integer graph.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The caller stopped the work.
    #[error("stopped; nothing was written")]
    Cancelled,
}

impl PtqError {
    pub(crate) fn model(
        node: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        PtqError::Model {
            node: node.into(),
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}
