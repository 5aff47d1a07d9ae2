//! `macforge quantize` from the command line: what it writes, and how it refuses.

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};
use ndarray::{Array1, Array4};
use ndarray_npy::NpzWriter;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Uniform numbers in -1..1, always the same ones.
fn random(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// conv, relu, global average, gemm: `[1, 3, 8, 8]` to `[1, 4]`.
fn model() -> OnnxGraph {
    let mut next = random(5);
    let mut constant = |shape: &[usize]| {
        let values = (0..shape.iter().product()).map(|_| next()).collect();
        OnnxTensor::new(shape.to_vec(), TensorData::F32(values))
    };
    let constants = [
        ("w", vec![8, 3, 3, 3]),
        ("b", vec![8]),
        ("m", vec![8, 4]),
        ("n", vec![4]),
    ];
    let constants = constants.map(|(name, shape)| (name.to_string(), constant(&shape)));
    let conv = OnnxNode::new("Conv", "conv", &["x", "w", "b"], &["c"]);
    OnnxGraph {
        name: "tiny".into(),
        ir_version: 8,
        opsets: [(String::new(), 13)].into(),
        nodes: vec![
            conv.with("pads", OnnxAttribute::Ints(vec![1; 4])),
            OnnxNode::new("Relu", "relu", &["c"], &["r"]),
            OnnxNode::new("GlobalAveragePool", "pool", &["r"], &["g"]),
            OnnxNode::new("Flatten", "flat", &["g"], &["f"]),
            OnnxNode::new("Gemm", "fc", &["f", "m", "n"], &["y"]),
        ],
        initializers: constants.into(),
        inputs: vec![OnnxValue::fixed("x", OnnxType::F32, &[1, 3, 8, 8])],
        outputs: vec![OnnxValue::fixed("y", OnnxType::F32, &[1, 4])],
        ..OnnxGraph::default()
    }
}

/// A folder with the model and images as they are often stored: uint8, channels last, labelled.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tiny.onnx"), model().to_bytes().unwrap()).unwrap();
    let mut next = random(9);
    let images = Array4::from_shape_fn((20, 8, 8, 3), |_| ((next() + 1.0) * 127.0) as u8);
    let labels = Array1::from_shape_fn(20, |i| (i % 4) as u8);
    let file = fs::File::create(dir.path().join("data.npz")).unwrap();
    let mut npz = NpzWriter::new(file);
    npz.add_array("x", &images).unwrap();
    npz.add_array("y", &labels).unwrap();
    npz.finish().unwrap();
    dir
}

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

const DATA: &str = "--calib data.npz --divide 255 --mean 0.5,0.5,0.5 --std 0.25";

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
