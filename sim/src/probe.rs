//! Memories and signals inside a design that are read while it runs.

use crate::error::SimError;
use crate::ffi::SystemModel;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fmt::Write;

/// A signal inside the design.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Verilog module that declares it.
    pub module: String,
    /// Hierarchical name below the top module, for example `u_buffer.gen_bank[0].u_ram.mem`.
    pub hierarchy: String,
}

/// A memory inside the design: `reg [width-1:0] name [0:depth-1]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Where it is.
    pub signal: Signal,
    /// Bits per entry.
    pub width: u32,
    /// Number of entries.
    pub depth: u32,
}

/// What is copied when a layer finishes, and how that is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerProbes {
    /// One bit, high for one cycle: the cycle in which the last result of a layer is written. The
    /// memories are copied after the clock edge that ends this cycle.
    pub done: Signal,
    /// Number of the finished layer, read while `done` is high; at most 32 bits.
    pub index: Signal,
    /// The memories.
    pub memories: Vec<Probe>,
}

/// Content of the probed memories after one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Value of the layer index.
    pub layer: u32,
    /// In the order of [`LayerProbes::memories`].
    pub memories: Vec<ProbedMemory>,
}

/// Content of one memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedMemory {
    /// `ceil(width / 32)`.
    pub words_per_entry: usize,
    /// Entry 0 first, each with its least significant word first.
    pub words: Vec<u32>,
}

impl ProbedMemory {
    /// From the model's bytes, in which an entry takes 1, 2, or a multiple of 4 bytes.
    pub(crate) fn new(probe: &Probe, bytes: &[u8]) -> Self {
        let entry_bytes = bytes.len() / probe.depth as usize;
        let word = |part: &[u8]| {
            let mut word = [0; 4];
            word[..part.len()].copy_from_slice(part);
            u32::from_le_bytes(word)
        };
        Self {
            words_per_entry: entry_bytes.div_ceil(4),
            words: bytes.chunks(entry_bytes.min(4)).map(word).collect(),
        }
    }

    /// The words of one entry.
    pub fn entry(&self, index: usize) -> &[u32] {
        &self.words[index * self.words_per_entry..][..self.words_per_entry]
    }
}

impl LayerProbes {
    fn signals(&self) -> impl Iterator<Item = &Signal> {
        let memories = self.memories.iter().map(|probe| &probe.signal);
        [&self.done, &self.index].into_iter().chain(memories)
    }

    /// Verilator control file that makes the signals readable from outside.
    pub(crate) fn control_file(&self) -> String {
        let local = |s: &Signal| {
            s.hierarchy
                .rsplit('.')
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let variables: BTreeSet<(String, String)> = self
            .signals()
            .map(|signal| (signal.module.clone(), local(signal)))
            .collect();
        let mut text = String::from("`verilator_config\n");
        for (module, variable) in variables {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "public_flat_rd -module \"{module}\" -var \"{variable}\""
            );
        }
        text
    }

    /// Finds the signals in a loaded model and checks their shapes.
    pub(crate) fn attach(&self, model: &mut SystemModel) -> Result<(), SimError> {
        let top = model.top().to_owned();
        let error = |hierarchy: &str, reason: String| SimError::Probe {
            top: top.clone(),
            hierarchy: hierarchy.to_owned(),
            reason,
        };
        let name = |signal: &Signal| {
            CString::new(signal.hierarchy.as_str())
                .map_err(|e| error(&signal.hierarchy, e.to_string()))
        };
        let (done, index) = (name(&self.done)?, name(&self.index)?);
        let both = format!("{} / {}", self.done.hierarchy, self.index.hierarchy);
        model
            .watch(&done, &index)
            .map_err(|e| error(&both, reason(e)))?;
        for probe in &self.memories {
            let hierarchy = &probe.signal.hierarchy;
            let shape = model
                .add_probe(&name(&probe.signal)?)
                .map_err(|e| error(hierarchy, reason(e)))?;
            let wanted = (entry_bytes(probe.width), probe.depth as usize);
            if (shape.entry_bytes, shape.entries) != wanted {
                return Err(error(
                    hierarchy,
                    format!(
                        "has {} entries of {} bytes, wanted {} of {} bits",
                        shape.entries, shape.entry_bytes, probe.depth, probe.width
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// The model's own words, without the frame of another error around them.
fn reason(error: SimError) -> String {
    match error {
        SimError::Fatal { message, .. } => message,
        other => other.to_string(),
    }
}

/// Bytes that Verilator uses for a value of `width` bits.
fn entry_bytes(width: u32) -> usize {
    match width {
        0..=8 => 1,
        9..=16 => 2,
        _ => width.div_ceil(32) as usize * 4,
    }
}
