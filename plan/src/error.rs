//! Errors of planning: each names the layer, what was found and what to do.

use thiserror::Error;

/// Why no hardware plan could be made.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum PlanError {
    /// The graph uses something that the engine cannot do.
    #[error("{layer}: {found}; {remedy}")]
    Unsupported {
        /// Source node.
        layer: String,
        /// What was found.
        found: String,
        /// What the user can do.
        remedy: String,
    },
    /// `--shape` cannot run this model.
    #[error("shape {shape}: {reason}")]
    Shape {
        /// The shape, `PxOCxIC`.
        shape: String,
        /// Why it does not work.
        reason: String,
    },
    /// A shape that was not of the form `PxOCxIC`.
    #[error("`{0}` is not an array shape; wanted PxOCxIC, for example 3x16x8")]
    ShapeSyntax(String),
    /// No shape fits the device.
    #[error("no array shape fits the device: {0}; choose a larger board")]
    NoFit(String),
    /// An arithmetic rule cannot be proved for this layer.
    #[error("{layer}, channel {channel}: {reason}")]
    Unproved {
        /// Source node.
        layer: String,
        /// Output channel.
        channel: usize,
        /// What failed, with the counterexample.
        reason: String,
    },
    /// A numeric rule refused its parameters.
    #[error("{layer}: its hardware constants cannot be made exact")]
    Numeric {
        /// Source node.
        layer: String,
        /// The rule's own message.
        source: macforge_numeric::NumericError,
    },
    /// The plan contradicts itself: a defect in macforge, not in the model.
    #[error("internal: the plan does not verify: {0}; please report this with the model")]
    Verify(String),
}
