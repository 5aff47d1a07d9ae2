//! Errors of hardware generation.

use thiserror::Error;

/// Why a block cannot be built.
#[derive(Debug, Error)]
pub enum HdlError {
    /// A width that the block is not made for.
    #[error("{block}: {what} of {found} bits, wanted {wanted}")]
    Width {
        /// Module name.
        block: &'static str,
        /// Which value.
        what: &'static str,
        /// Bits asked for.
        found: u32,
        /// Bits that are possible.
        wanted: &'static str,
    },
    /// A template of the crate does not render.
    #[error("internal: a template does not render: {0}")]
    Template(#[from] tera::Error),
}
