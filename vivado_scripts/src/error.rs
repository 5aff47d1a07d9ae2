//! The crate's error type.

/// Why a script cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A file name that is not one below the bundle's root.
    #[error("file `{path}`: {problem}; wanted a `/`-separated path relative to the bundle's root")]
    BadPath {
        /// Name that was given.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No Verilog source.
    #[error("no Verilog source: nothing to synthesize")]
    NoSources,
    /// Two memory images in different folders have this name, so that `$readmemh` cannot tell them
    /// apart.
    #[error("two memory images are called `{0}`: wanted a different name for each")]
    SameMemoryName(String),
    /// A name that is empty or starts with `-`, so that Vivado would take it for an option.
    #[error("{what} `{name}`: wanted a non-empty name that does not start with `-`")]
    BadName {
        /// What it names.
        what: &'static str,
        /// Name that was given.
        name: String,
    },
}
