//! Why a model cannot be lowered, or a graph is not valid.

use macforge_model::Unsupported;
use macforge_numeric::{NumericError, Semantics};
use thiserror::Error;

/// Error of [`crate::lower`] and [`crate::QGraph::verify`].
#[derive(Debug, Error)]
pub enum QuantError {
    /// Operators that have no lowering, all of them.
    #[error("model {model} cannot be built:{}", list(.operators))]
    Unsupported {
        /// Model name.
        model: String,
        /// Every refused operator, in execution order.
        operators: Vec<Unsupported>,
    },
    /// A node or tensor whose parameters are outside what the hardware computes exactly.
    #[error("{node}: {found}; wanted {wanted}")]
    Parameter {
        /// Source of the node, `CONV_2D #3 (name)`, or the graph's boundary.
        node: String,
        /// What was found, tensor named.
        found: String,
        /// What would be needed.
        wanted: String,
    },
    /// A rounding rule that cannot be stated for these scales.
    #[error("{node}: {what}: {source}")]
    Rule {
        /// Source of the node.
        node: String,
        /// Tensor or channel concerned.
        what: String,
        /// Reason.
        source: NumericError,
    },
    /// The chosen semantics has no rule for this operator.
    #[error("{node}: no rule under semantics {semantics}; there is one under {}", names(.wanted))]
    Semantics {
        /// Source of the node.
        node: String,
        /// Semantics asked for.
        semantics: Semantics,
        /// Semantics that have a rule.
        wanted: &'static [Semantics],
    },
    /// The graph breaks one of its invariants ([`crate::QGraph::verify`]).
    #[error("invalid graph: {place}: {what}")]
    Invalid {
        /// Node or tensor.
        place: String,
        /// Which invariant, and how.
        what: String,
    },
}

fn list(operators: &[Unsupported]) -> String {
    operators.iter().map(|u| format!("\n  {u}")).collect()
}

fn names(semantics: &[Semantics]) -> String {
    let names: Vec<&str> = semantics.iter().map(|s| s.name()).collect();
    names.join(" or ")
}
