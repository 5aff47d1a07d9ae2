//! `.mfq`: what `macforge quantize` writes, a quantized model with its rounding rules and its report.
//!
//! ```text
//! 0    4 bytes   "MFQ", 0x1a
//! 4    u32       version of the format, little endian
//! 8    u32       length of the header
//! 12   header    JSON: tool, semantics, onnx_bytes, onnx_sha256, report
//! ...  onnx_bytes  the model: ONNX with QuantizeLinear and DequantizeLinear
//! ```
//!
//! The model is kept in the standard's own terms, not as macforge's integer graph: reading one goes
//! through the same importer, the same lowering and the same checks as any other file.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ModelError;
use crate::onnx::{self, OnnxGraph};

/// First bytes of a file.
const MAGIC: [u8; 4] = *b"MFQ\x1a";
/// The version that this tool writes and reads.
const VERSION: u32 = 1;
/// Bytes before the header.
const FIXED: usize = 12;
/// Largest header (64 MiB).
const MAX_HEADER: usize = 1 << 26;

/// A quantized model.
#[derive(Clone, Debug, PartialEq)]
pub struct Mfq {
    /// The model in QDQ form.
    pub graph: OnnxGraph,
    /// Name of the rounding rules that the integer graph follows.
    pub semantics: String,
    /// The report, as JSON.
    pub report: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    tool: String,
    semantics: String,
    onnx_bytes: usize,
    onnx_sha256: String,
    report: serde_json::Value,
}

/// Whether the content is an `.mfq` file.
pub(crate) fn is_mfq(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

impl Mfq {
    /// The content of a file; the same model gives the same bytes.
    ///
    /// # Errors
    /// The graph holds an attribute that cannot be written.
    ///
    /// # Panics
    /// Never: reports are JSON already.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        let onnx = self.graph.to_bytes()?;
        let header = Header {
            tool: format!("macforge {}", env!("CARGO_PKG_VERSION")),
            semantics: self.semantics.clone(),
            onnx_bytes: onnx.len(),
            onnx_sha256: sha256(&onnx),
            report: self.report.clone(),
        };
        let header = serde_json::to_vec(&header).expect("the header has a JSON form");
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header);
        bytes.extend(onnx);
        Ok(bytes)
    }
}

/// Reads a file and names the graph `name`.
///
/// # Errors
/// Another version; a damaged file; everything that [`onnx::import`] refuses.
pub(crate) fn import(name: &str, bytes: &[u8]) -> Result<Mfq, ModelError> {
    let word = |at: usize| {
        let field = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
        field.map(u32::from_le_bytes)
    };
    let truncated = || ModelError::malformed("mfq", format!("{} bytes, truncated", bytes.len()));
    let version = word(4).ok_or_else(truncated)?;
    if version != VERSION {
        return Err(ModelError::refused(
            "mfq",
            format!("version {version} of the format"),
            format!("this macforge reads version {VERSION}; quantize the model again"),
        ));
    }
    let length = word(8).ok_or_else(truncated)? as usize;
    if length > MAX_HEADER {
        return Err(ModelError::TooLarge {
            at: "mfq: header".into(),
            bytes: length as u64,
            limit: MAX_HEADER as u64,
        });
    }
    let header = bytes.get(FIXED..FIXED + length).ok_or_else(truncated)?;
    let header: Header = serde_json::from_slice(header)
        .map_err(|error| ModelError::malformed("mfq: header", error.to_string()))?;
    let model = &bytes[FIXED + length..];
    if model.len() != header.onnx_bytes {
        let wanted = header.onnx_bytes;
        let what = format!("{} bytes, wanted {wanted}", model.len());
        return Err(ModelError::malformed("mfq: model", what));
    }
    if sha256(model) != header.onnx_sha256 {
        let what = "its SHA-256 is not the one in the header; the file is damaged";
        return Err(ModelError::malformed("mfq: model", what));
    }
    Ok(Mfq {
        graph: onnx::import(name, model).map_err(|e| e.within("mfq"))?,
        semantics: header.semantics,
        report: header.report,
    })
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}
