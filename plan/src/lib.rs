//! From the integer graph and a board's resources to the hardware plan: which layers run on the
//! engine, in which shape, where every tensor lies, and the program that the sequencer executes.
//!
//! Order of the passes: [`lower`] (nodes to hardware layers and regions) > [`buffers`] (operands of
//! sums in different buffers) > [`layout`] (row pitches) > [`allocate`] (buffers and addresses) > [`weights`], [`params`] (memory images) > [`program`]
//! (sequencer words) > [`proof`] (requantizers, accumulators, packed lanes) > [`verify`].

mod activation_memory;
mod allocate;
mod attention;
mod bits;
mod buffers;
mod constant_channels;
mod convolution;
mod coverage;
mod cycles;
mod display;
mod error;
mod explore;
mod gather;
mod gather_check;
mod hwplan;
mod input;
mod layers;
mod layout;
mod loops;
mod lower;
mod lstm;
mod macs;
mod memories;
mod narrow;
mod params;
mod pitches;
mod program;
mod proof;
mod region;
mod resources;
mod sets;
mod shape;
mod spill;
pub mod staircases;
mod stream;
mod strips;
mod turns;
mod units;
mod verify;
mod weight_check;
mod weights;
mod wide;

pub use activation_memory::{ActivationMemory, SpilledInput};
pub use attention::{AttentionLayer, AttentionSize};
pub use bits::BitWord;
pub use cycles::LayerCycles;
pub use error::PlanError;
pub use explore::{Candidate, Choice, candidates};
pub use gather::{ComputedWeights, Gather};
pub use hwplan::{BlockLatencies, HwPlan, Options, build, build_sets};
pub use input::InputMode;
pub use layers::{Area, HwLayer, LayerKind, Layers, Port, Residual, Stored, WeightForm};
pub use layout::{Layout, Placement, Storage, View};
pub use loops::Loops;
pub use lower::Saving;
pub use lstm::{LstmLayer, LstmTables};
pub use memories::Memories;
pub use program::{Field, LayerProgram, Widths};
pub use proof::{ACC_BITS, ChannelProof, Proofs};
pub use region::{Distance, Region, StorageId};
pub use resources::{Budget, Estimate, Features, LstmSize, LstmTableSize};
pub use shape::{Packing, Shape};
pub use stream::{
    MAX_PORTS, MemoryRates, PAGE, StreamedLayer, WeightOptions, WeightSource, WeightStream,
};
pub use turns::Turns;
pub use units::Units;
pub use wide::{Byte, WIDE_ACC_BITS, Wide};
