//! `macforge compile`

use crate::Outcome;
use crate::host;
use crate::precisions::{self, Precision};
use crate::project::{self, Divided, Io, ReadPorts, Target};
use crate::sayln;
use clap::Args as ClapArgs;
use macforge_codegen::{Design, Network, generate};
use macforge_constraints::board;
use macforge_numeric::Semantics;
use macforge_plan::{Packing, Shape, WeightSource};
use macforge_quant::QGraph;
use miette::{IntoDiagnostic, Result};
use std::path::PathBuf;
use std::time::Instant;

/// Options of `compile`.
#[derive(ClapArgs)]
pub struct Args {
    /// Model file (.tflite, .onnx, .mfq) or name of a built-in model (fire-risk, firenet-small, firenet)
    pub model: String,
    /// Board; `macforge boards` lists them
    #[arg(long)]
    pub board: String,
    /// Clock in MHz that the constraints ask for [default: the board's goal]
    #[arg(long)]
    pub clock: Option<f64>,
    /// Array shape: pixels x output channels x input channels [default: explored]
    #[arg(long, value_name = "PxOCxIC")]
    pub shape: Option<Shape>,
    /// Where the weights lie
    #[arg(long, value_enum, default_value = "auto")]
    pub weights: Weights,
    /// AXI4 read ports for weights in DDR memory, 1 to 4, of 64 or 32 bits [default: as few as suffice]
    #[arg(long, value_name = "N[xBITS]")]
    pub hp_ports: Option<ReadPorts>,
    /// What the streams carry
    #[arg(long, value_enum, default_value = "int8")]
    pub io: Io,
    /// Rounding rules [default: the model format's own]
    #[arg(long)]
    pub semantics: Option<Semantics>,
    #[command(flatten)]
    pub precisions: precisions::Args,
    /// Output folder
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

/// Where the weights may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Weights {
    /// On chip where they fit, otherwise in DDR memory.
    Auto,
    /// On chip.
    Chip,
    /// In DDR memory.
    Ddr,
}

impl Weights {
    fn source(self) -> Option<WeightSource> {
        match self {
            Weights::Auto => None,
            Weights::Chip => Some(WeightSource::Chip),
            Weights::Ddr => Some(WeightSource::Memory),
        }
    }
}

/// Compiles a model into a design folder.
pub fn run(args: &Args) -> Result<Outcome> {
    let started = Instant::now();
    let precisions = args.precisions.open(&args.model, args.semantics)?;
    let board = board(&args.board).into_diagnostic()?;
    let clock_mhz = args.clock.unwrap_or(board.default_clock_mhz);
    let divided = precisions.iter().map(|p| match precisions.len() {
        1 => p.file.divided(args.semantics, args.io),
        _ => p.file.divided_of_several(args.semantics, args.io),
    });
    let divided: Vec<Divided> = divided.collect::<Result<_>>()?;
    let target = Target {
        board,
        clock_mhz,
        shape: args.shape,
        choice: None,
        weights: args.weights.source(),
        ports: args.hp_ports,
    };
    let lanes: Vec<&QGraph> = divided.iter().map(|d| &d.lanes).collect();
    let plan = project::plan(&lanes, &target)?;
    let networks: Vec<Network> = (precisions.iter().zip(&divided))
        .map(|(precision, divided)| network(precision, &divided.graph))
        .collect();
    let design = Design {
        networks: &networks,
        plan: &plan,
        board,
        io: args.io.name(),
        clock_mhz,
    };
    let bundle = generate(&design).into_diagnostic()?;
    bundle.write(&args.output).into_diagnostic()?;
    let channels: usize = plan.proofs.iter().map(|p| p.channels.len()).sum();
    sayln!(
        "{}: {} layers on a {} array ({}{} requantizer lanes), {} ({})",
        plan.name,
        plan.program.len(),
        plan.shape,
        match plan.shape.packing {
            Packing::Two => "",
            Packing::Four => "4 products per DSP, ",
        },
        plan.shape.all_lanes(),
        board.name,
        board.part
    );
    let cycles = (0..networks.len()).map(|set| plan.estimated_cycles_of(set).to_string());
    sayln!(
        "  estimated {} cycles per inference, {} DSP, {} BRAM36, {} LUT, {} FF",
        cycles.collect::<Vec<_>>().join(" / "),
        plan.estimate.dsp,
        plan.estimate.bram36,
        plan.estimate.lut,
        plan.estimate.ff
    );
    if !plan.estimate.fits(&project::budget(board)) {
        sayln!("  more than {} has: for simulation only", board.device);
    }
    if networks.len() > 1 {
        let names: Vec<&str> = networks.iter().map(|n| n.name).collect();
        sayln!(
            "  precisions: {} (register PRECISION, 0x028)",
            names.join(", ")
        );
    }
    if let Some(stream) = &plan.stream {
        let bytes = (0..networks.len()).map(|set| stream.bytes(set).to_string());
        sayln!(
            "  weights from DDR: {} bytes per inference through {} ports of {} bits, {} words on chip",
            bytes.collect::<Vec<_>>().join(" / "),
            stream.slices.len(),
            stream.bus,
            stream.depth
        );
    }
    if let Some(memory) = &plan.activation_memory {
        sayln!(
            "  activations in DDR: {} bytes behind the weights, {} bytes moved per inference",
            memory.bytes(),
            memory.traffic(&plan.layers)
        );
    }
    sayln!("  proved requantizer, accumulator and packed lanes of {channels} channels");
    host::say(divided[0].head.as_ref(), divided[0].tail.as_ref());
    sayln!(
        "  wrote {} in {:.1} s",
        args.output.display(),
        started.elapsed().as_secs_f64()
    );
    Ok(Outcome::Passed)
}

fn network<'a>(precision: &'a Precision, graph: &'a QGraph) -> Network<'a> {
    Network {
        name: &precision.name,
        graph,
        model_file: (&precision.file.name, &precision.file.bytes),
        policy: precision.policy.as_deref(),
    }
}
