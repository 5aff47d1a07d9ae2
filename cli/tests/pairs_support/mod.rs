//! Two sums of the same operands as an ONNX model: one whose float32 roundings move three pairs
//! across a tie, and an ordinary one.

use macforge_model::onnx::{OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData};
use ndarray::{ArrayD, IxDyn};
use ndarray_npy::NpzWriter;
use std::fs::File;
use std::path::Path;

/// Pairs of operands as uint8: the three that are moved (two down, one up), the same exchanged and with
/// one operand changed, the extremes, and the int8 zeros that an unused entry would name.
const PAIRS: [[u8; 2]; 16] = [
    [80, 197],
    [167, 35],
    [203, 191],
    [197, 80],
    [35, 167],
    [191, 203],
    [80, 198],
    [81, 197],
    [167, 34],
    [203, 190],
    [128, 128],
    [0, 0],
    [255, 255],
    [0, 255],
    [255, 0],
    [127, 129],
];

/// Writes the operands `a` and `b` of one sample.
pub fn write_input(path: &Path) {
    let mut file = NpzWriter::new(File::create(path).expect("a new file"));
    for (which, name) in ["a", "b"].into_iter().enumerate() {
        let values = PAIRS.iter().map(|p| p[which]).collect();
        let array = ArrayD::from_shape_vec(IxDyn(&[1, 1, 1, PAIRS.len()]), values);
        file.add_array(name, &array.expect("one row"))
            .expect("an array can be written");
    }
    file.finish().expect("the file can be written");
}

/// The file.
pub fn model() -> Vec<u8> {
    let sum = |scales: [&str; 3], zero_points: [&str; 3], to: &str| {
        let [a, b, y] = scales;
        let [za, zb, zy] = zero_points;
        let inputs = ["a", a, za, "b", b, zb, y, zy];
        let mut node = OnnxNode::new("QLinearAdd", to, &inputs, &[to]);
        node.domain = "com.microsoft".into();
        node
    };
    let scale = |name: &str, value: f32| (name.to_string(), OnnxTensor::scalar_f32(value));
    let zero_point = |name: &str, value: u8| {
        let tensor = OnnxTensor::new(vec![], TensorData::U8(vec![value]));
        (name.to_string(), tensor)
    };
    let row = |name: &str| OnnxValue::fixed(name, OnnxType::U8, &[1, 1, 1, PAIRS.len()]);
    let graph = OnnxGraph {
        name: "pairs".into(),
        ir_version: 8,
        opsets: [(String::new(), 13), ("com.microsoft".into(), 1)].into(),
        nodes: vec![
            sum(["s0", "s1", "s2"], ["z0", "z1", "z0"], "moved"),
            sum(["s0", "s1", "s3"], ["z0", "z1", "z2"], "plain"),
        ],
        initializers: [
            scale("s0", 0.05182),
            scale("s1", 0.05977),
            scale("s2", 0.06468),
            scale("s3", 0.0875),
            zero_point("z0", 103),
            zero_point("z1", 117),
            zero_point("z2", 128),
        ]
        .into(),
        inputs: ["a", "b"].map(row).into(),
        outputs: ["moved", "plain"].map(row).into(),
        ..OnnxGraph::default()
    };
    graph.to_bytes().expect("a plain graph")
}
