//! `macforge explore`

use crate::Outcome;
use crate::keep;
use crate::precisions;
use crate::project::{self, Io, Target};
use crate::table::Table;
use crate::{say, sayln};
use clap::Args as ClapArgs;
use macforge_plan::Candidate;
use miette::{IntoDiagnostic, Result};
use serde::Serialize;
use std::path::PathBuf;

/// Options of `explore`.
#[derive(ClapArgs)]
pub struct Args {
    /// Model file (.tflite, .onnx, .mfq) or name of a built-in model
    pub model: String,
    /// Board
    #[arg(long)]
    pub board: String,
    /// How many shapes to print
    #[arg(long, default_value_t = 12)]
    pub most: usize,
    /// Writes all shapes as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Entry {
    shape: String,
    lanes: usize,
    products_per_dsp: usize,
    estimated_cycles: u64,
    dsp: u64,
    bram36: f64,
    lut: u64,
    ff: u64,
}

impl From<&Candidate> for Entry {
    fn from(c: &Candidate) -> Self {
        Entry {
            shape: c.shape.to_string(),
            lanes: c.shape.all_lanes(),
            products_per_dsp: c.shape.packing.products(),
            estimated_cycles: c.cycles,
            dsp: c.estimate.dsp,
            bram36: c.estimate.bram36,
            lut: c.estimate.lut,
            ff: c.estimate.ff,
        }
    }
}

/// Prints the shapes that fit the board, best first. All figures are estimates.
pub fn run(args: &Args) -> Result<Outcome> {
    let precisions = precisions::Args::default().open(&args.model, None)?;
    let graph = precisions[0].file.divided(None, Io::Int8)?.lanes;
    let board = macforge_constraints::board(&args.board).into_diagnostic()?;
    let candidates = macforge_plan::candidates(
        &graph,
        &project::options(graph.semantics, &Target::new(board)),
    )
    .into_diagnostic()?;
    let entries: Vec<Entry> = candidates.iter().map(Entry::from).collect();
    let mut table = Table::new(&[
        "shape",
        "lanes",
        "per DSP",
        "cycles (est.)",
        "DSP",
        "BRAM36",
        "LUT",
        "FF",
    ]);
    for e in entries.iter().take(args.most) {
        table.row(vec![
            e.shape.clone(),
            e.lanes.to_string(),
            e.products_per_dsp.to_string(),
            e.estimated_cycles.to_string(),
            e.dsp.to_string(),
            e.bram36.to_string(),
            e.lut.to_string(),
            e.ff.to_string(),
        ]);
    }
    say!("{}", table.render());
    sayln!(
        "  {} shapes within twice the best fit {}",
        entries.len(),
        board.name
    );
    if let Some(path) = &args.json {
        keep::json(path, &entries)?;
    }
    Ok(if entries.is_empty() {
        Outcome::Failed
    } else {
        Outcome::Passed
    })
}
