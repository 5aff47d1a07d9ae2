//! Activations in DDR memory: networks whose activations do not fit the block RAM run in strips of rows.

#[allow(dead_code, reason = "few networks are needed of it")]
mod layers_support;
#[allow(dead_code, reason = "two networks are needed of it")]
mod stream_support;
mod support;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use stream_support::{large_input_model, large_model};
use support::memory::{exact, stopped};
use support::{compile, lints, macforge_in, read_json};

const BOARD: &str = "zybo-z7-10";

const FAST: &[&str] = &["--ddr-latency", "20", "--stall", "3"];
const LATE: &[&str] = &["--ddr-latency", "400"];
const NARROW: &[&str] = &["--ddr-bandwidth", "10"];
const WORST: &[&str] = &[
    "--ddr-latency",
    "400",
    "--ddr-bandwidth",
    "10",
    "--stall",
    "4",
];

/// A design for a small device, whose activations lie in memory.
fn design(dir: &Path, model: &[u8], more: &[&str]) -> PathBuf {
    let file = dir.join("model.tflite");
    fs::write(&file, model).expect("a new file");
    let out = dir.join("out");
    compile(&file, BOARD, more, &out);
    let manifest = read_json(&out.join("manifest.json"));
    assert!(memory_of(&manifest, "bytes") > 0);
    out
}

fn memory_of(manifest: &Value, key: &str) -> u64 {
    manifest["activation_memory"][key]
        .as_u64()
        .expect("a number")
}

#[test]
fn activations_that_do_not_fit_lie_in_memory_whatever_the_memory_does() {
    for (ports, memories) in [
        ("1", &[FAST, WORST][..]),
        ("2x32", &[LATE]),
        ("3", &[NARROW]),
    ] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let options = ["--shape", "3x8x4", "--hp-ports", ports];
        let out = design(dir.path(), &large_model(), &options);
        for memory in memories {
            exact(&out, memory);
        }
    }
}

#[test]
fn an_input_that_does_not_fit_goes_to_memory() {
    // as it comes, and with folded columns
    for (shape, memories) in [("3x8x4", &[FAST, NARROW][..]), ("5x4x8", &[WORST])] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = design(dir.path(), &large_input_model(), &["--shape", shape]);
        for memory in memories {
            exact(&out, memory);
        }
        lints(&out);
    }
}

#[test]
fn four_ports_for_weights_leave_none_for_activations() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("model.tflite"), large_model()).expect("a new file");
    let asked = format!("compile model.tflite --board {BOARD} --hp-ports 4 -o out");
    macforge_in(dir.path(), &asked)
        .refused(&["BRAM36 of 60", "--hp-ports leaves one of the four ports"]);
}

#[test]
fn faults_of_the_memory_stop_the_run_with_a_code() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = design(dir.path(), &large_input_model(), &["--shape", "3x8x4"]);
    let manifest = out.join("manifest.json");
    let good = read_json(&manifest);
    let port = format!("of memory port {}", memory_of(&good, "port"));
    // no answer for what was written
    stopped(
        &out,
        &["--ddr-latency", "100000000"],
        &["error code 5 (an activation transfer did not go on", &port],
    );
    // the last rows lie beyond what may be written
    let mut short = good.clone();
    short["activation_memory"]["bytes"] = (memory_of(&good, "bytes") - 64).into();
    fs::write(&manifest, short.to_string()).expect("the manifest");
    stopped(
        &out,
        &["--stall", "2"],
        &[
            "error code 4 (the memory answered an activation transfer",
            &port,
        ],
    );
    fs::write(&manifest, good.to_string()).expect("the manifest");
    exact(&out, &[]);
}
