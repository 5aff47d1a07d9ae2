//! Errors of code generation.

use std::path::PathBuf;
use thiserror::Error;

/// Why a design could not be generated or written.
#[derive(Debug, Error)]
pub enum CodegenError {
    /// A template of macforge does not render.
    #[error("internal: a template does not render: {0}")]
    Template(#[from] tera::Error),
    /// A hardware block refused its parameters.
    #[error("a hardware block cannot be built: {0}")]
    Block(#[from] macforge_hdl::HdlError),
    /// The constraints refuse the clock.
    #[error(transparent)]
    Constraints(#[from] macforge_constraints::ConstraintsError),
    /// A Vivado script refuses a name.
    #[error(transparent)]
    Script(#[from] macforge_vivado_scripts::ScriptError),
    /// The manifest cannot be written or read as JSON.
    #[error("cannot encode {path}")]
    Manifest {
        /// File.
        path: PathBuf,
        /// What serde_json says.
        source: serde_json::Error,
    },
    /// The output folder holds something that macforge did not write.
    #[error(
        "{0} exists and is not a macforge design (no manifest.json); choose another folder or \
         remove it"
    )]
    ForeignFolder(PathBuf),
    /// An operating-system error.
    #[error("cannot write {path}; check that the folder is writable and the disk is not full")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}
