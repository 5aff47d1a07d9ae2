//! `macforge demo`

use crate::Outcome;
use crate::commands::{compile, report, simulate};
use crate::cosim::samples;
use crate::precisions;
use crate::project::{Io, Project};
use crate::sayln;
use clap::Args as ClapArgs;
use macforge_builtin::fire_risk;
use macforge_reference::Value;
use miette::Result;
use std::io::Cursor;
use std::path::PathBuf;

/// Options of `demo`.
#[derive(ClapArgs)]
pub struct Args {
    /// Board
    #[arg(long, default_value = "pynq-z2")]
    pub board: String,
    /// Output folder
    #[arg(short, long, value_name = "DIR", default_value = "out/demo")]
    pub output: PathBuf,
}

/// Compiles the built-in model, simulates its samples and reports.
pub fn run(args: &Args) -> Result<Outcome> {
    sayln!("Forest-fire risk from 32x32 RGB + infrared images, trained by this project\n");
    compile::run(&compile::Args {
        model: fire_risk::NAME.into(),
        board: args.board.clone(),
        clock: None,
        shape: None,
        weights: compile::Weights::Auto,
        hp_ports: None,
        io: Io::Int8,
        semantics: None,
        precisions: precisions::Args::default(),
        output: args.output.clone(),
    })?;
    let project = Project::open(&args.output)?;
    let inputs = samples::from_reader(
        &project.networks[0].graph,
        Cursor::new(fire_risk::SAMPLES),
        None,
    )?;
    sayln!(
        "\nCo-simulation of {} labelled scenes in Verilator",
        inputs.len()
    );
    let outcome = simulate::verify(
        &args.output,
        &project,
        &[inputs],
        &simulate::Request {
            layers: true,
            ..simulate::Request::default()
        },
    )?;
    classes(&outcome.outputs);
    sayln!();
    report::run(&report::Args {
        dir: args.output.clone(),
        measure: false,
        html: None,
        json: None,
    })?;
    let dir = args.output.display();
    sayln!("\nMade {dir}/rtl (Verilog), {dir}/mem (memory images), {dir}/constraints,");
    sayln!("     {dir}/vivado/synth.tcl, {dir}/manifest.json");
    sayln!("{}", simulate::verdict(&outcome.simulation));
    Ok(simulate::outcome_of(&outcome.simulation))
}

/// Prints how often each class was the highest output.
fn classes(outputs: &[Vec<Value>]) {
    let names: Vec<&str> = fire_risk::LABELS.lines().collect();
    let mut counts = vec![0usize; names.len()];
    for output in outputs.iter().flatten() {
        if let Some(values) = output.as_i8() {
            let best = (0..values.len()).max_by_key(|&i| values.as_slice().map_or(0, |v| v[i]));
            if let Some(count) = best.and_then(|b| counts.get_mut(b)) {
                *count += 1;
            }
        }
    }
    let shares: Vec<String> = names
        .iter()
        .zip(&counts)
        .map(|(n, c)| format!("{n} {c}"))
        .collect();
    sayln!("  predicted: {}", shares.join(", "));
}
