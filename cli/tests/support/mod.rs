//! Runs the `macforge` command, and reads and writes what it works on.
#![allow(dead_code, reason = "every test file uses its own part of this module")]

pub mod bench;
pub mod memory;

use ndarray::{ArrayD, OwnedRepr};
use ndarray_npy::{NpzReader, NpzWriter, ReadableElement, WritableElement};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How a call of the command ended.
#[derive(Debug)]
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error without the frame and the line breaks that the error printer adds.
    pub stderr: String,
}

impl Run {
    /// The same run, after a check that it ended with exit code 0.
    #[track_caller]
    pub fn passed(self) -> Run {
        assert_eq!(
            self.code, 0,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Checks that the input was refused (exit code 2) with a message that has all `parts`.
    #[track_caller]
    pub fn refused(self, parts: &[&str]) {
        assert_eq!(
            self.code, 2,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "`{part}` is not in:\n{}",
                self.stderr
            );
        }
    }
}

/// The command with the tests' own build cache.
pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_macforge"));
    command.args(args).env(
        "XDG_CACHE_HOME",
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
    );
    command
}

/// Runs a command.
pub fn run(mut command: Command) -> Run {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the command can be started");
    Run {
        code: status.code().expect("the command was not killed"),
        stdout: String::from_utf8(stdout).expect("output is UTF-8"),
        stderr: unframed(&String::from_utf8(stderr).expect("messages are UTF-8")),
    }
}

/// Runs `macforge` with arguments.
pub fn macforge<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    run(command(args))
}

/// Runs `macforge` in a folder, with arguments between spaces.
pub fn macforge_in(dir: &Path, arguments: &str) -> Run {
    let mut command = command(arguments.split_whitespace());
    command.current_dir(dir);
    run(command)
}

/// An error message on one line: without the frame, and with words joined that were broken.
fn unframed(text: &str) -> String {
    let mut line = String::new();
    for word in text
        .split_whitespace()
        .filter(|w| !["×", "│", "├─▶", "╰─▶"].contains(w))
    {
        if !line.is_empty() && !line.ends_with('-') {
            line.push(' ');
        }
        line += word;
    }
    line
}

/// Root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The labelled samples of the built-in model: `input`, `label`, `output0`.
pub fn samples() -> PathBuf {
    repository().join("testdata/fire-risk/samples.npz")
}

/// A model or data file of the collection beside the repository.
pub fn shared(path: &str) -> PathBuf {
    let file = repository().join("../shared/models").join(path);
    assert!(file.is_file(), "{} is missing", file.display());
    file
}

/// Compiles into `dir`; `more` are further options.
#[track_caller]
pub fn compile(model: impl AsRef<OsStr>, board: &str, more: &[&str], dir: &Path) {
    let fixed = [
        OsStr::new("compile"),
        model.as_ref(),
        "--board".as_ref(),
        board.as_ref(),
    ];
    let mut command = command(fixed);
    command.args(more).arg("-o").arg(dir);
    run(command).passed();
}

/// `macforge simulate DIR` with options; paths may be mixed with flags.
pub fn simulate(dir: &Path, options: &[&dyn AsRef<OsStr>]) -> Run {
    let mut command = command(["simulate".as_ref(), dir.as_os_str()]);
    for option in options {
        command.arg(option);
    }
    run(command)
}

/// Simulates four samples of the design in `dir/out` with stalled streams; every integer has to be equal.
/// Returns the result, which stays in `dir/y.json`, and the manifest.
#[track_caller]
pub fn simulate_stalled(dir: &Path, context: &str) -> [serde_json::Value; 2] {
    let (out, json) = (dir.join("out"), dir.join("y.json"));
    let options: [&dyn AsRef<OsStr>; 7] = [
        &"--samples",
        &"4",
        &"--layers",
        &"--stall",
        &"7",
        &"--json",
        &json,
    ];
    let simulated = simulate(&out, &options);
    assert!(
        simulated.code == 0 && simulated.stdout.contains(" 0 mismatches"),
        "{context}:\n{}{}",
        simulated.stdout,
        simulated.stderr
    );
    [read_json(&json), read_json(&out.join("manifest.json"))]
}

/// Reads an array of an `.npz` file.
#[track_caller]
pub fn read_npz<T: ReadableElement>(path: &Path, name: &str) -> ArrayD<T> {
    let mut file = NpzReader::new(File::open(path).expect("the file is there")).expect("an npz");
    file.by_name::<OwnedRepr<T>, _>(name)
        .unwrap_or_else(|e| panic!("{} in {}: {e}", name, path.display()))
}

/// Writes an `.npz` file with one array, `input`.
pub fn write_npz<T: WritableElement>(path: &Path, array: &ArrayD<T>) {
    let mut file = NpzWriter::new(File::create(path).expect("a new file"));
    file.add_array("input", array)
        .expect("an array can be written");
    file.finish().expect("the file can be written");
}

/// A JSON file.
#[track_caller]
pub fn read_json(path: &Path) -> serde_json::Value {
    let text = fs::read_to_string(path).expect("the file is there");
    serde_json::from_str(&text).expect("the file is JSON")
}

/// All files below a folder, by path relative to it.
pub fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(dir)
                    .expect("below dir")
                    .display()
                    .to_string();
                files.insert(name, fs::read(&path).expect("a readable file"));
            }
        }
    }
    files
}

/// Verilator has nothing to say about a design's Verilog with all warnings on, and Icarus takes it.
#[track_caller]
pub fn lints(design: &Path) {
    let sources = tree(design).into_keys().filter(|f| f.starts_with("rtl/"));
    let sources: Vec<PathBuf> = sources.map(|f| design.join(f)).collect();
    let run = |tool: &str, options: &[&str]| {
        let mut command = Command::new(tool);
        command
            .args(options)
            .args(&sources)
            .current_dir(design.join("mem"));
        let checked = command.output().expect("the tool is installed");
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success(), "{tool}: {said}");
        said
    };
    let said = run(
        "verilator",
        &["--lint-only", "-Wall", "--top-module", "macforge_top"],
    );
    assert!(said.is_empty(), "{said}");
    // word_select calls itself for every bit of its index
    let deep = "-pRECURSIVE_MOD_LIMIT=32";
    run(
        "iverilog",
        &["-g2005", "-Wall", deep, "-t", "null", "-s", "macforge_top"],
    );
}
