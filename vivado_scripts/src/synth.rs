//! `vivado/synth.tcl`: out-of-context synthesis, placement and routing.

use std::collections::BTreeSet;

use macforge_constraints::tcl::{Command, Condition, Piece, Script, Word};

use crate::command::{Check, FlattenHierarchy, Severity, SynthMode, Vivado, XdcMode};
use crate::error::ScriptError;
use crate::path::BundlePath;

/// What Vivado says when `$readmemh` finds no file. By default that is a critical warning, and the
/// memory is silently left empty.
const MEMORY_FILE_NOT_FOUND: &str = "Synth 8-4445";

/// Paths per clock in the timing report.
const REPORTED_PATHS: u32 = 10;

/// The script that synthesizes, places and routes a design on its own and reports timing,
/// utilization and power. It lies one folder below the bundle's root (`vivado/synth.tcl`) and runs
/// from anywhere as `vivado -mode batch -source vivado/synth.tcl`.
///
/// Reports go to `reports/` next to the script, the routed design to `routed.dcp`. The script fails
/// (Vivado's exit code is 1 in batch mode, and the message is the last line of its log) if a file is
/// missing, a step fails, a net is not routed, no path is timed, or a setup or hold slack is
/// negative; the reports are written before the slacks are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynthScript {
    /// Comment lines at the top: tool version, model.
    pub header: String,
    /// Top module.
    pub top: String,
    /// Full part name: `xc7z020clg400-1`.
    pub part: String,
    /// Verilog sources, relative to the bundle's root.
    pub sources: Vec<String>,
    /// Memory images, relative to the bundle's root. The sources' `$readmemh` names them without their
    /// folder: that is how Vivado finds files that `read_mem` added, wherever it runs.
    pub memory_files: Vec<String>,
    /// Constraint file, relative to the bundle's root.
    pub xdc: String,
}

impl SynthScript {
    /// The script's text: ASCII, the same for the same fields. Errors: no sources; a file name that
    /// does not lie below the root; two memory images of the same name in different folders; a top
    /// module or part that Vivado would take for an option.
    pub fn render(&self) -> Result<String, ScriptError> {
        for (what, name) in [("top module", &self.top), ("part", &self.part)] {
            if name.is_empty() || name.starts_with('-') {
                return Err(ScriptError::BadName {
                    what,
                    name: name.clone(),
                });
            }
        }
        if self.sources.is_empty() {
            return Err(ScriptError::NoSources);
        }
        let mut names = BTreeSet::new();
        for path in &self.memory_files {
            let name = path.rsplit('/').next().unwrap_or(path);
            if !names.insert(name) {
                return Err(ScriptError::SameMemoryName(name.to_owned()));
            }
        }
        let mut script = Script::new();
        self.preamble(&mut script);
        self.read(&mut script)?;
        self.implement(&mut script);
        reports(&mut script);
        judge(&mut script);
        Ok(script.to_string())
    }

    fn preamble(&self, script: &mut Script) {
        let call =
            |name: &str, sub: &str, of: Word| Word::call(&Command::new(name).text(sub).word(of));
        let this = call(
            "file",
            "normalize",
            Word::call(&Command::new("info").text("script")),
        );
        script
            .comment(&self.header)
            .comment(&format!(
                "Out-of-context synthesis, placement and routing of {} for {}.\n\
                 Run: vivado -mode batch -source synth.tcl\n\
                 Fails if a file is missing, a step fails, or timing is not met.",
                self.top, self.part
            ))
            .blank()
            .set("here", call("file", "dirname", this))
            .set("root", call("file", "dirname", Word::variable("here")))
            .set("reports", below("here", "reports"))
            .command(
                &Command::new("file")
                    .text("mkdir")
                    .word(Word::variable("reports")),
            );
    }

    fn read(&self, script: &mut Script) -> Result<(), ScriptError> {
        let mode = XdcMode::OutOfContext;
        script.blank().command(
            &Vivado::ReadVerilog {
                files: in_root(&self.sources)?,
            }
            .command(),
        );
        if !self.memory_files.is_empty() {
            let missing = Vivado::MessageSeverity {
                id: MEMORY_FILE_NOT_FOUND.to_owned(),
                severity: Severity::Error,
            };
            script
                .command(
                    &Vivado::ReadMem {
                        files: in_root(&self.memory_files)?,
                    }
                    .command(),
                )
                .comment("By default a missing memory image is a warning, and the memory empty.")
                .command(&missing.command());
        }
        let file = below("root", BundlePath::new(&self.xdc)?.as_str());
        script.command(&Vivado::ReadXdc { mode, file }.command());
        Ok(())
    }

    fn implement(&self, script: &mut Script) {
        let synth = Vivado::SynthDesign {
            top: self.top.clone(),
            part: self.part.clone(),
            mode: SynthMode::OutOfContext,
            flatten: FlattenHierarchy::Rebuilt,
        };
        let file = report_file("synth_utilization.rpt");
        script
            .blank()
            .command(&synth.command())
            .command(
                &Vivado::ReportUtilization {
                    hierarchical: false,
                    file,
                }
                .command(),
            )
            .command(&Vivado::OptDesign.command())
            .command(&Vivado::PlaceDesign.command())
            .command(&Vivado::PhysOptDesign.command())
            .command(&Vivado::RouteDesign.command());
    }
}

/// Reports and checkpoint of the routed design.
fn reports(script: &mut Script) {
    let timing = report_file("timing_summary.rpt");
    script.blank();
    for command in [
        Vivado::ReportTimingSummary {
            max_paths: REPORTED_PATHS,
            file: timing,
        },
        Vivado::ReportUtilization {
            hierarchical: false,
            file: report_file("utilization.rpt"),
        },
        Vivado::ReportUtilization {
            hierarchical: true,
            file: report_file("utilization_hierarchical.rpt"),
        },
        Vivado::ReportRouteStatus {
            file: report_file("route_status.rpt"),
        },
        Vivado::ReportPower {
            file: report_file("power.rpt"),
        },
        Vivado::WriteCheckpoint {
            file: below("here", "routed.dcp"),
        },
    ] {
        script.command(&command.command());
    }
}

/// Ends the script with an error unless the design is routed and meets its timing.
fn judge(script: &mut Script) {
    script.blank().when(
        &Condition::holds(&Vivado::HasRouteErrors.result()),
        |body| {
            fail(
                body,
                &[Piece::Text("routing failed: see reports/route_status.rpt")],
            );
        },
    );
    let checks = [(Check::Setup, "wns"), (Check::Hold, "whs")];
    for (check, slack) in checks {
        let path = format!("{}_path", check.name());
        let count = Word::call(&Command::new("llength").word(Word::variable(&path)));
        script
            .set(&path, Vivado::WorstPath { check }.result())
            .when(&Condition::equal(&count, 0), |body| {
                let problem = format!(
                    "no path has a {} check: does the XDC create a clock?",
                    check.name()
                );
                fail(body, &[Piece::Text(&problem)]);
            })
            .set(
                slack,
                Vivado::Slack {
                    path: Word::variable(&path),
                }
                .result(),
            );
    }
    let summary = [
        Piece::Text("Worst slack: setup "),
        Piece::Variable("wns"),
        Piece::Text(" ns, hold "),
        Piece::Variable("whs"),
        Piece::Text(" ns."),
    ];
    script.command(&Command::new("puts").word(Word::mixed(&summary)));
    for (check, slack) in checks {
        script.when(&Condition::less(&Word::variable(slack), 0), |body| {
            let problem = format!("{} timing is not met: slack ", check.name());
            let details = " ns; see reports/timing_summary.rpt";
            fail(
                body,
                &[
                    Piece::Text(&problem),
                    Piece::Variable(slack),
                    Piece::Text(details),
                ],
            );
        });
    }
}

fn fail(body: &mut Script, message: &[Piece]) {
    body.command(&Command::new("error").word(Word::mixed(message)));
}

/// The file `path` below the folder that the variable `folder` names.
fn below(folder: &str, path: &str) -> Word {
    Word::mixed(&[Piece::Variable(folder), Piece::Text("/"), Piece::Text(path)])
}

fn report_file(name: &str) -> Word {
    below("reports", name)
}

fn in_root(paths: &[String]) -> Result<Vec<Word>, ScriptError> {
    paths
        .iter()
        .map(|path| Ok(below("root", BundlePath::new(path)?.as_str())))
        .collect()
}
