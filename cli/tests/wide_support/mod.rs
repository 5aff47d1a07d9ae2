//! int16 input, results and weights as an ONNX model: three convolutions, of which the first one's kernel
//! columns are folded.

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};

/// Channels of the input, of both int16 tensors between, of the output.
const CHANNELS: [usize; 4] = [2, 9, 6, 5];

/// A fixed sequence of -127..=127.
fn byte(i: usize) -> i16 {
    ((i * 97 + 41) % 255) as i16 - 127
}

/// The file. Random inputs saturate every tensor here and there.
pub fn model() -> Vec<u8> {
    let int16 = |values| TensorData::I16(values);
    let mut constants = vec![("z16", int16(vec![0])), ("z8", TensorData::I8(vec![0]))];
    constants.push(("z_out", TensorData::I8(vec![-9])));
    for (name, scale) in [("sx", 1e-3f32), ("sw", 5e-3), ("sb", 4e-3), ("sv", 2e-5)] {
        constants.push((name, TensorData::F32(vec![scale])));
    }
    for (name, scale) in [("sm", 1e-3f32), ("sc", 2e-3), ("sy", 0.2)] {
        constants.push((name, TensorData::F32(vec![scale])));
    }
    let scalars = constants.into_iter();
    let mut initializers: std::collections::BTreeMap<String, OnnxTensor> = scalars
        .map(|(name, data)| (name.to_string(), OnnxTensor::new(vec![], data)))
        .collect();
    let mut kernel = |name: &str, [from, to, side]: [usize; 3], wide: bool| {
        let count = from * to * side * side;
        let data = match wide {
            true => int16(
                (0..count)
                    .map(|i| 256 * byte(i) + byte(7 * i + 3))
                    .collect(),
            ),
            false => TensorData::I8((0..count).map(|i| byte(i) as i8).collect()),
        };
        let tensor = OnnxTensor::new(vec![to, from, side, side], data);
        initializers.insert(name.into(), tensor);
    };
    let [c0, c1, c2, c3] = CHANNELS;
    kernel("w0", [c0, c1, 3], false);
    kernel("w1", [c1, c2, 3], true);
    kernel("w2", [c2, c3, 1], false);
    let real = |from: &str, scale: &str, zero: &str, to: &str| {
        OnnxNode::new("DequantizeLinear", to, &[from, scale, zero], &[to])
    };
    let integer = |from: &str, scale: &str, zero: &str, to: &str| {
        OnnxNode::new("QuantizeLinear", to, &[from, scale, zero], &[to])
    };
    let conv = |from: &str, weights: &str, pad: i64, to: &str| {
        let pads = OnnxAttribute::Ints(vec![pad; 4]);
        OnnxNode::new("Conv", to, &[from, weights], &[to]).with("pads", pads)
    };
    let image = |name: &str, kind, channels| OnnxValue::fixed(name, kind, &[1, channels, 6, 7]);
    let graph = OnnxGraph {
        name: "wide".into(),
        ir_version: 10,
        opsets: [(String::new(), 21)].into(),
        nodes: vec![
            real("x", "sx", "z16", "xf"),
            real("w0", "sw", "z8", "w0f"),
            conv("xf", "w0f", 1, "mf"),
            integer("mf", "sm", "z16", "m"),
            real("m", "sm", "z16", "mg"),
            real("w1", "sv", "z16", "w1f"),
            conv("mg", "w1f", 1, "cf"),
            OnnxNode::new("Relu", "relu", &["cf"], &["cr"]),
            integer("cr", "sc", "z16", "c"),
            real("c", "sc", "z16", "cg"),
            real("w2", "sb", "z8", "w2f"),
            conv("cg", "w2f", 0, "yf"),
            integer("yf", "sy", "z_out", "y"),
        ],
        initializers,
        inputs: vec![image("x", OnnxType::I16, c0)],
        outputs: vec![image("y", OnnxType::I8, c3), image("c", OnnxType::I16, c2)],
        ..OnnxGraph::default()
    };
    graph.to_bytes().expect("a plain graph")
}
