//! Finds Verilator and a C++ compiler, and says how to get them when they are missing.

use crate::error::SimError;
use crate::process::capture;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The programs that a build uses, with the version texts that go into the cache key.
#[derive(Debug, Clone)]
pub struct Toolchain {
    pub(crate) verilator: PathBuf,
    pub(crate) verilator_version: String,
    /// Folder that holds `include/verilated.h`.
    pub(crate) verilator_root: PathBuf,
    pub(crate) compiler: PathBuf,
    pub(crate) compiler_version: String,
    pub(crate) ccache: Option<PathBuf>,
}

/// Compilers in order of preference: clang compiles Verilated models faster, and they run
/// about a tenth faster (measured on a ResNet-8 design).
const COMPILERS: [&str; 2] = ["clang++", "g++"];

impl Toolchain {
    /// Looks for the tools on `PATH`.
    ///
    /// # Errors
    /// [`SimError::MissingTool`] names the Debian packages; [`SimError::UnusableTool`] when one does
    /// not run or is too old (Verilator before 5).
    pub fn discover() -> Result<Self, SimError> {
        Self::discover_in(&std::env::var_os("PATH").unwrap_or_default())
    }

    /// Looks for the tools on a search path given in the form of `PATH`.
    ///
    /// # Errors
    /// As [`Toolchain::discover`].
    pub fn discover_in(search_path: &OsStr) -> Result<Self, SimError> {
        let verilator = find(search_path, "verilator").ok_or(SimError::MissingTool {
            tool: "verilator",
            package: "verilator clang",
        })?;
        let compiler = COMPILERS
            .iter()
            .find_map(|name| find(search_path, name))
            .ok_or(SimError::MissingTool {
                tool: "a C++ compiler (clang++ or g++)",
                package: "verilator clang",
            })?;
        let verilator_version = first_line(&capture(&verilator, &["--version".as_ref()])?);
        check_version(&verilator, &verilator_version)?;
        let root = capture(
            &verilator,
            &["--getenv".as_ref(), "VERILATOR_ROOT".as_ref()],
        )?;
        let compiler_version = first_line(&capture(&compiler, &["--version".as_ref()])?);
        Ok(Self {
            verilator,
            verilator_version,
            verilator_root: PathBuf::from(root.trim()),
            compiler,
            compiler_version,
            ccache: find(search_path, "ccache"),
        })
    }

    /// Version line of Verilator, as it prints it.
    pub fn verilator_version(&self) -> &str {
        &self.verilator_version
    }

    /// Version line of the C++ compiler, as it prints it.
    pub fn compiler_version(&self) -> &str {
        &self.compiler_version
    }

    /// Path of Verilator.
    pub fn verilator(&self) -> &Path {
        &self.verilator
    }

    /// Path of the C++ compiler.
    pub fn compiler(&self) -> &Path {
        &self.compiler
    }
}

fn find(search_path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(search_path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Verilator 4 has another event model and other runtime files than this bridge expects.
fn check_version(path: &Path, line: &str) -> Result<(), SimError> {
    let major = line
        .strip_prefix("Verilator ")
        .and_then(|rest| rest.split('.').next())
        .and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(5..) => Ok(()),
        _ => Err(SimError::UnusableTool {
            tool: path.display().to_string(),
            reason: format!("version 5.006 or later is needed, this one says `{line}`"),
        }),
    }
}
