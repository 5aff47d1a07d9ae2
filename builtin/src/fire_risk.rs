//! The forest-fire-risk classifier that this project trained itself (`testdata/fire-risk`).

/// Name on the command line.
pub const NAME: &str = "fire-risk";
/// Name of the model file.
pub const FILE: &str = "fire_risk_int8.tflite";
/// The model.
pub const MODEL: &[u8] = include_bytes!("../../testdata/fire-risk/fire_risk_int8.tflite");
/// Labelled samples (`input`, `label`, `output0`) as `.npz`.
pub const SAMPLES: &[u8] = include_bytes!("../../testdata/fire-risk/samples.npz");
/// Class names, one per line.
pub const LABELS: &str = include_str!("../../testdata/fire-risk/labels.txt");
