//! `macforge quantize` from the command line: what it writes, and how it refuses.

mod float_support;

use float_support::{CALIBRATION as DATA, folder};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn macforge(dir: &Path, args: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_macforge"));
    let output = command
        .current_dir(dir)
        .args(args.split_whitespace())
        .output();
    output.expect("the command runs")
}

fn succeed(dir: &Path, args: &str) -> String {
    let output = macforge(dir, args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn refuse(dir: &Path, args: &str) -> String {
    let output = macforge(dir, args);
    assert_eq!(output.status.code(), Some(2), "{args}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_float_model_becomes_an_mfq_file_that_every_command_takes() {
    let dir = folder();
    let dir = dir.path();
    let text = succeed(
        dir,
        &format!("quantize tiny.onnx {DATA} --sensitivity --suggest s.toml --json r.json -o a.mfq"),
    );
    assert!(
        text.contains("Conv+Relu") && text.contains("20 calibration samples"),
        "{text}"
    );
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
    let layers = report["layers"].as_array().unwrap();
    let conv = layers.iter().find(|l| l["name"] == "conv").unwrap();
    assert!(conv["activations"]["sqnr_db"].as_f64().unwrap() > 25.0);
    assert!(conv["sensitivity"]["output_sqnr_db"].as_f64().is_some());
    assert!(report["evaluation"]["float_accuracy"].as_f64().is_some());
    assert!(report["evaluation"]["top1_changed"].as_f64().unwrap() <= 0.1);

    // the same inputs give the same bytes, and the suggestion is a policy
    succeed(
        dir,
        &format!("quantize tiny.onnx {DATA} --sensitivity -o b.mfq"),
    );
    assert_eq!(
        fs::read(dir.join("a.mfq")).unwrap(),
        fs::read(dir.join("b.mfq")).unwrap()
    );
    succeed(
        dir,
        &format!("quantize tiny.onnx {DATA} --policy s.toml -o mixed.mfq"),
    );

    succeed(dir, "inspect a.mfq");
    succeed(dir, "compile a.mfq --board pynq-z2 -o design");
    let manifest = fs::read_to_string(dir.join("design/manifest.json")).unwrap();
    assert!(manifest.contains("ort-x86"), "{manifest}");
}

#[test]
fn compile_quantizes_a_float_model_by_a_policy_as_quantize_does() {
    let dir = folder();
    let dir = dir.path();
    let policy = "[[layer]]\nmatch = \"fc\"\nweights = { bits = 4 }\n";
    fs::write(dir.join("four.toml"), policy).unwrap();
    succeed(
        dir,
        &format!("quantize tiny.onnx {DATA} --policy four.toml -o tiny.mfq"),
    );
    let shape = "--board pynq-z2 --shape 3x4x4";
    succeed(
        dir,
        &format!("compile tiny.onnx {DATA} --policy four.toml {shape} -o one"),
    );
    succeed(dir, &format!("compile tiny.mfq {shape} -o two"));
    let manifest = |design: &str| -> serde_json::Value {
        let text = fs::read(dir.join(design).join("manifest.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let [one, two] = ["one", "two"].map(manifest);
    assert_eq!(one["files"], two["files"]);
    assert_eq!(one["model_sha256"], two["model_sha256"]);
    assert_eq!(one["policy_sha256"].as_str().unwrap().len(), 64);

    let found = refuse(
        dir,
        &format!("compile tiny.mfq {DATA} --policy four.toml {shape} -o three"),
    );
    assert!(found.contains("quantized already"), "{found}");
    let found = refuse(
        dir,
        &format!("compile tiny.onnx --policy four.toml {shape} -o three"),
    );
    assert!(found.contains("--calib"), "{found}");
    assert!(!dir.join("three").exists());
}

#[test]
fn the_qdq_form_can_be_written_too() {
    let dir = folder();
    succeed(dir.path(), &format!("quantize tiny.onnx {DATA} -o q.onnx"));
    let bytes = fs::read(dir.path().join("q.onnx")).unwrap();
    let graph = macforge_model::onnx::import("q", &bytes).unwrap();
    let quantizers = graph.nodes.iter().filter(|n| n.op_type == "QuantizeLinear");
    assert_eq!(quantizers.count(), 5);
}

#[test]
fn mistakes_are_named_and_nothing_is_written() {
    let dir = folder();
    let dir = dir.path();
    fs::write(dir.join("p.toml"), "[default]\nweights = { bitz = 4 }\n").unwrap();
    fs::write(dir.join("w.toml"), "[default]\nweights_only = true\n").unwrap();
    for (args, words) in [
        (
            format!("quantize tiny.onnx {DATA} --policy p.toml -o o.mfq"),
            "bitz",
        ),
        (
            format!("quantize tiny.onnx {DATA} --policy w.toml -o o.mfq"),
            "weights_only",
        ),
        (
            format!("quantize tiny.onnx {DATA} -o o.txt"),
            ".mfq or .onnx",
        ),
        (
            format!("quantize tiny.onnx {DATA} --semantics pow2 -o o.mfq"),
            "pow2",
        ),
        (
            format!("quantize fire-risk {DATA} -o o.mfq"),
            "quantized already",
        ),
        (
            "quantize tiny.onnx --calib data.npz --mean 1,2 -o o.mfq".into(),
            "wanted 1 or 3",
        ),
        (
            "quantize tiny.onnx --calib tiny.onnx -o o.mfq".into(),
            "not an .npz file",
        ),
    ] {
        let found = refuse(dir, &args);
        assert!(found.contains(words), "{args}: {found}");
    }
    succeed(
        dir,
        &format!("quantize tiny.onnx {DATA} --policy w.toml -o weights.onnx"),
    );
    let left = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<String> = left.collect();
    left.sort();
    assert_eq!(
        left,
        ["data.npz", "p.toml", "tiny.onnx", "w.toml", "weights.onnx"]
    );
}
