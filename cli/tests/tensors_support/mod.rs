//! Operators of two tensors as an ONNX model: an element-wise product, a product of matrices, transposed,
//! and a product whose accumulators are an output.

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};

const ROWS: usize = 5;
const DEPTH: usize = 7;
const COLUMNS: usize = 9;
const SUMS: usize = 4;

/// The file. The zero points ask for three parts of a weight and for both kernel rows.
pub fn model() -> Vec<u8> {
    let scale = |name: &str, value: f32| (name.to_string(), OnnxTensor::scalar_f32(value));
    let zero_point = |name: &str, value: u8| {
        let tensor = OnnxTensor::new(vec![], TensorData::U8(vec![value]));
        (name.to_string(), tensor)
    };
    let weights = (0..(DEPTH * SUMS) as i64).map(|i| ((97 * i + 41) % 251 - 125) as i8);
    let weights = OnnxTensor::new(vec![DEPTH, SUMS], TensorData::I8(weights.collect()));
    let matrix =
        |name: &str, kind, rows, columns| OnnxValue::fixed(name, kind, &[1, rows, columns]);
    let mut product = OnnxNode::new(
        "QLinearMul",
        "product",
        &["a", "s0", "z0", "c", "s0", "z1", "s1", "z1"],
        &["product"],
    );
    product.domain = "com.microsoft".into();
    let graph = OnnxGraph {
        name: "tensors".into(),
        ir_version: 8,
        opsets: [(String::new(), 13), ("com.microsoft".into(), 1)].into(),
        nodes: vec![
            product,
            OnnxNode::new(
                "QLinearMatMul",
                "matrices",
                &["a", "s0", "z0", "b", "s0", "z2", "s2", "z1"],
                &["matrices"],
            ),
            OnnxNode::new("Transpose", "turned", &["matrices"], &["turned"])
                .with("perm", OnnxAttribute::Ints(vec![0, 2, 1])),
            OnnxNode::new("MatMulInteger", "sums", &["a", "w", "z0"], &["sums"]),
        ],
        initializers: [
            scale("s0", 0.0307),
            scale("s1", 0.0413),
            scale("s2", 0.19),
            zero_point("z0", 103),
            zero_point("z1", 131),
            zero_point("z2", 0),
            ("w".to_string(), weights),
        ]
        .into(),
        inputs: vec![
            matrix("a", OnnxType::U8, ROWS, DEPTH),
            matrix("b", OnnxType::U8, DEPTH, COLUMNS),
            matrix("c", OnnxType::U8, ROWS, DEPTH),
        ],
        outputs: vec![
            matrix("product", OnnxType::U8, ROWS, DEPTH),
            matrix("turned", OnnxType::U8, COLUMNS, ROWS),
            matrix("sums", OnnxType::I32, ROWS, SUMS),
        ],
        ..OnnxGraph::default()
    };
    graph.to_bytes().expect("a plain graph")
}
