//! Hardware described in Rust: compute cells, and the engine that is built from them.

pub mod engine;

/// A Verilog module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerilogModule {
    /// Module name; the file is `<name>.v`.
    pub name: String,
    /// Source text.
    pub text: String,
}
