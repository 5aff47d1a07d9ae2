//! Builds the Verilated design of a folder, runs the samples and scores every integer.

use crate::cosim::decode;
use crate::cosim::memory;
use crate::cosim::result::{Layer, Simulation, utilization};
use crate::cosim::samples;
use crate::project::Project;
use macforge_plan::{HwLayer, HwPlan, Stored};
use macforge_quant::QGraph;
use macforge_reference::{Run, Session, Value};
use macforge_sim::{
    BuildRequest, Builder, Inference, LayerProbes, Probe, Progress, RunOptions, Signal, Snapshot,
    System,
};
use miette::{IntoDiagnostic, Result, WrapErr};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// How the simulation is run.
#[derive(Clone, Debug)]
pub struct Request {
    /// Compare every stored tensor as well.
    pub layers: bool,
    /// Stall both streams at random.
    pub stall: Option<u64>,
    /// Write an FST trace.
    pub trace: Option<PathBuf>,
    /// Cycles from a request to the memory to its first data; 250 ns when absent.
    pub ddr_latency: Option<u64>,
    /// Percent of the board's memory bandwidth, at least 1.
    pub ddr_bandwidth: u64,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            layers: false,
            stall: None,
            trace: None,
            ddr_latency: None,
            ddr_bandwidth: 100,
        }
    }
}

/// Scores and outputs of all samples.
pub struct Verified {
    /// What is written as JSON.
    pub simulation: Simulation,
    /// The hardware's outputs, in graph order, one list per sample.
    pub outputs: Vec<Vec<Value>>,
}

/// Differences that are printed in full.
const SHOWN: usize = 20;

/// Runs all samples; `progress` sees the sample index and the cycles within it.
pub fn verify(
    dir: &Path,
    project: &Project,
    inputs: &[Vec<Value>],
    request: &Request,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(usize, Progress),
) -> Result<Verified> {
    let mut system = build(dir, project, request, cancel)?;
    if let Some(path) = &request.trace {
        system.trace_to(path).into_diagnostic()?;
    }
    let options = RunOptions {
        stall_seed: request.stall,
        // no handshake for many times what the whole inference should take
        max_idle_cycles: 100_000
            + 20 * project.plan.estimated_cycles() * 100 / request.ddr_bandwidth,
    };
    let beats = decode::output_beats(&project.graph);
    let mut session = Session::new(&project.graph).into_diagnostic()?;
    let mut score = Score::new(project);
    for (index, input) in inputs.iter().enumerate() {
        let expected = session
            .run(input)
            .into_diagnostic()
            .wrap_err("the reference model refuses the sample")?;
        let words = samples::beats(&project.graph, input);
        let words: Vec<&[u32]> = words.iter().map(Vec::as_slice).collect();
        let found = system
            .infer_tensors(&words, &beats, &options, cancel, &mut |p| {
                progress(index, p)
            })
            .into_diagnostic()
            .wrap_err_with(|| format!("sample {index}"))?;
        score.sample(index, &expected, &found);
    }
    Ok(score.finish(inputs.len()))
}

fn build(dir: &Path, project: &Project, request: &Request, cancel: &AtomicBool) -> Result<System> {
    let manifest = &project.manifest;
    let sources: Vec<PathBuf> = manifest
        .files
        .keys()
        .filter(|f| f.ends_with(".v"))
        .map(|f| dir.join(f))
        .collect();
    let build = BuildRequest {
        top: manifest.top.clone(),
        sources,
        memory_dir: dir.join("mem"),
        // states are compared whether asked for or not
        layers: (request.layers || !project.graph.states.is_empty())
            .then(|| probes(&project.plan, &manifest.top)),
        trace: request.trace.is_some(),
        memory: memory::model(dir, manifest, request)?,
    };
    System::build(&build, &Builder::from_env().into_diagnostic()?, cancel).into_diagnostic()
}

/// The activation memories, copied in the cycle in which a layer is done.
fn probes(plan: &HwPlan, top: &str) -> LayerProbes {
    let signal = |module: &str, hierarchy: String| Signal {
        module: module.into(),
        hierarchy,
    };
    let mut memories = Vec::new();
    for (buffer, bank) in banks(plan) {
        memories.push(Probe {
            signal: signal("act_ram", decode::probe_hierarchy(buffer, bank)),
            width: 8 * plan.shape.word as u32,
            depth: plan.act_depth as u32,
        });
    }
    LayerProbes {
        done: signal(top, "layer_done".into()),
        index: signal("sequencer", "u_sequencer.layer_index_q".into()),
        memories,
    }
}

/// Buffer and bank of every activation memory, in probe order.
fn banks(plan: &HwPlan) -> impl Iterator<Item = (usize, usize)> {
    let banks = plan.shape.p;
    (0..2).flat_map(move |buffer| (0..banks).map(move |bank| (buffer, bank)))
}

/// A snapshot as memory.
struct Snapped<'a> {
    snapshot: &'a Snapshot,
    index: BTreeMap<String, usize>,
}

impl decode::Memory for Snapped<'_> {
    fn byte(&self, probe: &str, address: usize, byte: usize) -> Option<u8> {
        let memory = self.snapshot.memories.get(*self.index.get(probe)?)?;
        let word = memory.entry(address).get(byte / 4)?;
        Some(word.to_le_bytes()[byte % 4])
    }
}

/// Collects comparisons.
struct Score<'a> {
    graph: &'a QGraph,
    plan: &'a HwPlan,
    clock_mhz: f64,
    compared: u64,
    mismatches: u64,
    differences: Vec<String>,
    cycles: u64,
    layer_cycles: Vec<u64>,
    saturations: Vec<u64>,
    stalls: Vec<u64>,
    simulated: (u64, f64),
    outputs: Vec<Vec<Value>>,
}

impl<'a> Score<'a> {
    fn new(project: &'a Project) -> Self {
        let layers = project.plan.program.len();
        Score {
            graph: &project.graph,
            plan: &project.plan,
            clock_mhz: project.manifest.clock_mhz,
            compared: 0,
            mismatches: 0,
            differences: Vec::new(),
            cycles: 0,
            layer_cycles: vec![0; layers],
            saturations: vec![0; layers],
            stalls: Vec::new(),
            simulated: (0, 0.0),
            outputs: Vec::new(),
        }
    }

    fn differ(&mut self, text: impl FnOnce() -> String) {
        self.mismatches += 1;
        if self.differences.len() < SHOWN {
            self.differences.push(text());
        }
    }

    fn sample(&mut self, index: usize, expected: &Run, found: &Inference) {
        self.cycles = self.cycles.max(found.cycles.into());
        self.simulated.0 += found.sim_cycles;
        self.simulated.1 += found.sim_seconds;
        self.stalls.resize(found.layer_stalls.len(), 0);
        for (most, &stalls) in self.stalls.iter_mut().zip(&found.layer_stalls) {
            *most = (*most).max(stalls.into());
        }
        for (layer, (&cycles, &count)) in found
            .layer_cycles
            .iter()
            .zip(&found.layer_saturations)
            .enumerate()
        {
            self.layer_cycles[layer] = self.layer_cycles[layer].max(cycles.into());
            self.saturations[layer] += u64::from(count);
            self.saturation_count(index, expected, layer, &found.layer_saturations);
        }
        for snapshot in &found.snapshots {
            self.stored_tensor(index, expected, snapshot);
        }
        self.output(index, expected, found);
    }

    /// The design's own saturation counter against the reference's count.
    fn saturation_count(&mut self, index: usize, expected: &Run, layer: usize, counts: &[u32]) {
        let layers = &self.plan.layers.layers;
        let hw = &layers[layer];
        if layers.iter().any(|l| hw.is_part_of(l)) {
            // counted with the layer that completes the node
            return;
        }
        let parts = layers.iter().zip(counts).filter(|(l, _)| l.is_part_of(hw));
        let of_parts: u64 = parts.map(|(_, &count)| u64::from(count)).sum();
        let found = u64::from(counts[layer]) + of_parts;
        let wanted: u64 = hw.nodes.iter().map(|&n| expected.saturations[n]).sum();
        self.compared += 1;
        if wanted != found {
            let name = hw.name.clone();
            self.differ(|| format!("sample {index}, {name}: {found} saturations, wanted {wanted}"));
        }
    }

    /// Every value of the tensor that a layer left in the activation buffer.
    fn stored_tensor(&mut self, index: usize, expected: &Run, snapshot: &Snapshot) {
        let Some(hw) = self.plan.layers.layers.get(snapshot.layer as usize) else {
            self.differ(|| format!("sample {index}: a layer {} finished", snapshot.layer));
            return;
        };
        let names = banks(self.plan).map(|(buffer, bank)| decode::probe_name(buffer, bank));
        let memory = Snapped {
            snapshot,
            index: names.enumerate().map(|(i, name)| (name, i)).collect(),
        };
        for stored in &hw.completes {
            self.stored_in(index, expected, hw, stored, &memory);
        }
    }

    fn stored_in(
        &mut self,
        index: usize,
        expected: &Run,
        hw: &HwLayer,
        stored: &Stored,
        memory: &Snapped,
    ) {
        let found = decode::region(self.plan, &stored.region, memory);
        let wanted = expected.tensors[stored.tensor.0].as_ref();
        match (found, wanted.and_then(Value::as_i8)) {
            (Some(found), Some(wanted)) => {
                self.compare(
                    index,
                    &hw.name,
                    found.iter().map(|&v| i64::from(v) as u32),
                    wanted.iter().map(|&v| i64::from(v) as u32),
                );
            }
            _ => self.differ(|| format!("sample {index}, {}: nothing to compare", hw.name)),
        }
    }

    fn output(&mut self, index: usize, expected: &Run, found: &Inference) {
        let mut words = found.output_words.as_slice();
        let mut outputs = Vec::new();
        let graph = self.graph;
        for (&id, beats) in graph.outputs.iter().zip(decode::output_beats(graph)) {
            let (own, rest) = words.split_at(beats.min(words.len()));
            words = rest;
            let name = &graph.tensor(id).name;
            let wanted = expected.tensors[id.0].as_ref();
            let Some(output) = decode::output(graph, id, own) else {
                self.differ(|| format!("sample {index}, {name}: the output stream is too short"));
                continue;
            };
            match (&output, wanted) {
                (Value::I8(f), Some(Value::I8(w))) => self.compare(
                    index,
                    name,
                    f.iter().map(|&v| v as u32),
                    w.iter().map(|&v| v as u32),
                ),
                (Value::I32(f), Some(Value::I32(w))) => self.compare(
                    index,
                    name,
                    f.iter().map(|v| v.cast_unsigned()),
                    w.iter().map(|v| v.cast_unsigned()),
                ),
                // the bits, so that no rounding hides and NaN is a value like any other
                (Value::F32(f), Some(Value::F32(w))) => self.compare(
                    index,
                    name,
                    f.iter().map(|v| v.to_bits()),
                    w.iter().map(|v| v.to_bits()),
                ),
                _ => self.differ(|| format!("sample {index}, {name}: element types differ")),
            }
            outputs.push(output);
        }
        self.outputs.push(outputs);
    }

    fn compare(
        &mut self,
        index: usize,
        name: &str,
        found: impl Iterator<Item = u32>,
        wanted: impl Iterator<Item = u32>,
    ) {
        for (at, (found, wanted)) in found.zip(wanted).enumerate() {
            self.compared += 1;
            if found != wanted {
                let (found, wanted) = (found as i32, wanted as i32);
                self.differ(|| format!("sample {index}, {name}[{at}]: {found}, wanted {wanted}"));
            }
        }
    }

    fn finish(self, samples: usize) -> Verified {
        let peak = self.plan.shape.macs_per_cycle();
        let macs: u64 = self.plan.macs.iter().sum();
        let layers = self.plan.layers.layers.iter().enumerate();
        let layers = layers
            .map(|(i, l)| Layer {
                name: l.name.clone(),
                op: l.op.clone(),
                cycles: self.layer_cycles[i],
                macs: self.plan.macs[i],
                utilization: utilization(self.plan.macs[i], self.layer_cycles[i], peak),
                saturations: self.saturations[i],
                stalls: self.stalls.get(i).copied(),
            })
            .collect();
        let (cycles, seconds) = self.simulated;
        Verified {
            simulation: Simulation {
                samples,
                values_compared: self.compared,
                mismatches: self.mismatches,
                cycles_per_inference: self.cycles,
                macs,
                macs_per_cycle_peak: peak,
                utilization: utilization(macs, self.cycles, peak),
                clock_mhz: self.clock_mhz,
                latency_us: self.cycles as f64 / self.clock_mhz,
                sim_cycles_per_second: if seconds > 0.0 {
                    cycles as f64 / seconds
                } else {
                    0.0
                },
                layers,
                differences: self.differences,
            },
            outputs: self.outputs,
        }
    }
}
