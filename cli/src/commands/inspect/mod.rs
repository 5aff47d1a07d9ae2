//! `macforge inspect`

mod onnx;
mod tflite;

use crate::Outcome;
use crate::project::ModelFile;
use clap::Args as ClapArgs;
use macforge_model::{Imported, Mfq};
use miette::Result;

/// Options of `inspect`.
#[derive(ClapArgs)]
pub struct Args {
    /// Model file (.tflite, .onnx, .mfq) or name of a built-in model
    pub model: String,
}

/// Prints what a model consists of.
pub fn run(args: &Args) -> Result<Outcome> {
    match ModelFile::open(&args.model)?.import()? {
        Imported::TfLite(model) => tflite::print(&model),
        Imported::Onnx(graph) | Imported::Mfq(Mfq { graph, .. }) => onnx::print(&graph)?,
    }
    Ok(Outcome::Passed)
}
