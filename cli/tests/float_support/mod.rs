//! A small float model and images for it.
#![allow(dead_code, reason = "every test file uses its own part of this module")]

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};
use ndarray::{Array1, Array4};
use ndarray_npy::NpzWriter;
use std::fs;
use std::path::Path;

/// How the folder's images become the model's input.
pub const CALIBRATION: &str = "--calib data.npz --divide 255 --mean 0.5,0.5,0.5 --std 0.25";

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
pub fn model() -> OnnxGraph {
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

/// The model and images as they are often stored: uint8, channels last, labelled.
pub fn write(dir: &Path) {
    fs::write(dir.join("tiny.onnx"), model().to_bytes().unwrap()).unwrap();
    let mut next = random(9);
    let images = Array4::from_shape_fn((20, 8, 8, 3), |_| ((next() + 1.0) * 127.0) as u8);
    let labels = Array1::from_shape_fn(20, |i| (i % 4) as u8);
    let file = fs::File::create(dir.join("data.npz")).unwrap();
    let mut npz = NpzWriter::new(file);
    npz.add_array("x", &images).unwrap();
    npz.add_array("y", &labels).unwrap();
    npz.finish().unwrap();
}

/// A folder with both.
pub fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    dir
}

/// Writes two policies, of 8 and of 4 bits, with other scales for the streams, too.
pub fn write_policies(dir: &Path) {
    let eight = "[default]\nactivations = { bits = 8, scheme = \"asymmetric\" }\n";
    let four = "[default]\nweights = { bits = 4 }\n\
                activations = { bits = 8, scheme = \"symmetric\", calibrator = \"percentile\" }\n";
    fs::write(dir.join("eight.toml"), eight).unwrap();
    fs::write(dir.join("four.toml"), four).unwrap();
}
