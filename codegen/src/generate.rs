//! One design: all files of a plan.

use crate::bundle::{Bundle, sha256};
use crate::engine;
use crate::error::CodegenError;
use crate::header::Origin;
use crate::manifest::{
    ActivationEntry, ChoiceEntry, EstimateEntry, Manifest, PrecisionEntry, PrecisionStream,
    StreamEntry, layers,
};
use crate::memory;
use crate::weight_image;
use macforge_constraints::{Board, out_of_context_xdc};
use macforge_hdl::VerilogModule;
use macforge_hdl::blocks;
use macforge_plan::{HwPlan, LstmTableSize, Packing, Port};
use macforge_quant::QGraph;
use macforge_vivado_scripts::SynthScript;
use std::path::PathBuf;

/// A network in one precision.
#[derive(Clone, Debug)]
pub struct Network<'a> {
    /// Name of the precision.
    pub name: &'a str,
    /// Integer graph.
    pub graph: &'a QGraph,
    /// Model file name and content; the design carries a copy.
    pub model_file: (&'a str, &'a [u8]),
    /// Policy file content.
    pub policy: Option<&'a [u8]>,
}

/// What a design is made from.
#[derive(Clone, Debug)]
pub struct Design<'a> {
    /// The network in all its precisions, in the order of the plan's sets.
    pub networks: &'a [Network<'a>],
    /// Hardware plan.
    pub plan: &'a HwPlan,
    /// The board.
    pub board: &'a Board,
    /// `int8` (as the model has it) or `float`.
    pub io: &'a str,
    /// Clock of the constraints.
    pub clock_mhz: f64,
}

/// Name of the top module.
const TOP: &str = "macforge_top";

/// Constraints file.
const XDC: &str = "constraints/macforge_ooc.xdc";

/// The weights of a design that reads them from memory.
pub const WEIGHT_IMAGE: &str = "mem/ddr.bin";

/// All files of the design, manifest included.
///
/// # Errors
/// A block or a template refuses; the plan is at fault.
pub fn generate(design: &Design) -> Result<Bundle, CodegenError> {
    let origin = Origin {
        version: env!("CARGO_PKG_VERSION").to_string(),
        model: engine::one_line(&design.plan.name),
        model_sha256: sha256(design.first().model_file.1),
    };
    let mut bundle = Bundle::default();
    let mut sources = Vec::new();
    for module in modules(design)? {
        let path = format!("rtl/{}.v", module.name);
        bundle.add(&path, origin.verilog(&module.text));
        sources.push(path);
    }
    let mut memories = Vec::new();
    for (name, text) in images(design.plan) {
        let path = format!("mem/{name}");
        bundle.add(&path, text);
        memories.push(path);
    }
    let title = format!(
        "{} for {}, out of context",
        design.plan.name, design.board.name
    );
    if let Some(stream) = &design.plan.stream {
        bundle.add(WEIGHT_IMAGE, weight_image::image(design.plan, stream));
    }
    bundle.add(XDC, out_of_context_xdc(design.clock_mhz, "clk", &title)?);
    let script = SynthScript {
        header: title,
        top: TOP.to_string(),
        part: design.board.part.clone(),
        sources,
        memory_files: memories,
        xdc: XDC.to_string(),
    };
    bundle.add("vivado/synth.tcl", script.render()?);
    bundle.add("plan.txt", design.plan.to_string());
    bundle.add("graph.txt", graphs(design.networks));
    for network in design.networks {
        let (name, content) = network.model_file;
        bundle.add(format!("model/{name}"), content);
    }
    let manifest = manifest(design, &bundle, &origin);
    let mut json =
        serde_json::to_string_pretty(&manifest).map_err(|source| CodegenError::Manifest {
            path: PathBuf::from("manifest.json"),
            source,
        })?;
    json.push('\n');
    bundle.add("manifest.json", json);
    Ok(bundle)
}

impl<'a> Design<'a> {
    /// The first precision: what a design is called after, and whose streams it has.
    fn first(&self) -> &Network<'a> {
        &self.networks[0]
    }
}

/// The integer graphs as text.
fn graphs(networks: &[Network]) -> String {
    match networks {
        [only] => only.graph.to_string(),
        _ => networks
            .iter()
            .map(|n| format!("precision {}\n{}", n.name, n.graph))
            .collect(),
    }
}

fn images(plan: &HwPlan) -> Vec<(&'static str, String)> {
    let mut images = vec![
        ("params.mem", memory::params(plan)),
        ("program.mem", memory::program(plan)),
    ];
    if plan.stream.is_none() {
        let [weights, weight_tail] = memory::weights(plan);
        images.insert(0, ("weights.mem", weights));
        if plan.memories.weight_tail > 0 {
            images.push(("weights_tail.mem", weight_tail));
        }
    }
    if plan.features.tables > 0 {
        images.push(("tables.mem", memory::tables(plan)));
    }
    if let Some(size) = &plan.features.lstm {
        images.extend(memory::lstm(plan, size));
    }
    images
}

/// The engine's modules and the compute cells that this design needs.
fn modules(design: &Design) -> Result<Vec<VerilogModule>, CodegenError> {
    let (plan, graph) = (design.plan, design.first().graph);
    let [bias, fraction] = plan.bias_bits();
    let mut modules = blocks::compute_cells(&blocks::Selection {
        semantics: graph.semantics,
        acc_bits: plan.features.acc_bits,
        bias_bits: (bias - fraction) as u32,
        fraction_bits: fraction as u32,
        wraps: plan.features.wraps,
        halves: plan.features.halves,
        quad: plan.shape.packing == Packing::Four,
        max: plan.features.max,
        lut_products: plan.features.depthwise || plan.shape.fabric > 0,
        add: plan.features.add,
        softmax: plan.units.softmaxes(&plan.layers.layers),
        lstm: lstm_cells(plan),
        attention: plan.features.attention.is_some(),
        quantize: boundary(graph, &plan.layers.inputs),
        dequantize: boundary(graph, &plan.layers.outputs),
    })?;
    modules.extend(engine::engine(plan, graph, TOP).render()?);
    Ok(modules)
}

/// What the LSTM unit is made of.
fn lstm_cells(plan: &HwPlan) -> Option<blocks::LstmCells> {
    plan.features.lstm.map(|size| match size.tables {
        LstmTableSize::Integer { .. } => blocks::LstmCells::Integer,
        LstmTableSize::Fp16 => blocks::LstmCells::Fp16,
    })
}

/// Parameters of the float stream among these, if there is one.
fn boundary(graph: &QGraph, ports: &[Port]) -> Option<macforge_numeric::AffineParams> {
    let port = ports.iter().find(|p| p.float)?;
    graph.tensor(port.tensor).quant
}

/// What a register chooses from; nothing where there is no choice.
fn precisions(design: &Design) -> Vec<PrecisionEntry> {
    let sets = design.plan.layers.sets.iter().enumerate();
    let several = sets.filter(|_| design.networks.len() > 1);
    several
        .zip(design.networks)
        .map(|((set, layers), network)| PrecisionEntry {
            name: network.name.to_string(),
            value: set,
            model_file: format!("model/{}", network.model_file.0),
            model_sha256: sha256(network.model_file.1),
            policy_sha256: network.policy.map(sha256),
            first_layer: layers.start,
            layers: layers.len(),
            estimated_cycles: design.plan.estimated_cycles_of(set),
            stream: (design.plan.stream.as_ref()).map(|s| PrecisionStream::new(s, set)),
        })
        .collect()
}

fn manifest(design: &Design, bundle: &Bundle, origin: &Origin) -> Manifest {
    let (plan, first) = (design.plan, design.first());
    let Board {
        name: board,
        device,
        part,
        ..
    } = design.board.clone();
    Manifest {
        tool: format!("macforge {}", origin.version),
        version: origin.version.clone(),
        model: plan.name.clone(),
        model_file: format!("model/{}", first.model_file.0),
        model_sha256: origin.model_sha256.clone(),
        policy_sha256: first.policy.map(sha256),
        board,
        device,
        part,
        clock_mhz: design.clock_mhz,
        shape: plan.shape.to_string(),
        lanes: plan.shape.all_lanes(),
        choice: ChoiceEntry::new(plan),
        products_per_dsp: plan.shape.packing.products(),
        semantics: first.graph.semantics.to_string(),
        io: design.io.to_string(),
        top: TOP.to_string(),
        layers: layers(plan),
        precisions: precisions(design),
        weight_stream: (plan.stream.as_ref()).map(|s| StreamEntry::new(s, plan.features)),
        activation_memory: ActivationEntry::new(plan),
        estimate: EstimateEntry::new(&plan.estimate, plan.estimated_cycles()),
        files: bundle.digests(),
    }
}
