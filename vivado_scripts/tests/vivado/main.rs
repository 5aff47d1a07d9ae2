//! The scripts and constraint files, run under `vivado_stub.tcl`. `tclsh` is a required tool: a
//! machine without it fails these tests.

mod stub;
mod stub_refuses;
mod synth_script;
