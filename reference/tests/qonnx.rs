//! Small QONNX, FINN and integer-only graphs against a plain evaluation in float32.
//!
//! Scales are powers of two, so that sums of products are exact in float32 in any order and the
//! two sides can be compared in every bit.

use std::collections::BTreeMap;

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};
use macforge_quant::{QGraph, QOp, lower};
use macforge_reference::{Value, run};
use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;

fn floats(shape: &[usize], values: Vec<f32>) -> OnnxTensor {
    OnnxTensor::new(shape.to_vec(), TensorData::F32(values))
}

fn quant(name: &str, inputs: &[&str], output: &str, signed: bool) -> OnnxNode {
    let mut node = OnnxNode::new("Quant", name, inputs, &[output])
        .with("signed", OnnxAttribute::Int(signed.into()))
        .with("narrow", OnnxAttribute::Int(0))
        .with("rounding_mode", OnnxAttribute::String(b"ROUND".to_vec()));
    node.domain = "qonnx.custom_op.general".into();
    node
}

fn graph(
    nodes: Vec<OnnxNode>,
    constants: Vec<(&str, OnnxTensor)>,
    input: &[usize],
    output: &[usize],
) -> OnnxGraph {
    OnnxGraph {
        name: "small".into(),
        opsets: BTreeMap::from([(String::new(), 13)]),
        nodes,
        initializers: constants
            .into_iter()
            .map(|(n, t)| (n.to_string(), t))
            .collect(),
        inputs: vec![OnnxValue::fixed("x", OnnxType::F32, input)],
        outputs: vec![OnnxValue::fixed("y", OnnxType::F32, output)],
        ..OnnxGraph::default()
    }
}

/// The one output for float inputs in the order of the graph's tensor.
fn evaluate(graph: &QGraph, x: &[f32]) -> Vec<f32> {
    let shape = IxDyn(&graph.tensor(graph.inputs[0]).shape);
    let x = ArrayD::from_shape_vec(shape, x.to_vec()).unwrap();
    let run = run(graph, &[Value::F32(x)]).unwrap();
    run.outputs(graph)[0]
        .as_f32()
        .unwrap()
        .iter()
        .copied()
        .collect()
}

fn quantize(x: f32, scale: f32, lo: f32, hi: f32) -> f32 {
    (x / scale).round_ties_even().clamp(lo, hi) * scale
}

/// A two-layer network: Quant, MatMul, batch norm, Relu, Quant, MatMul, affine output.
struct Network {
    weights: Vec<f32>,
    norm: [Vec<f32>; 4],
    last: Vec<f32>,
}

const IN: usize = 5;
const HIDDEN: usize = 4;
const OUT: usize = 3;

impl Network {
    fn onnx(&self) -> OnnxGraph {
        let scalar = OnnxTensor::scalar_f32;
        let norm = |i: usize| floats(&[HIDDEN], self.norm[i].clone());
        let nodes = vec![
            quant("qx", &["x", "sx", "zero", "eight"], "xq", true),
            quant("qw", &["w", "sw", "zero", "four"], "wq", true),
            OnnxNode::new("MatMul", "m", &["xq", "wq"], &["h"]),
            OnnxNode::new(
                "BatchNormalization",
                "bn",
                &["h", "g", "b", "mu", "var"],
                &["n"],
            ),
            OnnxNode::new("Relu", "r", &["n"], &["a"]),
            quant("qa", &["a", "sa", "zero", "four"], "aq", false),
            quant("qv", &["v", "sw", "zero", "four"], "vq", true),
            OnnxNode::new("MatMul", "m2", &["aq", "vq"], &["o"]),
            OnnxNode::new("Mul", "s", &["o", "two"], &["p"]),
            OnnxNode::new("Add", "t", &["p", "half"], &["y"]),
        ];
        let constants = vec![
            ("w", floats(&[IN, HIDDEN], self.weights.clone())),
            ("v", floats(&[HIDDEN, OUT], self.last.clone())),
            ("sx", scalar(0.0625)),
            ("sw", scalar(0.25)),
            ("sa", scalar(0.5)),
            ("zero", scalar(0.0)),
            ("four", scalar(4.0)),
            ("eight", scalar(8.0)),
            ("two", scalar(2.5)),
            ("half", scalar(-0.375)),
            ("g", norm(0)),
            ("b", norm(1)),
            ("mu", norm(2)),
            ("var", norm(3)),
        ];
        graph(nodes, constants, &[1, IN], &[1, OUT])
    }

    fn float(&self, x: &[f32]) -> Vec<f32> {
        let x: Vec<f32> = x
            .iter()
            .map(|&v| quantize(v, 0.0625, -128.0, 127.0))
            .collect();
        let weight = |v: &f32| quantize(*v, 0.25, -8.0, 7.0);
        let product = |x: &[f32], w: &[f32], columns: usize| -> Vec<f32> {
            let column = |c: usize| {
                x.iter()
                    .enumerate()
                    .map(|(r, x)| x * weight(&w[r * columns + c]))
                    .sum()
            };
            (0..columns).map(column).collect()
        };
        let hidden = product(&x, &self.weights, HIDDEN);
        let hidden = hidden.into_iter().enumerate().map(|(c, h)| {
            let scale = self.norm[0][c] / (self.norm[3][c] + 1e-5).sqrt();
            let n = h * scale + (self.norm[1][c] - self.norm[2][c] * scale);
            quantize(n.max(0.0), 0.5, 0.0, 15.0)
        });
        let hidden: Vec<f32> = hidden.collect();
        let out = product(&hidden, &self.last, OUT);
        out.into_iter().map(|o| o * 2.5 + -0.375).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Batch norms of either sign: falling ones negate the channel's weights.
    #[test]
    fn a_quantized_network_equals_its_float_evaluation_in_every_bit(
        weights in proptest::collection::vec(-2f32..2.0, IN * HIDDEN),
        last in proptest::collection::vec(-2f32..2.0, HIDDEN * OUT),
        gamma in proptest::collection::vec(-2f32..2.0, HIDDEN),
        beta in proptest::collection::vec(-2f32..2.0, HIDDEN),
        mean in proptest::collection::vec(-3f32..3.0, HIDDEN),
        variance in proptest::collection::vec(0.1f32..4.0, HIDDEN),
        samples in proptest::collection::vec(proptest::collection::vec(-9f32..9.0, IN), 16),
    ) {
        let network = Network { weights, last, norm: [gamma, beta, mean, variance] };
        let graph = lower(&network.onnx(), None).unwrap();
        for x in &samples {
            let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            prop_assert_eq!(bits(evaluate(&graph, x)), bits(network.float(x)));
        }
    }
}

fn network() -> Network {
    Network {
        weights: (0..IN * HIDDEN)
            .map(|i| (i % 7) as f32 * 0.5 - 1.5)
            .collect(),
        last: vec![0.5; HIDDEN * OUT],
        norm: [
            vec![1.0; HIDDEN],
            vec![0.0; HIDDEN],
            vec![0.0; HIDDEN],
            vec![1.0; HIDDEN],
        ],
    }
}

#[test]
fn the_graph_is_divided_between_host_and_hardware() {
    let parts = lower(&network().onnx(), None).unwrap().parts();
    let kinds = |g: Option<&QGraph>| -> Vec<&str> {
        g.map_or(Vec::new(), |g| {
            g.nodes.iter().map(|n| n.op.kind()).collect()
        })
    };
    assert_eq!(kinds(parts.head.as_ref()), ["HOST_QUANTIZE"]);
    assert_eq!(kinds(Some(&parts.core))[0], "FULLY_CONNECTED");
    assert!(kinds(parts.tail.as_ref()).ends_with(&["HOST_STEPS"]));
    assert!(
        !parts
            .core
            .nodes
            .iter()
            .any(|n| matches!(n.op, QOp::Host(_)))
    );
}

#[test]
fn what_has_no_exact_lowering_is_refused_with_its_node() {
    let refusal = |change: &dyn Fn(&mut OnnxGraph)| {
        let mut graph = network().onnx();
        change(&mut graph);
        lower(&graph, None).unwrap_err().to_string()
    };
    let nine = refusal(&|g| {
        g.initializers
            .insert("eight".into(), OnnxTensor::scalar_f32(9.0));
    });
    assert!(nine.contains("qx") && nine.contains("9 bits"), "{nine}");
    let scale = refusal(&|g| {
        g.initializers
            .insert("sa".into(), OnnxTensor::scalar_f32(-1.0));
    });
    assert!(
        scale.contains("qa") && scale.contains("scale -1"),
        "{scale}"
    );
    let unknown = refusal(&|g| g.nodes[4].op_type = "Tan".into());
    assert!(unknown.contains("Tan"), "{unknown}");
}

/// FINN's thresholds: one row per channel, and a scale and bias of the count.
#[test]
fn multi_thresholds_count_per_channel() {
    let mut node = OnnxNode::new("MultiThreshold", "t", &["h", "at"], &["y"])
        .with("out_scale", OnnxAttribute::Float(2.0))
        .with("out_bias", OnnxAttribute::Float(-3.0));
    node.domain = "finn.custom_op.general".into();
    let nodes = vec![
        quant("qx", &["x", "one", "zero", "four"], "xq", true),
        OnnxNode::new("MatMul", "m", &["xq", "w"], &["h"]),
        node,
    ];
    let constants = vec![
        ("w", floats(&[2, 2], vec![1.0, -1.0, 1.0, 1.0])),
        ("at", floats(&[2, 3], vec![-3.0, 0.0, 4.0, -1.0, -1.0, 2.5])),
        ("one", OnnxTensor::scalar_f32(1.0)),
        ("zero", OnnxTensor::scalar_f32(0.0)),
        ("four", OnnxTensor::scalar_f32(4.0)),
    ];
    let graph = lower(&graph(nodes, constants, &[1, 2], &[1, 2]), None).unwrap();
    for (a, b) in (-8..8).flat_map(|a| (-8..8).map(move |b| (a as f32, b as f32))) {
        let count =
            |h: f32, at: [f32; 3]| 2.0 * at.iter().filter(|&&t| h >= t).count() as f32 - 3.0;
        let wanted = [
            count(a + b, [-3.0, 0.0, 4.0]),
            count(b - a, [-1.0, -1.0, 2.5]),
        ];
        assert_eq!(evaluate(&graph, &[a, b]), wanted, "{a} {b}");
    }
}
