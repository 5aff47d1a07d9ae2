//! Whole inferences of a macforge design over its AXI interfaces.

use crate::builder::Builder;
use crate::contract;
use crate::error::SimError;
use crate::ffi::{RunState, SystemModel};
use crate::memory::MemoryModel;
use crate::probe::{LayerProbes, ProbedMemory, Snapshot};
use crate::registers as reg;
use crate::verilate::{BuildInfo, BuildSpec, Shim, SourceFile, build};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What a [`System`] is built from.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// Top module; its ports must be those of a macforge system.
    pub top: String,
    /// Every Verilog file of the design. File names must differ.
    pub sources: Vec<PathBuf>,
    /// Folder that relative `$readmemh` paths start from.
    pub memory_dir: PathBuf,
    /// Memories to copy whenever a layer finishes. The Verilog text stays as it is: a Verilator
    /// control file makes them readable.
    pub layers: Option<LayerProbes>,
    /// Build the variant that can write waveforms (slower).
    pub trace: bool,
    /// Compile without the optimiser: half of the time for the build, six times as much per cycle.
    pub quick: bool,
    /// Memory behind the memory ports, for designs that have some.
    pub memory: Option<MemoryModel>,
}

/// How one inference is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Random gaps on the input stream, back-pressure on the output stream and delays on the register
    /// bus; none when `None`.
    pub stall_seed: Option<u64>,
    /// Cycles without a word taken or given after which the design is declared hanging. (A finished
    /// layer is no progress: a faulty sequencer can run layers for ever.)
    pub max_idle_cycles: u64,
    /// For designs with several precisions.
    pub precision: Option<Precision>,
}

/// When the PRECISION register is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision {
    /// What the inference runs. It is written before the input; where the register has the value
    /// already, nothing is.
    pub this: u32,
    /// Written when the design is loading the input (34 words were accepted), for the next inference.
    pub next: Option<u32>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            stall_seed: None,
            max_idle_cycles: 20_000_000,
            precision: None,
        }
    }
}

/// How far an inference is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Cycles simulated in this inference.
    pub cycles: u64,
    /// Input words taken by the design.
    pub input_words: u64,
    /// Output words given by the design.
    pub output_words: u64,
    /// Layers finished; counted only when layers are probed.
    pub finished_layers: u32,
}

/// What one inference gave.
#[derive(Debug, Clone)]
pub struct Inference {
    /// Words of the output stream.
    pub output_words: Vec<u32>,
    /// `tkeep` of the last output word: 1, 3, 7 or 15.
    pub last_keep: u32,
    /// The CYCLES register: from the first cycle after the input is complete to the last output
    /// written.
    pub cycles: u32,
    /// Cycles from the last input word taken to the last output word given, counted by the bridge.
    pub stream_cycles: u64,
    /// The INPUT_STALL register, since reset.
    pub input_stall: u32,
    /// The OUTPUT_STALL register, since reset.
    pub output_stall: u32,
    /// The LAYER_CYCLES registers.
    pub layer_cycles: Vec<u32>,
    /// The LAYER_SATURATIONS registers.
    pub layer_saturations: Vec<u32>,
    /// The LAYER_STALLS registers; empty without a memory.
    pub layer_stalls: Vec<u32>,
    /// Bytes read through the memory ports since the model was loaded.
    pub memory_bytes: u64,
    /// Bytes written through the memory ports since the model was loaded; those with their strobes set.
    pub memory_written: u64,
    /// Cycles simulated, register accesses included.
    pub sim_cycles: u64,
    /// Wall-clock time of the simulation.
    pub sim_seconds: f64,
    /// One per finished layer, in order, when layers are probed.
    pub snapshots: Vec<Snapshot>,
}

/// Input words of which a design's loader has taken at least one: the FIFO of a float32 input holds 32.
const TAKEN_WORDS: u64 = 34;
/// Cycles between two looks at the cancel flag.
const SLICE: u64 = 4096;
/// Status reads until the design must have come to rest after its last output word.
const REST_POLLS: u32 = 1000;

/// A built and loaded design. The Verilated model lives as long as this value; inferences follow each
/// other without a reset unless one failed or was cancelled.
pub struct System {
    model: SystemModel,
    info: BuildInfo,
    probes: Option<LayerProbes>,
    /// Address of the memory's image.
    base: Option<u32>,
    layers: u32,
    inferences: u32,
    /// What the PRECISION register holds.
    precision: u32,
    needs_reset: bool,
}

impl System {
    /// Builds (or finds in the cache) and loads a design.
    ///
    /// # Errors
    /// [`SimError::Request`] for a memory that does not end below 4 GB, [`SimError::Contract`] for other
    /// ports, [`SimError::Probe`] for probes that the model does not have, [`SimError::Fatal`] for missing
    /// memory files, [`SimError::Cancelled`], and what tools and files say.
    pub fn build(
        request: &BuildRequest,
        builder: &Builder,
        cancel: &AtomicBool,
    ) -> Result<Self, SimError> {
        if request.memory.as_ref().is_some_and(|m| !m.is_addressable()) {
            return Err(SimError::Request {
                top: request.top.clone(),
                reason: "the memory's image and room do not end below 4 GB".to_owned(),
            });
        }
        let read = |path: &PathBuf| SourceFile::read(path);
        let control = request.layers.as_ref().map(LayerProbes::control_file);
        let spec = BuildSpec {
            top: request.top.clone(),
            sources: request.sources.iter().map(read).collect::<Result<_, _>>()?,
            parameters: Vec::new(),
            control: control.unwrap_or_default(),
            shim: Shim::System,
            trace: request.trace,
            quick: request.quick,
        };
        let check = |ports: &[_]| contract::check(&request.top, ports);
        let built = build(&spec, builder, cancel, check)?;
        let mut model = SystemModel::load(&request.top, &built.info.library, &request.memory_dir)?;
        if let Some(probes) = &request.layers {
            probes.attach(&mut model)?;
        }
        if let Some(memory) = &request.memory {
            model.memory(memory);
        }
        // Reads the memory files, so that a missing one shows here.
        model.reset()?;
        Ok(Self {
            model,
            info: built.info,
            probes: request.layers.clone(),
            base: request.memory.as_ref().map(|memory| memory.base),
            layers: 0,
            inferences: 0,
            precision: 0,
            needs_reset: true,
        })
    }

    /// How the build came about.
    pub fn build_info(&self) -> &BuildInfo {
        &self.info
    }

    /// Writes every cycle from now on to an FST waveform file (10 ns per clock cycle), until the
    /// system is dropped. The request must have asked for `trace`.
    ///
    /// # Errors
    /// [`SimError::Fatal`] when the file cannot be written or the build has no traces.
    pub fn trace_to(&mut self, path: &Path) -> Result<(), SimError> {
        self.model.trace(path)
    }

    fn protocol(&self, message: String) -> SimError {
        SimError::Protocol {
            top: self.model.top().to_owned(),
            message,
        }
    }

    /// Resets the design, checks its identity and enables it.
    fn reset(&mut self) -> Result<(), SimError> {
        self.model.reset()?;
        let id = self.model.read(reg::ID)?;
        if id != reg::ID_VALUE {
            return Err(self.protocol(format!(
                "the ID register reads 0x{id:08x}, wanted 0x{:08x}",
                reg::ID_VALUE
            )));
        }
        let state = [reg::CONTROL, reg::STATUS, reg::INFERENCES];
        for address in state {
            let value = self.model.read(address)?;
            if value != 0 {
                return Err(self.protocol(format!(
                    "register 0x{address:03x} reads 0x{value:08x} after reset, wanted 0"
                )));
            }
        }
        self.layers = self.model.read(reg::LAYERS)?;
        if self.layers > reg::MAX_LAYERS {
            return Err(self.protocol(format!(
                "the LAYERS register reads {}, at most {} have registers",
                self.layers,
                reg::MAX_LAYERS
            )));
        }
        if let Some(base) = self.base {
            self.model.write(reg::WEIGHT_BASE, base)?;
        }
        self.model.write(reg::CONTROL, 1)?;
        self.inferences = 0;
        self.precision = 0;
        Ok(())
    }

    /// Runs one inference: feeds `input_words` with tlast on the last, collects
    /// `expected_output_words`, then reads the counters. `cancel` is looked at, and `progress` called,
    /// every few thousand cycles.
    ///
    /// # Errors
    /// [`SimError::Protocol`] when a handshake rule is broken, tlast or tkeep is wrong or a register
    /// disagrees; [`SimError::Hang`]; [`SimError::Fatal`] when the model stops;
    /// [`SimError::Cancelled`]. The next call starts with a reset then.
    pub fn infer(
        &mut self,
        input_words: &[u32],
        expected_output_words: usize,
        options: &RunOptions,
        cancel: &AtomicBool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Inference, SimError> {
        let outputs = [expected_output_words];
        self.infer_tensors(&[input_words], &outputs, options, cancel, progress)
    }

    /// The same with several tensors one after the other on each stream, each with its own tlast.
    ///
    /// # Errors
    /// As [`Self::infer`].
    pub fn infer_tensors(
        &mut self,
        inputs: &[&[u32]],
        output_words: &[usize],
        options: &RunOptions,
        cancel: &AtomicBool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Inference, SimError> {
        let nothing = inputs.is_empty() || output_words.is_empty();
        if nothing || inputs.iter().any(|i| i.is_empty()) || output_words.contains(&0) {
            return Err(SimError::Request {
                top: self.model.top().to_owned(),
                reason: "an inference has at least one input and one output word".to_owned(),
            });
        }
        let must_reset = std::mem::replace(&mut self.needs_reset, true);
        let start = (Instant::now(), self.model.counters().cycle);
        // Another pattern for each inference of a run, and the same ones in every run.
        let spread = u64::from(self.inferences) << 32;
        self.model
            .stall(options.stall_seed.map(|seed| seed ^ spread));
        if must_reset {
            self.reset()?;
        }
        if let Some(precision) = options.precision {
            self.choose(precision.this)?;
        }
        self.model
            .begin(inputs, output_words, options.max_idle_cycles);
        let snapshots = self.run(options.precision, cancel, progress)?;
        let mut inference = self.read_counters()?;
        inference.snapshots = snapshots;
        inference.sim_cycles = self.model.counters().cycle - start.1;
        inference.sim_seconds = start.0.elapsed().as_secs_f64();
        self.needs_reset = false;
        Ok(inference)
    }

    /// Writes the PRECISION register if it has another value.
    fn choose(&mut self, precision: u32) -> Result<(), SimError> {
        if self.precision == precision {
            return Ok(());
        }
        self.model.write(reg::PRECISION, precision)?;
        let found = self.model.read(reg::PRECISION)?;
        if found & 0xff != precision {
            return Err(self.protocol(format!(
                "the PRECISION register reads 0x{found:08x} after {precision} was written"
            )));
        }
        self.precision = precision;
        Ok(())
    }

    /// Runs to the last output word; the next precision is chosen while the input comes in.
    fn run(
        &mut self,
        precision: Option<Precision>,
        cancel: &AtomicBool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Snapshot>, SimError> {
        let (several, mut next) = (precision.is_some(), precision.and_then(|p| p.next));
        let mut snapshots = Vec::new();
        let mut finished_layers = 0;
        let first = self.model.counters().cycle;
        loop {
            if cancel.load(Ordering::Relaxed) {
                return Err(SimError::Cancelled);
            }
            let slice = if next.is_some() { 1 } else { SLICE };
            let mut state = self.model.run(slice)?;
            let counters = self.model.counters();
            if state == RunState::Stopped {
                return Err(self.stopped(counters.cycle, several));
            }
            if state == RunState::LayerFinished {
                finished_layers += 1;
                snapshots.push(self.snapshot(counters.finished_layer));
                // The last layer may finish with the last word on its way out.
                if counters.output_got == self.model.output().len() as u64 {
                    state = RunState::Done;
                }
            }
            progress(Progress {
                cycles: counters.cycle - first,
                input_words: counters.input_sent,
                output_words: counters.output_got,
                finished_layers,
            });
            if state == RunState::Done {
                return Ok(snapshots);
            }
            if counters.input_sent >= TAKEN_WORDS
                && let Some(next) = next.take()
            {
                self.choose(next)?;
            }
        }
    }

    /// What the error register says; `several`: the design has more than one precision.
    fn stopped(&mut self, cycle: u64, several: bool) -> SimError {
        let error = match self.model.read(reg::ERROR) {
            Ok(error) => error,
            Err(failed) => return failed,
        };
        let code = error & 15;
        SimError::Stopped {
            top: self.model.top().to_owned(),
            code,
            meaning: match code {
                1 => "the memory answered with an error",
                2 => "the CRC-32 of a weight block does not match",
                3 => "no weights came for 65536 cycles",
                4 => "the memory answered an activation transfer with an error",
                5 => "an activation transfer did not go on for 65536 cycles",
                _ => "unknown",
            },
            port: error >> 4 & 15,
            block: error >> 8 & 0xffff,
            precision: several.then_some(error >> 24),
            cycle,
        }
    }

    fn snapshot(&self, layer: u32) -> Snapshot {
        let probes = self.probes.iter().flat_map(|probes| &probes.memories);
        let memories = probes
            .enumerate()
            .map(|(i, probe)| ProbedMemory::new(probe, &self.model.copy_probe(i)))
            .collect();
        Snapshot { layer, memories }
    }

    /// Waits until the design is at rest and reads its counters.
    fn read_counters(&mut self) -> Result<Inference, SimError> {
        let mut polls = 0;
        while self.model.read(reg::STATUS)? & 1 != 0 {
            polls += 1;
            if polls == REST_POLLS {
                return Err(SimError::Hang {
                    top: self.model.top().to_owned(),
                    message: "STATUS stays busy after the last output word".to_owned(),
                });
            }
        }
        self.inferences += 1;
        let inferences = self.model.read(reg::INFERENCES)?;
        if inferences != self.inferences {
            return Err(self.protocol(format!(
                "the INFERENCES register reads {inferences} after {} inferences",
                self.inferences
            )));
        }
        let layers = self.layers;
        let mut each = |base: u32| {
            let registers = (0..layers).map(|i| self.model.read(base + 4 * i));
            registers.collect::<Result<Vec<u32>, SimError>>()
        };
        let layer_cycles = each(reg::LAYER_CYCLES)?;
        let layer_saturations = each(reg::LAYER_SATURATIONS)?;
        let layer_stalls = match self.base {
            Some(_) => each(reg::LAYER_STALLS)?,
            None => Vec::new(),
        };
        let counters = self.model.counters();
        Ok(Inference {
            output_words: self.model.output().to_vec(),
            last_keep: counters.last_keep,
            cycles: self.model.read(reg::CYCLES)?,
            stream_cycles: counters.last_output_cycle - counters.last_input_cycle,
            input_stall: self.model.read(reg::INPUT_STALL)?,
            output_stall: self.model.read(reg::OUTPUT_STALL)?,
            layer_cycles,
            layer_saturations,
            layer_stalls,
            memory_bytes: counters.memory_bytes,
            memory_written: counters.memory_written,
            sim_cycles: 0,
            sim_seconds: 0.0,
            snapshots: Vec::new(),
        })
    }
}
