//! Passes over the [`QGraph`], one per file, in the order they run.

pub(crate) mod float_boundary;
pub(crate) mod integer_inputs;
mod remove_dead;

use crate::graph::QGraph;

/// The passes after `from_model`; the graph is verified after each.
pub(crate) const SEQUENCE: [fn(&mut QGraph); 1] = [remove_dead::run];
