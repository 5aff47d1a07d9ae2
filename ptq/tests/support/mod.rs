//! A small residual network with random weights, and data for it.
#![allow(dead_code)]

use std::collections::BTreeMap;

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};
use macforge_numeric::Semantics;
use macforge_ptq::policy::PolicyFile;
use macforge_ptq::{Dataset, Options, PtqError, Quantization, Silent};
use ndarray::{ArrayD, IxDyn};

/// Uniform numbers in -1..1, always the same ones.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn tensor(&mut self, shape: &[usize], size: f32) -> OnnxTensor {
        let count = shape.iter().product();
        let values = (0..count).map(|_| self.next() * size).collect();
        OnnxTensor::new(shape.to_vec(), TensorData::F32(values))
    }
}

/// conv, batch norm, relu, conv, add, relu, global average, gemm: `[1, 3, 8, 8]` to `[1, 4]`.
pub fn network() -> OnnxGraph {
    let mut random = Random::new(7);
    let positive = |t: OnnxTensor| {
        let values = t
            .data
            .as_f32()
            .unwrap()
            .iter()
            .map(|v| v.abs() + 0.2)
            .collect();
        OnnxTensor::new(t.shape, TensorData::F32(values))
    };
    let mut constants = BTreeMap::new();
    for (name, shape, size) in [
        ("w1", vec![8, 3, 3, 3], 0.5),
        ("beta", vec![8], 0.3),
        ("mean", vec![8], 0.3),
        ("w2", vec![8, 8, 3, 3], 0.3),
        ("b2", vec![8], 0.3),
        ("w3", vec![8, 4], 1.0),
        ("b3", vec![4], 0.5),
    ] {
        constants.insert(name.to_string(), random.tensor(&shape, size));
    }
    constants.insert("gamma".into(), positive(random.tensor(&[8], 1.0)));
    constants.insert("variance".into(), positive(random.tensor(&[8], 1.0)));
    let padded = |node: OnnxNode| node.with("pads", OnnxAttribute::Ints(vec![1; 4]));
    let node = OnnxNode::new;
    OnnxGraph {
        name: "small".into(),
        ir_version: 8,
        opsets: [(String::new(), 13)].into(),
        nodes: vec![
            padded(node("Conv", "conv1", &["x", "w1"], &["c1"])),
            node(
                "BatchNormalization",
                "bn1",
                &["c1", "gamma", "beta", "mean", "variance"],
                &["n1"],
            ),
            node("Relu", "relu1", &["n1"], &["r1"]),
            padded(node("Conv", "conv2", &["r1", "w2", "b2"], &["c2"])),
            node("Add", "add", &["c2", "r1"], &["a"]),
            node("Relu", "relu2", &["a"], &["r2"]),
            node("GlobalAveragePool", "pool", &["r2"], &["g"]),
            node("Flatten", "flatten", &["g"], &["f"]),
            node("Gemm", "fc", &["f", "w3", "b3"], &["y"]),
        ],
        initializers: constants,
        inputs: vec![OnnxValue::fixed("x", OnnxType::F32, &[1, 3, 8, 8])],
        outputs: vec![OnnxValue::fixed("y", OnnxType::F32, &[1, 4])],
        ..OnnxGraph::default()
    }
}

pub fn data(count: usize, seed: u64) -> Dataset {
    let mut random = Random::new(seed);
    let mut sample = || {
        let bias = random.next();
        let values = (0..192).map(|_| random.next() + bias).collect();
        ArrayD::from_shape_vec(IxDyn(&[1, 3, 8, 8]), values).unwrap()
    };
    Dataset::single("x", (0..count).map(|_| sample()).collect(), None)
}

pub const OPTIONS: Options = Options {
    semantics: Semantics::OrtX86,
    sensitivity: false,
};

pub fn quantize(policy: &str) -> Result<Quantization, PtqError> {
    let policy = PolicyFile::parse("test", policy).unwrap();
    Quantization::new(network(), &policy, &data(24, 3), OPTIONS, &mut Silent)
}
