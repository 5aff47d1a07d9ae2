//! A network of integers in float32, as NEMO writes them: an affine batch norm, a scale and a shift
//! per layer, whose staircases of 255 steps need a constant at product scale in the lane.

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};

const IN: usize = 3;
const HIDDEN: usize = 6;
const OUT: usize = 4;

fn floats(shape: &[usize], values: impl Iterator<Item = i64>) -> OnnxTensor {
    let values = values.map(|v| v as f32).collect();
    OnnxTensor::new(shape.to_vec(), TensorData::F32(values))
}

/// Convolution, batch norm, and division of what it gives.
fn layer(name: &str, x: &str, y: &str) -> [OnnxNode; 6] {
    let n = |part: &str| format!("{name}.{part}");
    let op =
        |kind: &str, inputs: [&str; 2], to: &str| OnnxNode::new(kind, &n(kind), &inputs, &[to]);
    [
        op("Conv", [x, &n("w")], &n("c")),
        op("Mul", [&n("kappa"), &n("c")], &n("k")),
        op("Add", [&n("k"), &n("lambda")], &n("l")),
        op("Div", [&n("l"), &n("divisor")], &n("d")),
        OnnxNode::new("Floor", &n("floor"), &[&n("d")], &[&n("f")]),
        OnnxNode::new("Clip", &n("clip"), &[&n("f")], &[y])
            .with("min", OnnxAttribute::Float(0.0))
            .with("max", OnnxAttribute::Float(255.0)),
    ]
}

fn constants(name: &str, [out, ins]: [usize; 2]) -> [(String, OnnxTensor); 4] {
    let weights = (0..(out * ins) as i64).map(|i| (37 * i + 11) % 61 - 24);
    // sums stay below 2^24 after the batch norm, where float32 is exact
    let kappa = (0..out as i64).map(|c| 87 + 29 * c);
    let lambda = (0..out as i64).map(|c| 5_000 + 3_331 * c);
    [
        ("w", floats(&[out, ins, 1, 1], weights)),
        ("kappa", floats(&[1, out, 1, 1], kappa)),
        ("lambda", floats(&[1, out, 1, 1], lambda)),
        ("divisor", OnnxTensor::scalar_f32(4096.0)),
    ]
    .map(|(part, tensor)| (format!("{name}.{part}"), tensor))
}

/// The file.
pub fn model() -> Vec<u8> {
    let pixels = |channels: usize| [1, channels, 3, 5];
    let first = constants("first", [HIDDEN, IN]);
    let second = constants("second", [OUT, HIDDEN]);
    let graph = OnnxGraph {
        name: "staircases".into(),
        ir_version: 8,
        opsets: [(String::new(), 9)].into(),
        nodes: [layer("first", "x", "h"), layer("second", "h", "y")].concat(),
        initializers: first.into_iter().chain(second).collect(),
        inputs: vec![OnnxValue::fixed("x", OnnxType::F32, &pixels(IN))],
        outputs: vec![OnnxValue::fixed("y", OnnxType::F32, &pixels(OUT))],
        ..OnnxGraph::default()
    };
    graph.to_bytes().expect("a plain graph")
}
