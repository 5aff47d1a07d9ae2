//! Vivado commands as types. Each variant prints with the options that UG835 gives it.
//!
//! Arguments that Vivado reads as lists (files to read) are printed as Tcl lists, since Vivado would
//! split a bare name at its spaces; single values are not.

use macforge_constraints::tcl::{Command, Word};

/// When a constraint file applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdcMode {
    /// Only where the module is synthesized on its own.
    OutOfContext,
}

/// Whether synthesis inserts I/O buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynthMode {
    /// No I/O buffers: the design is a part of a larger one.
    OutOfContext,
}

/// What synthesis does with module boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlattenHierarchy {
    /// Optimizes across boundaries, then restores them as far as possible.
    Rebuilt,
}

/// Severity of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Ends the running command with an error.
    Error,
}

/// Kind of timing check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Setup: the longest delays.
    Setup,
    /// Hold: the shortest delays.
    Hold,
}

impl Check {
    /// The check's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Check::Setup => "setup",
            Check::Hold => "hold",
        }
    }
}

/// A Vivado command. `file` and `files` are words whose values are absolute file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vivado {
    /// `set_msg_config`: messages of this identifier get this severity.
    MessageSeverity {
        /// Message identifier: `Synth 8-4445`.
        id: String,
        /// New severity.
        severity: Severity,
    },
    /// `read_verilog`: Verilog-2001 sources.
    ReadVerilog {
        /// The sources.
        files: Vec<Word>,
    },
    /// `read_mem`: the images that `$readmemh` and `$readmemb` name.
    ReadMem {
        /// The images.
        files: Vec<Word>,
    },
    /// `read_xdc`.
    ReadXdc {
        /// When the constraints apply.
        mode: XdcMode,
        /// The constraint file.
        file: Word,
    },
    /// `synth_design`.
    SynthDesign {
        /// Top module.
        top: String,
        /// Full part name.
        part: String,
        /// Whether there are I/O buffers.
        mode: SynthMode,
        /// What happens to module boundaries.
        flatten: FlattenHierarchy,
    },
    /// `opt_design` with its default passes.
    OptDesign,
    /// `place_design` with its default strategy.
    PlaceDesign,
    /// `phys_opt_design` with its default passes; it does nothing where no slack is negative.
    PhysOptDesign,
    /// `route_design` with its default strategy.
    RouteDesign,
    /// `report_timing_summary`, with the worst paths of each clock.
    ReportTimingSummary {
        /// Paths per clock and check.
        max_paths: u32,
        /// Report file.
        file: Word,
    },
    /// `report_utilization`.
    ReportUtilization {
        /// One line per instance instead of totals of the device.
        hierarchical: bool,
        /// Report file.
        file: Word,
    },
    /// `report_power`: an estimate from default toggle rates.
    ReportPower {
        /// Report file.
        file: Word,
    },
    /// `report_route_status`.
    ReportRouteStatus {
        /// Report file.
        file: Word,
    },
    /// `report_route_status -boolean_check ERRORS_IN_ROUTES`: returns whether routing failed.
    HasRouteErrors,
    /// `get_timing_paths`: returns the worst constrained path, or nothing if no path is constrained.
    WorstPath {
        /// Which check.
        check: Check,
    },
    /// `get_property SLACK`: returns the slack of a path, ns.
    Slack {
        /// The path.
        path: Word,
    },
    /// `write_checkpoint`, over an older file if there is one.
    WriteCheckpoint {
        /// The `.dcp` file.
        file: Word,
    },
}

impl Vivado {
    /// The Tcl command.
    pub fn command(&self) -> Command {
        let report = |name: &str, file: &Word| Command::new(name).option("file", file.clone());
        match self {
            Self::MessageSeverity {
                id,
                severity: Severity::Error,
            } => Command::new("set_msg_config")
                .option("id", Word::text(id))
                .option("new_severity", Word::text("ERROR")),
            Self::ReadVerilog { files } => {
                Command::new("read_verilog").word(Word::list(files.iter().cloned()))
            }
            Self::ReadMem { files } => {
                Command::new("read_mem").word(Word::list(files.iter().cloned()))
            }
            Self::ReadXdc {
                mode: XdcMode::OutOfContext,
                file,
            } => Command::new("read_xdc")
                .option("mode", Word::text("out_of_context"))
                .word(Word::list([file.clone()])),
            Self::SynthDesign {
                top,
                part,
                mode: SynthMode::OutOfContext,
                flatten: FlattenHierarchy::Rebuilt,
            } => Command::new("synth_design")
                .option("top", Word::text(top))
                .option("part", Word::text(part))
                .option("mode", Word::text("out_of_context"))
                .option("flatten_hierarchy", Word::text("rebuilt")),
            Self::OptDesign => Command::new("opt_design"),
            Self::PlaceDesign => Command::new("place_design"),
            Self::PhysOptDesign => Command::new("phys_opt_design"),
            Self::RouteDesign => Command::new("route_design"),
            Self::ReportTimingSummary { max_paths, file } => report("report_timing_summary", file)
                .option("max_paths", Word::text(&max_paths.to_string())),
            Self::ReportUtilization { hierarchical, file } => {
                let command = report("report_utilization", file);
                if *hierarchical {
                    command.flag("hierarchical")
                } else {
                    command
                }
            }
            Self::ReportPower { file } => report("report_power", file),
            Self::ReportRouteStatus { file } => report("report_route_status", file),
            Self::HasRouteErrors => Command::new("report_route_status")
                .option("boolean_check", Word::text("ERRORS_IN_ROUTES")),
            Self::WorstPath { check } => Command::new("get_timing_paths")
                .flag(check.name())
                .option("max_paths", Word::text("1"))
                .flag("no_report_unconstrained"),
            Self::Slack { path } => Command::new("get_property")
                .text("SLACK")
                .word(path.clone()),
            Self::WriteCheckpoint { file } => Command::new("write_checkpoint")
                .flag("force")
                .word(file.clone()),
        }
    }

    /// The command's result, as a word.
    pub fn result(&self) -> Word {
        Word::call(&self.command())
    }
}
