//! `macforge report`

mod gather;
mod html;
mod precisions;
mod roofline;
mod sections;

use crate::measure::measure;
use crate::project::Project;
use crate::{Outcome, keep, say};
use clap::Args as ClapArgs;
use miette::Result;
use sections::Section;
use std::path::{Path, PathBuf};

/// Options of `report`.
#[derive(ClapArgs)]
pub struct Args {
    /// Design folder
    pub dir: PathBuf,
    /// Runs Yosys on the design's Verilog (minutes) and keeps the figures in the folder
    #[arg(long)]
    pub measure: bool,
    /// Writes the report as one HTML page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Writes the report as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Where `report --measure` and `simulate` leave their figures in the design folder.
pub const RESOURCES: &str = "reports/resources.json";
/// See [`RESOURCES`].
pub const SIMULATION: &str = "reports/simulation.json";

/// Prints the report of a design.
pub fn run(args: &Args) -> Result<Outcome> {
    if args.measure {
        measure_into(&args.dir)?;
    }
    let report = gather::gather(&args.dir)?;
    let heading = sections::heading(&report);
    let sections = sections::sections(&report);
    say!("{}", text(&heading, &sections));
    if let Some(path) = &args.html {
        keep::bytes(path, html::page(&heading, &sections)?.as_bytes())?;
    }
    if let Some(path) = &args.json {
        keep::json(path, &report)?;
    }
    Ok(Outcome::Passed)
}

fn measure_into(dir: &Path) -> Result<()> {
    let manifest = Project::open(dir)?.manifest;
    let measured = measure(dir, &manifest)?;
    keep::json(&dir.join(RESOURCES), &measured)
}

fn text(heading: &str, sections: &[Section]) -> String {
    let mut out = format!("{heading}\n");
    for section in sections {
        out += &format!("\n{}\n{}", section.title, section.table.render());
        if !section.note.is_empty() {
            out += &format!("  {}\n", section.note);
        }
    }
    out
}
