//! From what the user names to graph and plan; the same way for compile, simulate and report.

use macforge_codegen::Manifest;
use macforge_constraints::{Board, Ddr};
use macforge_hdl::blocks;
use macforge_hdl::engine::{PAIR_EXCEPTIONS_LATENCY, SOFTMAX_READ_LATENCY, attention, lstm};
use macforge_model::Imported;
use macforge_numeric::Semantics;
use macforge_plan::staircases::as_lane_rules;
use macforge_plan::{
    BlockLatencies, Budget, Choice, HwPlan, MAX_PORTS, MemoryRates, Options, Shape, WeightOptions,
    WeightSource,
};
use macforge_quant::{Parts, QGraph};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// A model file in memory.
pub struct ModelFile {
    /// File name.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

impl ModelFile {
    /// Reads a file, or takes a built-in model by name.
    pub fn open(model: &str) -> Result<Self> {
        if let Some(builtin) = macforge_builtin::find(model) {
            let (name, bytes) = builtin.file();
            return Ok(ModelFile {
                name,
                bytes: bytes.into_owned(),
            });
        }
        let path = Path::new(model);
        let bytes = fs::read(path).into_diagnostic().wrap_err_with(|| {
            let names: Vec<&str> = macforge_builtin::ALL.iter().map(|b| b.name).collect();
            format!(
                "cannot read the model `{model}` (built-in models: {})",
                names.join(", ")
            )
        })?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        Ok(ModelFile {
            name: name.ok_or_else(|| miette!("`{model}` is not a file"))?,
            bytes,
        })
    }

    /// The imported model, unsupported operators included.
    pub fn import(&self) -> Result<Imported> {
        macforge_model::from_bytes(&self.name, &self.bytes).into_diagnostic()
    }

    /// The integer graph with the asked boundary.
    pub fn graph(&self, semantics: Option<Semantics>, io: Io) -> Result<QGraph> {
        let graph = macforge_quant::lower(&self.import()?, semantics).into_diagnostic()?;
        match io {
            Io::Int8 => macforge_quant::with_integer_inputs(graph).into_diagnostic(),
            Io::Float => macforge_quant::with_float_boundary(graph).into_diagnostic(),
        }
    }
}

/// A network divided between hardware and host.
pub struct Divided {
    /// float32 work in front of the hardware.
    pub head: Option<QGraph>,
    /// The hardware's part as the reference model runs it.
    pub graph: QGraph,
    /// The same with the rules that its lanes have: what the planner gets.
    pub lanes: QGraph,
    /// What follows the hardware.
    pub tail: Option<QGraph>,
}

impl ModelFile {
    /// The integer graph, divided. Staircases are solved for in the whole graph, where the
    /// values that the host quantizes are known.
    pub fn divided(&self, semantics: Option<Semantics>, io: Io) -> Result<Divided> {
        self.divided_by(semantics, io, QGraph::parts)
    }

    /// The same for one of several precisions of a design. The scales of its streams are its own, so the
    /// host converts float32, unless a unit for that is asked for.
    pub fn divided_of_several(&self, semantics: Option<Semantics>, io: Io) -> Result<Divided> {
        match io {
            Io::Int8 => self.divided_by(semantics, io, QGraph::parts_with_conversions),
            Io::Float => self.divided(semantics, io),
        }
    }

    fn divided_by(
        &self,
        semantics: Option<Semantics>,
        io: Io,
        parts: fn(QGraph) -> Parts,
    ) -> Result<Divided> {
        let graph = self.graph(semantics, io)?;
        let lanes = as_lane_rules(&graph).into_diagnostic()?.into_owned();
        let divided = parts(graph);
        Ok(Divided {
            head: divided.head,
            graph: divided.core,
            lanes: parts(lanes).core,
            tail: divided.tail,
        })
    }
}

/// What the streams carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Io {
    /// As the model has it; several float32 inputs are quantized by the host.
    Int8,
    /// float32, with quantize and dequantize units in the hardware.
    Float,
}

impl Io {
    /// Name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Io::Int8 => "int8",
            Io::Float => "float",
        }
    }
}

/// AXI4 read ports for weights: `N` ports of 64 bits, or `Nx32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPorts {
    /// 1 to 4.
    pub count: usize,
    /// 32 or 64.
    pub bits: usize,
}

impl FromStr for ReadPorts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (count, bits) = text.split_once('x').unwrap_or((text, "64"));
        match (count.parse(), bits.parse()) {
            (Ok(count @ 1..=MAX_PORTS), Ok(bits @ (32 | 64))) => Ok(ReadPorts { count, bits }),
            _ => Err("wanted 1 to 4 ports, as in 2, 2x64 or 2x32".into()),
        }
    }
}

/// What a plan is made for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The board.
    pub board: &'a Board,
    /// Clock of the constraints.
    pub clock_mhz: f64,
    /// Array shape; explored when absent.
    pub shape: Option<Shape>,
    /// All that is chosen, of a design that is there.
    pub choice: Option<Choice>,
    /// Where the weights lie; chosen when absent.
    pub weights: Option<WeightSource>,
    /// Read ports for weights in memory; chosen when absent.
    pub ports: Option<ReadPorts>,
}

impl<'a> Target<'a> {
    /// A board at its own clock; everything else is chosen.
    pub fn new(board: &'a Board) -> Self {
        Target {
            board,
            clock_mhz: board.default_clock_mhz,
            shape: None,
            choice: None,
            weights: None,
            ports: None,
        }
    }
}

/// The plan for a target: of one graph, or of several quantizations of one network.
pub fn plan(graphs: &[&QGraph], target: &Target) -> Result<HwPlan> {
    macforge_plan::build_sets(graphs, &options(graphs[0].semantics, target)).into_diagnostic()
}

/// Bytes per 1,000 cycles of a clock, from MB/s.
fn per_1000_cycles(mb_s: u32, clock_mhz: f64) -> u64 {
    (1000.0 * f64::from(mb_s) / clock_mhz) as u64
}

/// What a board's memory gives at a clock.
pub fn rates(board: &Board, clock_mhz: f64) -> MemoryRates {
    MemoryRates {
        total: per_1000_cycles(board.ddr.sequential_mb_s(), clock_mhz),
        port: per_1000_cycles(Ddr::HP_PORT_MB_S, clock_mhz),
    }
}

/// What a board's device offers.
pub fn budget(board: &Board) -> Budget {
    let resources = board.resources();
    Budget {
        dsp: resources.dsp.into(),
        bram36: resources.bram36.into(),
        lut: resources.lut.into(),
        ff: resources.ff.into(),
    }
}

/// Planner options for a target.
pub fn options(semantics: Semantics, target: &Target) -> Options {
    Options {
        budget: budget(target.board),
        shape: target.shape,
        choice: target.choice,
        weights: WeightOptions {
            source: target.weights,
            ports: target.ports.map(|p| p.count),
            bus: target.ports.map_or(64, |p| p.bits),
            rates: rates(target.board, target.clock_mhz),
        },
        latencies: BlockLatencies {
            requant: blocks::requant_lane::latency(semantics),
            add: blocks::add_lane::LATENCY,
            pair_exceptions: PAIR_EXCEPTIONS_LATENCY,
            softmax_fixed: blocks::softmax_unit::overhead(SOFTMAX_READ_LATENCY),
            lstm_step: lstm::STEP_CYCLES,
            fp16_lstm_step: lstm::FP16_STEP_CYCLES,
            lstm_ring: lstm::RING_CYCLES,
            attention_row: attention::ROW_CYCLES,
            attention_fixed: attention::FIXED_CYCLES,
        },
    }
}

/// A network of a design, in one precision.
pub struct Network {
    /// Name of the precision; the model's where there is only one.
    pub name: String,
    /// Integer graph of the hardware, rebuilt from the model in the folder.
    pub graph: QGraph,
    /// float32 work in front of it.
    pub head: Option<QGraph>,
    /// What follows it.
    pub tail: Option<QGraph>,
}

/// A design folder, read back.
pub struct Project {
    /// Its manifest.
    pub manifest: Manifest,
    /// The network in all its precisions.
    pub networks: Vec<Network>,
    /// The plan, rebuilt.
    pub plan: HwPlan,
}

impl Project {
    /// Opens a design folder.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("manifest.json");
        let text = fs::read_to_string(&path)
            .into_diagnostic()
            .wrap_err_with(|| {
                format!(
                    "{} is not a macforge design; make one with `macforge compile`",
                    dir.display()
                )
            })?;
        let manifest: Manifest = serde_json::from_str(&text)
            .into_diagnostic()
            .wrap_err_with(|| format!("{} is damaged; compile again", path.display()))?;
        if manifest.version != env!("CARGO_PKG_VERSION") {
            return Err(miette!(
                "{} was made by macforge {}, this is {}; compile again",
                dir.display(),
                manifest.version,
                env!("CARGO_PKG_VERSION")
            ));
        }
        let semantics: Semantics = manifest.semantics.parse().into_diagnostic()?;
        let io = if manifest.io == "float" {
            Io::Float
        } else {
            Io::Int8
        };
        let files: Vec<(&str, &str)> = if manifest.precisions.is_empty() {
            vec![(&manifest.model, &manifest.model_file)]
        } else {
            let each = manifest.precisions.iter();
            each.map(|p| (p.name.as_str(), p.model_file.as_str()))
                .collect()
        };
        let (mut networks, mut lanes) = (Vec::new(), Vec::new());
        for (name, file) in files {
            let file = ModelFile::open(&dir.join(file).to_string_lossy())?;
            let divided = if manifest.precisions.is_empty() {
                file.divided(Some(semantics), io)?
            } else {
                file.divided_of_several(Some(semantics), io)?
            };
            lanes.push(divided.lanes);
            networks.push(Network {
                name: name.to_string(),
                graph: divided.graph,
                head: divided.head,
                tail: divided.tail,
            });
        }
        let board = macforge_constraints::board(&manifest.board).into_diagnostic()?;
        let stream = manifest.weight_stream.as_ref();
        let target = Target {
            clock_mhz: manifest.clock_mhz,
            choice: Some(manifest.choice().into_diagnostic()?),
            ports: stream.map(|s| ReadPorts {
                count: s.ports,
                bits: s.bus_bits,
            }),
            ..Target::new(board)
        };
        let plan = plan(&lanes.iter().collect::<Vec<_>>(), &target)?;
        Ok(Project {
            manifest,
            networks,
            plan,
        })
    }
}
