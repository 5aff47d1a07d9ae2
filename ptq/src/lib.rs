//! Post-training quantization: a float ONNX graph and calibration data become a quantized graph.

mod assign;
mod attention;
mod bias_correction;
pub mod calibrate;
mod data;
mod emit;
mod error;
mod error_sums;
mod integer;
mod layers;
mod monitor;
mod network;
mod observe;
mod outputs;
pub mod policy;
pub mod prepare;
mod quantize;
mod report;
pub mod scale;
mod sensitivity;
mod session;
mod suggest;
mod weights;

pub use data::{Dataset, top1};
pub use error::PtqError;
pub use error_sums::{Fidelity, Split};
pub use layers::{Activation, Layer};
pub use monitor::{Monitor, Silent};
pub use quantize::{Options, Quantization};
pub use report::{Evaluation, LayerReport, Report, TensorReport};
pub use sensitivity::Sensitivity;
pub use session::{Session, Values};
pub use suggest::{Candidate, Suggestion};
