//! Verilator co-simulation: Verilog text in, cycle-exact integers out.
//!
//! Two bridges, built by the same machinery (verilator -> C++ -> shared library, cached by content):
//!
//! * [`Block`] drives any Verilog module through its ports, cycle by cycle or with millions of
//!   vectors in one call; that is what block tests use.
//! * [`System`] runs whole inferences of a macforge design over its AXI interfaces, with protocol
//!   checks, random stalls, counters and snapshots of memories between layers.
//!
//! The crate knows Verilog sources, ports and streams; it knows nothing of networks.

mod block;
mod builder;
mod cache;
mod compile;
mod contract;
mod error;
mod ffi;
mod memory;
mod ports;
mod probe;
mod process;
mod registers;
mod system;
mod toolchain;
mod verilate;

pub use block::{Block, BlockSource, VectorInput};
pub use builder::Builder;
pub use cache::BuildCache;
pub use compile::COMPILER_OPTIONS;
pub use error::SimError;
pub use memory::{MemoryModel, MemoryTiming};
pub use ports::{Direction, Port};
pub use probe::{LayerProbes, Probe, ProbedMemory, Signal, Snapshot};
pub use system::{BuildRequest, Inference, Precision, Progress, RunOptions, System};
pub use toolchain::Toolchain;
pub use verilate::{BuildInfo, VERILATOR_OPTIONS, lint};
