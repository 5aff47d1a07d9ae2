//! The `macforge` command.

mod commands;
mod cosim;
mod host;
mod keep;
mod measure;
mod precisions;
mod project;
mod say;
mod table;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Quantized neural-network accelerators for Zynq-7000, proved bit-exact in co-simulation.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile, simulate, verify and report the built-in model in one go
    Demo(commands::demo::Args),
    /// Layers, shapes, quantization, MACs and parameters; what is unsupported, and where
    Inspect(commands::inspect::Args),
    /// Post-training quantization of a float ONNX model, with an error report per layer
    Quantize(commands::quantize::Args),
    /// Model to RTL, memory images, constraints, Vivado script and manifest
    Compile(commands::compile::Args),
    /// Verilator co-simulation against the reference model
    Simulate(commands::simulate::Args),
    /// Resources, cycles, utilization, proofs and memory map of a design
    Report(commands::report::Args),
    /// Array shapes against cycles and resources
    Explore(commands::explore::Args),
    /// Known boards and devices
    Boards,
    /// Which tools are there, and how to get the missing ones
    Doctor,
}

/// How a command ended when nothing was wrong with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Everything holds.
    Passed,
    /// A comparison or a check failed.
    Failed,
}

fn main() -> ExitCode {
    // messages are read by scripts as well as by people: no wrapping inside names
    let handler = miette::MietteHandlerOpts::new().wrap_lines(false);
    let hook = miette::set_hook(Box::new(move |_| Box::new(handler.clone().build())));
    hook.expect("set once");
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Demo(args) => commands::demo::run(args),
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Quantize(args) => commands::quantize::run(args),
        Command::Compile(args) => commands::compile::run(args),
        Command::Simulate(args) => commands::simulate::run(args),
        Command::Report(args) => commands::report::run(args),
        Command::Explore(args) => commands::explore::run(args),
        Command::Boards => commands::boards::run(),
        Command::Doctor => commands::doctor::run(),
    };
    match result {
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::from(2)
        }
    }
}
