//! From the hardware plan to the files of a design: Verilog, memory images, constraints, Vivado
//! script, manifest. Output is byte-reproducible: no dates, no absolute paths, no hash-map order.

mod bundle;
mod engine;
mod error;
mod generate;
mod header;
mod manifest;
mod memory;
mod weight_image;

pub use bundle::Bundle;
pub use error::CodegenError;
pub use generate::{Design, Network, generate};
pub use manifest::{
    EstimateEntry, LayerEntry, LayerStream, Manifest, PrecisionEntry, PrecisionStream, ProofEntry,
    StreamEntry,
};
