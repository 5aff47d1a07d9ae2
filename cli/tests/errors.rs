//! What is wrong with the input is said, with the right exit code, and nothing half-written stays.

mod support;

use macforge_model::tflite::writer::{ModelWriter, Options};
use ndarray::{ArrayD, IxDyn};
use std::fs;
use std::path::Path;
use support::{
    Run, command, compile, macforge, read_npz, repository, run, samples, simulate, tree,
};
use tempfile::TempDir;

/// An array small enough for fast simulation builds.
const SMALL: [&str; 2] = ["--shape", "3x4x4"];

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Compiles `model` for a PYNQ-Z2 with more options into `out` below `dir`.
fn try_compile(dir: &Path, model: &str, more: &[&str]) -> Run {
    let mut command = command(["compile", model, "--board", "pynq-z2"]);
    command.current_dir(dir).args(more).args(["-o", "out"]);
    run(command)
}

/// Names of all that lies in a folder, hidden files included.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

fn good_model() -> Vec<u8> {
    fs::read(repository().join("testdata/fire-risk/fire_risk_int8.tflite")).expect("the model")
}

#[test]
fn a_truncated_model_is_refused_at_every_length() {
    let dir = folder();
    let model = good_model();
    let path = dir.path().join("cut.tflite");
    for kept in [
        0,
        3,
        7,
        8,
        100,
        1000,
        3000,
        model.len() / 2,
        model.len() - 200,
    ] {
        fs::write(&path, &model[..kept]).expect("a new file");
        let run = try_compile(dir.path(), "cut.tflite", &[]);
        let expected = if kept < 8 {
            "neither a TFLite model"
        } else {
            "malformed model"
        };
        assert!(
            run.stderr.contains(expected),
            "{kept} bytes: {}",
            run.stderr
        );
        run.refused(&[]);
        assert_eq!(names(dir.path()), ["cut.tflite"], "{kept} bytes");
    }
}

#[test]
fn an_unknown_operator_is_named_with_node_and_tensor() {
    let dir = folder();
    let mut w = ModelWriter::new();
    let x = w.int8("picture", &[1, 4, 4, 2], 0.5, -3);
    let y = w.int8("wiggled", &[1, 4, 4, 2], 0.5, -3);
    w.operator("LOG_SOFTMAX", &[x], &[y], Options::None);
    fs::write(dir.path().join("odd.tflite"), w.finish(&[x], &[y])).expect("a new file");
    try_compile(dir.path(), "odd.tflite", &[]).refused(&["LOG_SOFTMAX", "wiggled"]);
    assert_eq!(names(dir.path()), ["odd.tflite"]);
}

#[test]
fn a_missing_model_is_refused_with_the_built_in_names() {
    let dir = folder();
    try_compile(dir.path(), "absent.tflite", &[]).refused(&["absent.tflite", "fire-risk"]);
    try_compile(dir.path(), ".", &[]).refused(&["`.`"]);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn an_unknown_board_is_answered_with_the_known_ones() {
    let dir = folder();
    let mut command = command(["compile", "fire-risk", "--board", "pynq-z9", "-o"]);
    command.arg(dir.path().join("out"));
    run(command).refused(&["pynq-z9", "pynq-z2", "zybo-z7-10", "zc706"]);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_shape_that_cannot_work_is_refused_with_the_reason() {
    let dir = folder();
    let cases = [
        ("3x8", "wanted PxOCxIC"),
        ("3x8x4x2", "wanted PxOCxIC"),
        ("axbxc", "wanted PxOCxIC"),
        ("0x8x4", "at least 1"),
        ("3x7x4", "odd"),
        // the demo has layers of stride 2, and an even P would meet itself in a bank
        ("4x8x2", "stride"),
    ];
    for (shape, reason) in cases {
        try_compile(dir.path(), "fire-risk", &["--shape", shape]).refused(&[shape, reason]);
    }
    assert!(names(dir.path()).is_empty());
}

#[test]
fn bad_options_are_usage_errors() {
    let dir = folder();
    for more in [
        ["--clock", "0"],
        ["--clock", "fast"],
        ["--io", "int4"],
        ["--semantics", "any"],
    ] {
        try_compile(dir.path(), "fire-risk", &more).refused(&[]);
    }
    macforge(["compile", "fire-risk"]).refused(&["--board"]);
    macforge(["conquer"]).refused(&["conquer"]);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn an_output_folder_below_a_file_is_refused() {
    let dir = folder();
    fs::write(dir.path().join("file"), "kept").expect("a new file");
    for place in ["file", "file/out", "file/a/b"] {
        let mut command = command(["compile", "fire-risk", "--board", "pynq-z2", "-o", place]);
        command.current_dir(dir.path());
        run(command).refused(&["file", "Not a directory"]);
    }
    assert_eq!(names(dir.path()), ["file"]);
    assert_eq!(
        fs::read(dir.path().join("file")).expect("the file"),
        b"kept"
    );
}

#[test]
fn a_folder_that_is_no_design_is_not_overwritten() {
    let dir = folder();
    let out = dir.path().join("out");
    fs::create_dir(&out).expect("a new folder");
    fs::write(out.join("thesis.tex"), "years of work").expect("a new file");
    try_compile(dir.path(), "fire-risk", &SMALL).refused(&["out", "not a macforge design"]);
    assert_eq!(names(dir.path()), ["out"]);
    assert_eq!(names(&out), ["thesis.tex"]);
    simulate(&out, &[]).refused(&["not a macforge design", "macforge compile"]);
}

#[test]
fn a_design_is_replaced_whole_and_a_failed_compile_leaves_the_old_one() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &SMALL, &out);
    let first = tree(&out);
    try_compile(dir.path(), "fire-risk", &["--shape", "4x8x2"]).refused(&[]);
    assert_eq!(tree(&out), first);
    fs::write(out.join("rtl/left_over.v"), "module left_over; endmodule\n").expect("a new file");
    compile("fire-risk", "pynq-z2", &SMALL, &out);
    assert_eq!(tree(&out), first);
    assert_eq!(names(dir.path()), ["out"]);
}

#[test]
fn a_damaged_manifest_is_refused() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &SMALL, &out);
    let manifest = out.join("manifest.json");
    let good = fs::read_to_string(&manifest).expect("the manifest");
    let other_version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(good.contains(&other_version));
    let cases = [
        (good[..good.len() / 2].to_string(), "damaged"),
        (String::new(), "damaged"),
        (good.replace("\"board\"", "\"bard\""), "board"),
        (
            good.replace(&other_version, "\"version\": \"0.0.9\""),
            "0.0.9",
        ),
        (good.replace("pynq-z2", "pynq-z9"), "pynq-z9"),
    ];
    for (text, part) in cases {
        fs::write(&manifest, text).expect("the manifest can be written");
        for command in ["simulate", "report"] {
            macforge([command.as_ref(), out.as_os_str()]).refused(&[part]);
        }
    }
}

#[test]
fn input_that_does_not_fit_the_model_is_refused() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &SMALL, &out);
    let file = dir.path().join("x.npz");
    let result = dir.path().join("y.npz");
    let refused = |parts: &[&str]| {
        simulate(&out, &[&"--input", &file, &"--output", &result]).refused(parts);
        assert!(!result.exists());
    };
    for shape in [
        &[2, 32, 32, 3][..],
        &[2, 31, 32, 4],
        &[32, 32, 4],
        &[2, 4096],
        &[5],
        &[],
    ] {
        support::write_npz(&file, &ArrayD::<i8>::zeros(IxDyn(shape)));
        refused(&["shape", "32, 32, 4", "image"]);
    }
    support::write_npz(
        &file,
        &ArrayD::<i32>::from_elem(IxDyn(&[1, 32, 32, 4]), 128),
    );
    refused(&["128", "not an int8"]);
    support::write_npz(&file, &ArrayD::<i8>::zeros(IxDyn(&[0, 32, 32, 4])));
    refused(&["no sample"]);
    fs::write(&file, "not a zip archive").expect("a new file");
    refused(&["x.npz", "not an .npz file"]);
    fs::remove_file(&file).expect("the file was there");
    refused(&["x.npz", "cannot read"]);
}

#[test]
fn a_missing_verilator_is_named_with_its_package() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &SMALL, &out);
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).expect("a new folder");
    let before = tree(&out);
    let mut command = command(["simulate".as_ref(), out.as_os_str()]);
    command.env("PATH", &empty);
    run(command).refused(&["verilator", "apt-get install verilator"]);
    assert_eq!(tree(&out), before);
}

#[test]
fn a_changed_weight_is_a_mismatch_and_exit_code_1() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &SMALL, &out);
    let weights = out.join("mem/weights.mem");
    let text = fs::read_to_string(&weights).expect("the weights");
    let (first, rest) = text.split_once('\n').expect("many lines");
    let flipped: String = first
        .chars()
        .map(|c| if c == '0' { '7' } else { '0' })
        .collect();
    fs::write(&weights, format!("{flipped}\n{rest}")).expect("the weights can be written");
    let (result, json) = (dir.path().join("y.npz"), dir.path().join("y.json"));
    let found = simulate(
        &out,
        &[
            &"--input",
            &samples(),
            &"--samples",
            &"1",
            &"--layers",
            &"--output",
            &result,
            &"--json",
            &json,
        ],
    );
    assert_eq!(found.code, 1, "{found:?}");
    assert!(found.stdout.contains("wanted"), "{}", found.stdout);
    // the hardware's own output is written all the same, so that it can be looked at
    assert_eq!(read_npz::<i8>(&result, "output0").shape(), [1, 4]);
    assert!(
        support::read_json(&json)["mismatches"]
            .as_u64()
            .expect("a number")
            > 0
    );
}

#[test]
fn an_unwritable_result_file_is_named_and_exit_code_2() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &SMALL, &out);
    fs::write(dir.path().join("file"), "").expect("a new file");
    for option in ["--output", "--json", "--trace"] {
        let below = dir.path().join("file/result");
        simulate(&out, &[&"--samples", &"1", &option, &below]).refused(&["file/result"]);
    }
    assert_eq!(names(dir.path()), ["file", "out"]);
}
