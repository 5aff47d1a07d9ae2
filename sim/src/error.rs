//! Everything that can go wrong between Verilog text and simulated integers.

use std::path::PathBuf;

/// Error of the co-simulation crate. The text says what to do where there is something to do.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A tool is not on the search path.
    #[error("{tool} was not found; install it with `apt-get install {package}`")]
    MissingTool {
        /// Program looked for.
        tool: &'static str,
        /// Debian packages that bring it.
        package: &'static str,
    },
    /// A tool is there but cannot be used.
    #[error("{tool} cannot be used: {reason}")]
    UnusableTool {
        /// Path of the program.
        tool: String,
        /// Why it was refused.
        reason: String,
    },
    /// There is no place for finished builds.
    #[error("no folder for simulation builds: set HOME or XDG_CACHE_HOME to an absolute path")]
    NoCacheFolder,
    /// Verilator refused the Verilog text; every lint warning counts as an error.
    #[error("verilator refused module `{top}`:\n{log}")]
    Verilator {
        /// Top module of the build.
        top: String,
        /// What Verilator printed.
        log: String,
    },
    /// The C++ compiler or linker failed.
    #[error("the C++ compiler failed on the simulation of `{top}`:\n{log}")]
    Compiler {
        /// Top module of the build.
        top: String,
        /// The first lines of what the compiler printed.
        log: String,
    },
    /// The request itself makes no sense (duplicate file names, no source, ...).
    #[error("bad simulation request for `{top}`: {reason}")]
    Request {
        /// Top module of the build.
        top: String,
        /// What is wrong.
        reason: String,
    },
    /// The top module does not have the ports of a macforge system.
    #[error("module `{top}` does not have the ports of a macforge system:\n{}", problems.join("\n"))]
    Contract {
        /// Top module of the build.
        top: String,
        /// One line per missing or wrong port.
        problems: Vec<String>,
    },
    /// No port of this name, or it cannot be used in this way.
    #[error("port `{port}` of `{top}`: {reason}")]
    Port {
        /// Module.
        top: String,
        /// Port name as given by the caller.
        port: String,
        /// What is wrong.
        reason: String,
    },
    /// A probed memory or signal was not found in the built model or has another shape.
    #[error("probe `{hierarchy}` of `{top}`: {reason}")]
    Probe {
        /// Module.
        top: String,
        /// Hierarchical name as given by the caller.
        hierarchy: String,
        /// What is wrong.
        reason: String,
    },
    /// The design broke a handshake rule, or a register did not read as the contract says.
    #[error("protocol violation in `{top}`: {message}")]
    Protocol {
        /// Module.
        top: String,
        /// Signal, cycle, what was seen and what was wanted.
        message: String,
    },
    /// No handshake for longer than allowed.
    #[error("`{top}` hangs: {message}")]
    Hang {
        /// Module.
        top: String,
        /// Cycle, words taken and given so far.
        message: String,
    },
    /// The design stopped itself and says why in its error register.
    #[error(
        "`{top}` stopped with error code {code} ({meaning}) at block {block} of memory port {port}{}, cycle {cycle}",
        of_precision(*precision)
    )]
    Stopped {
        /// Module.
        top: String,
        /// Code in the register.
        code: u32,
        /// What it stands for.
        meaning: &'static str,
        /// Memory port.
        port: u32,
        /// Block of the port's stream, in designs with several precisions of the region that an inference
        /// reads there.
        block: u32,
        /// Whose region that is, in designs with several.
        precision: Option<u32>,
        /// Cycle in which it was seen.
        cycle: u64,
    },
    /// The model itself stopped: `$fatal`, `$finish`, a missing memory file, no convergence.
    #[error("simulation of `{top}` stopped: {message}")]
    Fatal {
        /// Module.
        top: String,
        /// Verilator's message with file and line.
        message: String,
    },
    /// The built library cannot be loaded.
    #[error("cannot load {path}: {source}")]
    Load {
        /// The shared library.
        path: PathBuf,
        /// What the dynamic loader said.
        source: libloading::Error,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// Verb: "read", "write", "create", ...
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The caller's cancel flag was set.
    #[error("cancelled")]
    Cancelled,
}

/// Names a precision, where there are several.
fn of_precision(precision: Option<u32>) -> String {
    precision.map_or_else(String::new, |number| format!(" for precision {number}"))
}

impl SimError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> SimError {
        let path = path.into();
        move |source| SimError::Io {
            action,
            path,
            source,
        }
    }
}
