//! `macforge doctor`

use crate::Outcome;
use crate::sayln;
use miette::Result;
use std::process::Command;

/// A tool that macforge or its tests call.
struct Tool {
    name: &'static str,
    version_flag: &'static str,
    purpose: &'static str,
    required: bool,
    install: &'static str,
}

const TOOLS: [Tool; 8] = [
    Tool {
        name: "verilator",
        version_flag: "--version",
        purpose: "co-simulation (simulate, demo)",
        required: true,
        install: "apt-get install verilator",
    },
    Tool {
        name: "clang++",
        version_flag: "--version",
        purpose: "compiles the simulation, several times faster code than g++",
        required: false,
        install: "apt-get install clang",
    },
    Tool {
        name: "g++",
        version_flag: "--version",
        purpose: "compiles the simulation where clang++ is missing",
        required: false,
        install: "apt-get install g++",
    },
    Tool {
        name: "make",
        version_flag: "--version",
        purpose: "builds the simulation",
        required: true,
        install: "apt-get install make",
    },
    Tool {
        name: "yosys",
        version_flag: "-V",
        purpose: "measured resources (report --measure)",
        required: false,
        install: "apt-get install yosys",
    },
    Tool {
        name: "iverilog",
        version_flag: "-V",
        purpose: "second simulator in the tests",
        required: false,
        install: "apt-get install iverilog",
    },
    Tool {
        name: "tclsh",
        version_flag: "",
        purpose: "checks the Vivado scripts in the tests",
        required: false,
        install: "apt-get install tcl",
    },
    Tool {
        name: "vivado",
        version_flag: "-version",
        purpose: "synthesis of the generated project; from AMD",
        required: false,
        install: "not packaged; see amd.com",
    },
];

/// Prints which tools are there.
pub fn run() -> Result<Outcome> {
    let mut complete = true;
    let mut compiler = false;
    for tool in &TOOLS {
        let version = version(tool);
        let found = version.is_some();
        complete &= found || !tool.required;
        compiler |= found && tool.name.ends_with("++");
        match version {
            Some(version) => sayln!("  ok       {:10} {version}", tool.name),
            None => {
                let kind = if tool.required { "MISSING" } else { "absent" };
                sayln!(
                    "  {kind:8} {:10} {}: {}",
                    tool.name,
                    tool.purpose,
                    tool.install
                );
            }
        }
    }
    if !compiler {
        sayln!("  MISSING  a C++ compiler: apt-get install clang");
    }
    Ok(if complete && compiler {
        Outcome::Passed
    } else {
        Outcome::Failed
    })
}

/// First line of what the tool says of itself.
fn version(tool: &Tool) -> Option<String> {
    let mut command = Command::new(tool.name);
    command.stdin(std::process::Stdio::null());
    if !tool.version_flag.is_empty() {
        command.arg(tool.version_flag);
    }
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.lines().next().unwrap_or("").to_string())
}
