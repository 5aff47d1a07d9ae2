//! One file per subcommand.

pub mod boards;
pub mod compile;
pub mod demo;
pub mod doctor;
pub mod explore;
pub mod inspect;
pub mod quantize;
pub mod report;
pub mod simulate;
