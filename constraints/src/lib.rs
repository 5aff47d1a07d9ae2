//! Boards, devices and constraints.
//!
//! * [`boards`] and [`board`]: the Zynq-7000 boards that macforge knows, one TOML file each under
//!   `boards/`, embedded in the program; [`device`]: the resources of the chips on them.
//! * [`tcl`]: words and commands of Tcl with correct quoting. XDC is Tcl, and so are the Vivado
//!   scripts: both are printed by this one module.
//! * [`xdc`]: typed timing and physical constraints and [`out_of_context_xdc`], the constraint file
//!   that every generated design carries.

mod board;
mod device;
mod error;
mod names;
pub mod tcl;
pub mod xdc;

pub use board::{Board, Ddr, DdrKind, board, boards};
pub use device::{Device, Resources, device, devices};
pub use error::ConstraintsError;
pub use xdc::out_of_context_xdc;
