//! The software reference model: an interpreter of [`QGraph`] over `ndarray`.
//!
//! It is written to be read: one file per operator, each a plain statement of what the operator
//! means, every integer rule taken from `macforge-numeric`. It knows nothing of the hardware that
//! is checked against it.
//!
//! [`run`] evaluates one inference and keeps every tensor, so that any layer can be compared; an
//! [`Interpreter`] does so for many inferences of one graph, a [`Session`] for inferences in sequence
//! whose states carry over.

mod dot;
mod error;
mod ops;
mod prepare;
mod product;
mod run;
mod session;
mod value;

pub use error::ReferenceError;
pub use run::{Interpreter, Run, run};
pub use session::Session;
pub use value::Value;

#[cfg(doc)]
use macforge_quant::QGraph;
