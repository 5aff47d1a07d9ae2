//! Builds the Verilated design of a folder, runs the samples and scores every integer.

use crate::cosim::decode;
use crate::cosim::memory;
use crate::cosim::pairs;
use crate::cosim::result::{self, Layer, Simulation, utilization};
use crate::cosim::samples;
use crate::project::{Network, Project};
use macforge_plan::{HwLayer, HwPlan, Stored};
use macforge_quant::QGraph;
use macforge_reference::{Run, Session, Value};
use macforge_sim::{
    BuildRequest, Builder, Inference, LayerProbes, Precision, Probe, Progress, RunOptions, Signal,
    Snapshot, System,
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
    /// The hardware's outputs, in graph order, one list per sample; of the first precision.
    pub outputs: Vec<Vec<Value>>,
    /// Those of further precisions.
    pub further_outputs: Vec<Vec<Vec<Value>>>,
}

/// Differences that are printed in full.
const SHOWN: usize = 20;

/// Up to so many cycles the optimiser takes longer than it saves: on arrays of 96 to 384 multiply-accumulates about
/// 3 seconds of one core against 10 microseconds per cycle (measured).
const FEW_CYCLES: u64 = 150_000;

/// Input words from which on the next precision may be chosen before all are sent.
const MANY_WORDS: usize = 48;

/// Runs all samples, each of them in every precision before the next one, in turns from the first and from
/// the last on, so that one also follows itself; `inputs` are the samples as each precision takes them.
/// `progress` sees the number of the inference and the cycles within it.
pub fn verify(
    dir: &Path,
    project: &Project,
    inputs: &[Vec<Vec<Value>>],
    request: &Request,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(usize, Progress),
) -> Result<Verified> {
    let samples = inputs.iter().map(Vec::len).min().unwrap_or(0);
    let sets = project.networks.len();
    let cycles = (0..sets).map(|set| project.plan.estimated_cycles_of(set));
    let quick = samples as u64 * cycles.clone().sum::<u64>() < FEW_CYCLES;
    let mut system = build(dir, project, (request, quick), cancel)?;
    if let Some(path) = &request.trace {
        system.trace_to(path).into_diagnostic()?;
    }
    // no handshake for many times what the whole inference should take
    let idle = 20 * cycles.max().unwrap_or(0) * 100 / request.ddr_bandwidth;
    let mut runs: Vec<SetRun> = (0..sets)
        .map(|set| SetRun::new(project, set))
        .collect::<Result<_>>()?;
    for number in 0..samples * sets {
        let (index, set) = (number / sets, set_of(number, sets));
        let run = &mut runs[set];
        let input = &inputs[set][index];
        let expected = run
            .session
            .run(input)
            .into_diagnostic()
            .wrap_err("the reference model refuses the sample")?;
        let words = samples::beats(&run.network.graph, input);
        let words: Vec<&[u32]> = words.iter().map(Vec::as_slice).collect();
        // of six inferences, three choose the next one's precision while their input comes in
        let ahead = number % 6 < 3 && words.iter().map(|w| w.len()).sum::<usize>() >= MANY_WORDS;
        let options = RunOptions {
            stall_seed: request.stall,
            max_idle_cycles: 100_000 + idle,
            precision: (sets > 1).then(|| Precision {
                this: set as u32,
                next: ahead.then_some(set_of(number + 1, sets) as u32),
            }),
        };
        let found = system
            .infer_tensors(&words, &run.beats, &options, cancel, &mut |p| {
                progress(number, p)
            })
            .into_diagnostic()
            .wrap_err_with(|| format!("sample {index}"))?;
        run.score.sample(index, &expected, &found);
    }
    Ok(finish(runs, samples))
}

/// The precision of an inference: of three, 0 1 2 2 1 0 and again.
fn set_of(number: usize, sets: usize) -> usize {
    let place = number % (2 * sets);
    place.min(2 * sets - 1 - place)
}

/// A precision while the samples run.
struct SetRun<'a> {
    network: &'a Network,
    beats: Vec<usize>,
    session: Session<'a>,
    score: Score<'a>,
}

impl<'a> SetRun<'a> {
    fn new(project: &'a Project, set: usize) -> Result<Self> {
        let network = &project.networks[set];
        Ok(SetRun {
            network,
            beats: decode::output_beats(&network.graph),
            session: Session::new(&network.graph).into_diagnostic()?,
            score: Score::new(project, set),
        })
    }
}

/// The first precision's result, with those of all where there are several.
fn finish(runs: Vec<SetRun>, samples: usize) -> Verified {
    let several = runs.len() > 1;
    let names: Vec<String> = runs.iter().map(|run| run.network.name.clone()).collect();
    let mut verified = runs.into_iter().map(|run| run.score.finish(samples));
    let mut first = verified.next().expect("a design has a network");
    if !several {
        return first;
    }
    let of_set = |name: &String, s: &Simulation| result::Precision {
        name: name.clone(),
        values_compared: s.values_compared,
        mismatches: s.mismatches,
        cycles_per_inference: s.cycles_per_inference,
        macs: s.macs,
        utilization: s.utilization,
        latency_us: s.latency_us,
        layers: s.layers.clone(),
    };
    let named = |name: &str, differences: &[String]| -> Vec<String> {
        let text = differences.iter().map(|d| format!("{name}: {d}"));
        text.collect()
    };
    let mut precisions = vec![of_set(&names[0], &first.simulation)];
    first.simulation.differences = named(&names[0], &first.simulation.differences);
    for (name, further) in names[1..].iter().zip(verified) {
        precisions.push(of_set(name, &further.simulation));
        let all = &mut first.simulation;
        all.values_compared += further.simulation.values_compared;
        all.mismatches += further.simulation.mismatches;
        all.differences
            .extend(named(name, &further.simulation.differences));
        first.further_outputs.push(further.outputs);
    }
    first.simulation.precisions = precisions;
    first
}

fn build(
    dir: &Path,
    project: &Project,
    (request, quick): (&Request, bool),
    cancel: &AtomicBool,
) -> Result<System> {
    let manifest = &project.manifest;
    let sources: Vec<PathBuf> = manifest
        .files
        .keys()
        .filter(|f| f.ends_with(".v"))
        .map(|f| dir.join(f))
        .collect();
    let has_states = (project.networks.iter()).any(|n| !n.graph.states.is_empty());
    let build = BuildRequest {
        top: manifest.top.clone(),
        sources,
        memory_dir: dir.join("mem"),
        // states are compared whether asked for or not
        layers: (request.layers || has_states).then(|| probes(&project.plan, &manifest.top)),
        trace: request.trace.is_some(),
        quick,
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
            depth: plan.act_depths[buffer] as u32,
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

/// Collects comparisons of a precision.
struct Score<'a> {
    graph: &'a QGraph,
    plan: &'a HwPlan,
    /// The layers that the precision runs, those that restore states first.
    ran: Vec<usize>,
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
    fn new(project: &'a Project, set: usize) -> Self {
        let layers = project.plan.program.len();
        Score {
            graph: &project.networks[set].graph,
            ran: (0..project.plan.layers.reset_layers)
                .chain(project.plan.layers.sets[set].clone())
                .collect(),
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
        for layer in self.ran.clone() {
            let (cycles, count) = (found.layer_cycles[layer], found.layer_saturations[layer]);
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
        if self.ran.iter().any(|&l| hw.is_part_of(&layers[l])) {
            // counted with the layer that completes the node
            return;
        }
        let parts = self.ran.iter().filter(|&&l| layers[l].is_part_of(hw));
        let of_parts: u64 = parts.map(|&l| u64::from(counts[l])).sum();
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
        let layer = snapshot.layer as usize;
        if !self.ran.contains(&layer) {
            self.differ(|| format!("sample {index}: a layer {layer} finished"));
            return;
        }
        let hw = &self.plan.layers.layers[layer];
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
        let [_, columns, channels] = stored.region.hwc;
        let before = stored.first_row * columns * channels;
        match (found, wanted) {
            (Some(found), Some(Value::I16(wanted))) => {
                let tensor = self.graph.tensor(stored.tensor);
                let found = pairs::join(tensor, &found);
                self.compare(
                    index,
                    &hw.name,
                    found.iter().map(|&v| i64::from(v) as u32),
                    wanted.iter().map(|&v| i64::from(v) as u32),
                );
            }
            (Some(found), Some(Value::I8(wanted))) if before + found.len() <= wanted.len() => {
                let wanted = wanted.iter().skip(before);
                self.compare(
                    index,
                    &hw.name,
                    found.iter().map(|&v| i64::from(v) as u32),
                    wanted.map(|&v| i64::from(v) as u32),
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
                (Value::I16(f), Some(Value::I16(w))) => self.compare(
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
        let macs: u64 = self.ran.iter().map(|&layer| self.plan.macs[layer]).sum();
        let layers = self.ran.iter().map(|&i| (i, &self.plan.layers.layers[i]));
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
                precisions: Vec::new(),
            },
            outputs: self.outputs,
            further_outputs: Vec::new(),
        }
    }
}
