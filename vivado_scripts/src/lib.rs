//! Vivado scripts for a generated design.
//!
//! * [`command`]: the Vivado commands that the scripts use, as types; names and options follow UG835
//!   (Vivado Design Suite Tcl Command Reference Guide). Quoting is that of
//!   [`macforge_constraints::tcl`].
//! * [`synth`]: `vivado/synth.tcl`, out-of-context synthesis, placement and routing with reports.
//!
//! A script for another job (project, block design, bitstream) is another module next to `synth`.

pub mod command;
mod error;
mod path;
pub mod synth;

pub use error::ScriptError;
pub use path::BundlePath;
pub use synth::SynthScript;
