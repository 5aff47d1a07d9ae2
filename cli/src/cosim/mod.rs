//! Co-simulation of a design: samples in, scores out.

pub mod decode;
pub mod layout;
pub mod memory;
pub mod pairs;
pub mod result;
pub mod run;
pub mod samples;
