//! Model files to a typed graph that stays close to the source file.
//!
//! [`load`] picks the importer by file extension, [`from_bytes`] by content. An importer checks
//! everything it reads (truncated and hostile files give an error that names the place) and keeps
//! what the file says: real scales, zero points, constants. Operators that have no importer are
//! kept in the graph and listed in [`Model::unsupported`], so that a model can be inspected whole;
//! `macforge-quant` refuses to lower such a model. ONNX files keep their own graph
//! ([`onnx::OnnxGraph`]), whose quantization is told by its nodes and not by its tensors.

mod error;
mod graph;
mod imported;
mod mfq;
pub mod onnx;
pub mod tflite;

use std::path::Path;

pub use error::ModelError;
pub use graph::{
    Activation, BinaryKind, ConstData, Conv2dOptions, ElementType, Format, LstmOptions, Model,
    OpKind, Operator, Padding, PoolOptions, Quantization, SliceOptions, Tensor, Unary, Unsupported,
    Variable,
};
pub use imported::{Imported, Source};
pub use mfq::Mfq;

/// Largest file, and largest single tensor, that is accepted (1 GiB).
pub const MAX_BYTES: u64 = 1 << 30;

/// Reads a model file; the format is chosen by the extension, the model is named after the file.
///
/// # Errors
/// [`ModelError::UnknownExtension`] for other formats,
/// [`ModelError::Io`] where the file cannot be read, otherwise as [`from_bytes`].
pub fn load(path: &Path) -> Result<Imported, ModelError> {
    let shown = path.display().to_string();
    let extension = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    match extension.as_str() {
        "tflite" | "onnx" | "mfq" => {}
        _ => {
            return Err(ModelError::UnknownExtension {
                path: shown,
                extension,
            });
        }
    }
    let io = |source| ModelError::Io {
        path: shown.clone(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > MAX_BYTES {
        return Err(ModelError::TooLarge {
            at: shown.clone(),
            bytes,
            limit: MAX_BYTES,
        });
    }
    let data = std::fs::read(path).map_err(io)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    from_bytes(&stem, &data)
}

/// Reads a model from memory and names it `name`; the format is recognised by its content.
///
/// # Errors
/// [`ModelError::NotAModel`] for unknown content, [`ModelError::Malformed`],
/// [`ModelError::Refused`] and [`ModelError::TooLarge`], with the place, for damaged files.
/// Unsupported operators are not an error here, see [`Model::unsupported`].
pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Imported, ModelError> {
    if tflite::is_tflite(bytes) {
        return tflite::import(name, bytes).map(Imported::TfLite);
    }
    if mfq::is_mfq(bytes) {
        return mfq::import(name, bytes).map(Imported::Mfq);
    }
    if onnx::is_onnx(bytes) {
        return onnx::import(name, bytes).map(Imported::Onnx);
    }
    Err(ModelError::NotAModel {
        name: name.to_string(),
        bytes: bytes.len(),
    })
}
