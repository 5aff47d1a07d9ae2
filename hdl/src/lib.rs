//! Hardware described in Rust: compute cells, and the engine that is built from them.
//!
//! | module | holds |
//! | --- | --- |
//! | [`typed`] | a small typed layer that prints Verilog: widths and signs are explicit |
//! | [`cells`] | leaf cells of fixed width, described in rust-hdl |
//! | [`blocks`] | the compute blocks, described in the typed layer |
//! | [`engine`] | the parametric Verilog around them |
//!
//! Nothing here knows networks; what a block computes is stated by `macforge-numeric`.

pub mod blocks;
pub mod cells;
pub mod engine;
mod error;
pub mod typed;

pub use error::HdlError;

/// A Verilog module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerilogModule {
    /// Module name; the file is `<name>.v`.
    pub name: String,
    /// Source text.
    pub text: String,
}
