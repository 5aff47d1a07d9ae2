//! What can go wrong while a model file is read.

use thiserror::Error;

/// Error of [`crate::load`] and [`crate::from_bytes`].
#[derive(Debug, Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Path as given.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// No importer is known for this extension.
    #[error(
        "{path}: unknown model format (extension {extension:?}); \
         supported are .tflite, .onnx and .mfq"
    )]
    UnknownExtension {
        /// Path as given.
        path: String,
        /// Extension found, lower case, may be empty.
        extension: String,
    },
    /// The content is no model of any known format.
    #[error(
        "model {name}: the {bytes} bytes are neither a TFLite model \
         (no \"TFL3\" identifier at byte 4) nor an ONNX model (no graph in a ModelProto) \
         nor an .mfq file (no \"MFQ\" at byte 0); \
         the file may be truncated or of another format"
    )]
    NotAModel {
        /// Model name.
        name: String,
        /// Number of bytes seen.
        bytes: usize,
    },
    /// The file contradicts its own format: truncated, corrupted or hostile.
    #[error("malformed model: {at}: {what}")]
    Malformed {
        /// Place in the file, for example `subgraphs[0].operators[3].inputs[1]`.
        at: String,
        /// What was found and what was wanted.
        what: String,
    },
    /// Well-formed, but not taken by this tool.
    #[error("{at}: {found}; {remedy}")]
    Refused {
        /// Place in the file.
        at: String,
        /// What was found.
        found: String,
        /// What to do about it.
        remedy: String,
    },
    /// A tensor or file larger than the tool accepts.
    #[error("{at}: {bytes} bytes, more than the accepted {limit}")]
    TooLarge {
        /// File or tensor.
        at: String,
        /// Size found.
        bytes: u64,
        /// Size accepted.
        limit: u64,
    },
}

impl ModelError {
    /// A contradiction in the file, found at the current place.
    pub(crate) fn malformed(at: impl Into<String>, what: impl Into<String>) -> Self {
        ModelError::Malformed {
            at: at.into(),
            what: what.into(),
        }
    }

    /// Something that this tool does not take, and what to do about it.
    pub(crate) fn refused(
        at: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        ModelError::Refused {
            at: at.into(),
            found: found.into(),
            remedy: remedy.into(),
        }
    }

    /// Puts the enclosing part of the file in front of the place.
    pub(crate) fn within(self, outer: impl std::fmt::Display) -> Self {
        let join = |at: String| match at.as_str() {
            "" => outer.to_string(),
            at => format!("{outer}.{at}"),
        };
        match self {
            ModelError::Malformed { at, what } => ModelError::Malformed { at: join(at), what },
            ModelError::Refused { at, found, remedy } => ModelError::Refused {
                at: join(at),
                found,
                remedy,
            },
            ModelError::TooLarge { at, bytes, limit } => ModelError::TooLarge {
                at: join(at),
                bytes,
                limit,
            },
            other => other,
        }
    }
}
