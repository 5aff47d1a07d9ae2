//! Any Verilog module, driven from Rust cycle by cycle or with millions of vectors at once.

use crate::builder::Builder;
use crate::error::SimError;
use crate::ffi::BlockModel;
use crate::ports::{Direction, Port};
use crate::verilate::{BuildInfo, BuildSpec, Shim, SourceFile, build};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// What a [`Block`] is built from.
#[derive(Debug, Clone)]
pub struct BlockSource {
    top: String,
    texts: Vec<SourceFile>,
    paths: Vec<PathBuf>,
    parameters: Vec<(String, String)>,
    memory_dir: PathBuf,
}

impl BlockSource {
    /// A block whose top module is `top`.
    pub fn new(top: impl Into<String>) -> Self {
        Self {
            top: top.into(),
            texts: Vec::new(),
            paths: Vec::new(),
            parameters: Vec::new(),
            memory_dir: PathBuf::from("."),
        }
    }

    /// Adds Verilog text under a file name (used in messages).
    #[must_use]
    pub fn text(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.texts.push(SourceFile {
            name: name.into(),
            text: text.into(),
        });
        self
    }

    /// Adds a Verilog file.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.paths.push(path.into());
        self
    }

    /// Sets a parameter of the top module. Strings need their Verilog quotes.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Display) -> Self {
        self.parameters.push((name.into(), value.to_string()));
        self
    }

    /// Folder that relative `$readmemh` paths start from; default: the working directory.
    #[must_use]
    pub fn memory_dir(mut self, folder: impl AsRef<Path>) -> Self {
        folder.as_ref().clone_into(&mut self.memory_dir);
        self
    }

    /// Builds with tools from `PATH` and the user's cache.
    ///
    /// # Errors
    /// Missing tools, unreadable files, what Verilator or the compiler says.
    pub fn build(&self) -> Result<Block, SimError> {
        self.build_with(&Builder::from_env()?)
    }

    /// Builds with given tools and cache.
    ///
    /// # Errors
    /// As [`BlockSource::build`].
    pub fn build_with(&self, builder: &Builder) -> Result<Block, SimError> {
        let mut sources = self.texts.clone();
        for path in &self.paths {
            sources.push(SourceFile::read(path)?);
        }
        let spec = BuildSpec {
            top: self.top.clone(),
            sources,
            parameters: self.parameters.clone(),
            control: String::new(),
            shim: Shim::Block,
            trace: false,
            quick: false,
        };
        let built = build(&spec, builder, &AtomicBool::new(false), |_| Ok(()))?;
        let model = BlockModel::load(&self.top, &built.info.library, &self.memory_dir)?;
        let mut block = Block {
            model,
            ports: built.ports,
            info: built.info,
        };
        block.eval()?;
        Ok(block)
    }
}

/// Inputs of one port for [`Block::run_vectors`]: one value per vector, least significant 64-bit chunk
/// first, `ceil(width / 64)` chunks each.
#[derive(Debug, Clone, Copy)]
pub struct VectorInput<'a> {
    /// Port name.
    pub port: &'a str,
    /// Values; bits above the port's width must be zero.
    pub values: &'a [u64],
}

/// A simulated Verilog module. Values are raw bits; a port wider than 64 bits is a slice of 64-bit
/// chunks, least significant first.
pub struct Block {
    model: BlockModel,
    ports: Vec<Port>,
    info: BuildInfo,
}

impl Block {
    /// Ports of the module, in Verilator's order.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// How the build came about.
    pub fn build_info(&self) -> &BuildInfo {
        &self.info
    }

    fn error(&self, port: &str, reason: impl Into<String>) -> SimError {
        SimError::Port {
            top: self.model.top().to_owned(),
            port: port.to_owned(),
            reason: reason.into(),
        }
    }

    fn find(&self, name: &str) -> Result<(u32, &Port), SimError> {
        (0..)
            .zip(&self.ports)
            .find(|(_, port)| port.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = self.ports.iter().map(|p| p.name.as_str()).collect();
                self.error(
                    name,
                    format!("no such port; there are {}", names.join(", ")),
                )
            })
    }

    fn find_input(&self, name: &str) -> Result<(u32, &Port), SimError> {
        let found = self.find(name)?;
        match found.1.direction {
            Direction::Input => Ok(found),
            Direction::Output => Err(self.error(name, "is an output and cannot be driven")),
        }
    }

    /// The clock must be one bit wide: the shim writes it as a byte.
    fn find_clock(&self, name: &str) -> Result<u32, SimError> {
        match self.find_input(name)? {
            (index, Port { width: 1, .. }) => Ok(index),
            (_, port) => {
                Err(self.error(name, format!("is {} bits wide, a clock is 1", port.width)))
            }
        }
    }

    /// Sets an input to an unsigned value. Takes effect at the next [`Block::eval`] or [`Block::tick`].
    ///
    /// # Errors
    /// [`SimError::Port`] when there is no such input or the value does not fit.
    pub fn poke(&mut self, name: &str, value: u64) -> Result<(), SimError> {
        self.poke_chunks(name, &[value])
    }

    /// Sets an input to a two's complement value.
    ///
    /// # Errors
    /// As [`Block::poke`]; wider ports than 64 bits take [`Block::poke_chunks`].
    pub fn poke_signed(&mut self, name: &str, value: i64) -> Result<(), SimError> {
        let (index, port) = self.find_input(name)?;
        let spare = 64u32
            .checked_sub(port.width)
            .ok_or_else(|| self.error(name, "is wider than 64 bits; use poke_chunks"))?;
        if (value << spare) >> spare != value {
            return Err(self.error(name, format!("{value} does not fit {} bits", port.width)));
        }
        self.model
            .poke(index, &[value.cast_unsigned() << spare >> spare]);
        Ok(())
    }

    /// Sets an input of any width; missing high chunks are zero.
    ///
    /// # Errors
    /// As [`Block::poke`].
    pub fn poke_chunks(&mut self, name: &str, chunks: &[u64]) -> Result<(), SimError> {
        let (index, port) = self.find_input(name)?;
        if !fits(chunks, port.width) {
            return Err(self.error(
                name,
                format!("{chunks:#x?} does not fit {} bits", port.width),
            ));
        }
        let mut value = chunks.to_vec();
        value.resize(port.chunks(), 0);
        self.model.poke(index, &value);
        Ok(())
    }

    /// Value of a port of up to 64 bits.
    ///
    /// # Errors
    /// [`SimError::Port`] when there is no such port or it is wider.
    pub fn peek(&self, name: &str) -> Result<u64, SimError> {
        match self.peek_chunks(name)?[..] {
            [value] => Ok(value),
            _ => Err(self.error(name, "is wider than 64 bits; use peek_chunks")),
        }
    }

    /// Value of a port of up to 64 bits, read as two's complement.
    ///
    /// # Errors
    /// As [`Block::peek`].
    pub fn peek_signed(&self, name: &str) -> Result<i64, SimError> {
        let value = self.peek(name)?;
        let spare = 64 - self.find(name)?.1.width;
        Ok((value << spare).cast_signed() >> spare)
    }

    /// Value of a port of any width, least significant chunk first.
    ///
    /// # Errors
    /// [`SimError::Port`] when there is no such port.
    pub fn peek_chunks(&self, name: &str) -> Result<Vec<u64>, SimError> {
        let (index, port) = self.find(name)?;
        let mut value = vec![0; port.chunks()];
        self.model.peek(index, &mut value);
        Ok(value)
    }

    /// Settles the combinational logic after [`Block::poke`].
    ///
    /// # Errors
    /// [`SimError::Fatal`] when the model stops.
    pub fn eval(&mut self) -> Result<(), SimError> {
        self.model.eval()
    }

    /// One clock cycle: settles with the clock low, then raises it. [`Block::peek`] then shows the
    /// state after the edge.
    ///
    /// # Errors
    /// [`SimError::Port`] for a bad clock name, [`SimError::Fatal`] when the model stops.
    pub fn tick(&mut self, clock: &str) -> Result<(), SimError> {
        let clock = self.find_clock(clock)?;
        self.model.tick(clock)
    }

    /// Feeds one vector per cycle through a pipeline in one call, without a step back to Rust.
    ///
    /// Result `[o][k]` is what `outputs[o]` shows for vector `k`: `latency` clock edges after the
    /// vector was applied, before the next edge; 0 for combinational logic, where `clock` may be
    /// `None`. Ports that are not named keep their values. Ports wider than 64 bits give
    /// `ceil(width / 64)` chunks per vector.
    ///
    /// # Errors
    /// [`SimError::Port`] for unknown ports, values that do not fit, or inputs of unequal length;
    /// [`SimError::Fatal`] when the model stops.
    pub fn run_vectors(
        &mut self,
        clock: Option<&str>,
        latency: usize,
        inputs: &[VectorInput<'_>],
        outputs: &[&str],
    ) -> Result<Vec<Vec<u64>>, SimError> {
        let clock = clock.map(|name| self.find_clock(name)).transpose()?;
        let mut count = None;
        let mut fed = Vec::with_capacity(inputs.len());
        for input in inputs {
            let (index, port) = self.find_input(input.port)?;
            let vectors = input.values.len() / port.chunks();
            if vectors * port.chunks() != input.values.len()
                || *count.get_or_insert(vectors) != vectors
            {
                return Err(self.error(input.port, "inputs of unequal length"));
            }
            let mut each = input.values.chunks_exact(port.chunks());
            if let Some(bad) = each.position(|value| !fits(value, port.width)) {
                let reason = format!("vector {bad} does not fit {} bits", port.width);
                return Err(self.error(input.port, reason));
            }
            fed.push((index, input.values));
        }
        let count = count.ok_or_else(|| self.error("", "run_vectors needs at least one input"))?;
        let mut results = Vec::with_capacity(outputs.len());
        for &name in outputs {
            let (index, port) = self.find(name)?;
            results.push((index, vec![0; count * port.chunks()]));
        }
        self.model.run(clock, count, latency, &fed, &mut results)?;
        Ok(results.into_iter().map(|(_, values)| values).collect())
    }
}

/// Whether all bits of a value above `width` are zero.
fn fits(chunks: &[u64], width: u32) -> bool {
    (0u32..).zip(chunks).all(|(i, &chunk)| {
        let room = width.saturating_sub(64 * i);
        room >= 64 || chunk >> room == 0
    })
}
