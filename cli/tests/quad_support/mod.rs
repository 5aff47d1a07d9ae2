//! A QONNX network of 4-bit weights and activations, signed and not, behind an input of eight bits: padding,
//! stride 2, an output that is quantized.

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};

/// Quantizer; `bits` names their number.
fn quant([from, scale, bits]: [&str; 3], to: &str, signed: bool) -> OnnxNode {
    let inputs = [from, scale, "zero", bits];
    let mut node = OnnxNode::new("Quant", &format!("quant_{to}"), &inputs, &[to])
        .with("signed", OnnxAttribute::Int(signed.into()))
        .with("narrow", OnnxAttribute::Int(0))
        .with("rounding_mode", OnnxAttribute::String(b"ROUND".to_vec()));
    node.domain = "qonnx.custom_op.general".into();
    node
}

/// Quantized weights and a 3x3 convolution with them.
fn conv(name: &str, from: &str, stride: i64) -> [OnnxNode; 2] {
    let weights = format!("{name}_w");
    let quantized = format!("{name}_wq");
    let conv = OnnxNode::new("Conv", name, &[from, &quantized], &[&format!("{name}_y")])
        .with("pads", OnnxAttribute::Ints(vec![1; 4]))
        .with("strides", OnnxAttribute::Ints(vec![stride; 2]));
    [
        quant([&weights, "weight_scale", "four"], &quantized, true),
        conv,
    ]
}

fn weights(name: &str, [out, ins]: [usize; 2]) -> (String, OnnxTensor) {
    // quarters, -2 among them
    let values = (0..out * ins * 9).map(|i| ((i * 37 + 11) % 61 % 16) as f32 / 4.0 - 2.0);
    let tensor = OnnxTensor::new(vec![out, ins, 3, 3], TensorData::F32(values.collect()));
    (format!("{name}_w"), tensor)
}

/// The file.
pub fn model() -> Vec<u8> {
    let mut nodes = vec![quant(["x", "weight_scale", "eight"], "xq", true)];
    nodes.extend(conv("a", "xq", 1));
    nodes.push(OnnxNode::new("Relu", "a_relu", &["a_y"], &["a_r"]));
    nodes.push(quant(["a_r", "two", "four"], "aq", false));
    nodes.extend(conv("b", "aq", 1));
    nodes.push(quant(["b_y", "four", "four"], "bq", true));
    nodes.extend(conv("c", "bq", 2));
    nodes.push(OnnxNode::new("Relu", "c_relu", &["c_y"], &["c_r"]));
    nodes.push(quant(["c_r", "two", "four"], "cq", false));
    nodes.extend(conv("d", "cq", 1));
    nodes.push(quant(["d_y", "four", "four"], "y", true));
    let layers = [[9, 4], [7, 9], [6, 7], [5, 6]];
    let weights = ["a", "b", "c", "d"]
        .into_iter()
        .zip(layers)
        .map(|(n, s)| weights(n, s));
    let constants = [
        ("zero", 0.0),
        ("eight", 8.0),
        ("two", 2.0),
        ("four", 4.0),
        ("weight_scale", 0.25),
    ];
    let constants =
        constants.map(|(name, value)| (name.to_string(), OnnxTensor::scalar_f32(value)));
    let graph = OnnxGraph {
        name: "quads".into(),
        ir_version: 8,
        opsets: [(String::new(), 13)].into(),
        nodes,
        initializers: weights.chain(constants).collect(),
        inputs: vec![OnnxValue::fixed("x", OnnxType::F32, &[1, 4, 7, 9])],
        outputs: vec![OnnxValue::fixed("y", OnnxType::F32, &[1, 5, 4, 5])],
        ..OnnxGraph::default()
    };
    graph.to_bytes().expect("a plain graph")
}
