//! Small ONNX graphs through importer, lowering and interpreter, against values by hand.

use macforge_model::Imported;
use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};
use macforge_model::tflite::corrupt::corrupt;
use macforge_quant::{QGraph, QuantError, lower};
use macforge_reference::{Value, run};
use ndarray::{ArrayD, IxDyn};

fn ints(values: &[i64]) -> OnnxAttribute {
    OnnxAttribute::Ints(values.to_vec())
}

fn int8(shape: &[usize], values: Vec<i8>) -> OnnxTensor {
    OnnxTensor::new(shape.to_vec(), TensorData::I8(values))
}

/// A graph from int8 `x` to int8 `y` with scales of 1 and 0.5 and zero points 0 and 3 at hand.
fn graph(shape: &[usize], output: &[usize], nodes: Vec<OnnxNode>) -> OnnxGraph {
    let scalar = |v: i8| int8(&[], vec![v]);
    OnnxGraph {
        name: "m".into(),
        ir_version: 8,
        opsets: [(String::new(), 13), ("com.microsoft".into(), 1)].into(),
        nodes,
        initializers: [
            ("one".into(), OnnxTensor::scalar_f32(1.0)),
            ("half".into(), OnnxTensor::scalar_f32(0.5)),
            ("zero".into(), scalar(0)),
            ("three".into(), scalar(3)),
        ]
        .into(),
        inputs: vec![OnnxValue::fixed("x", OnnxType::I8, shape)],
        outputs: vec![OnnxValue::fixed("y", OnnxType::I8, output)],
        ..OnnxGraph::default()
    }
}

fn dequantize(from: &str, to: &str) -> OnnxNode {
    OnnxNode::new("DequantizeLinear", "", &[from, "one", "zero"], &[to])
}

fn quantize(from: &str, scale: &str, zero_point: &str) -> OnnxNode {
    OnnxNode::new("QuantizeLinear", "", &[from, scale, zero_point], &["y"])
}

/// Input and output in the graph's own layout.
fn output(graph: &QGraph, x: &[i8]) -> Vec<i8> {
    let shape = IxDyn(&graph.tensor(graph.inputs[0]).shape);
    let x = Value::I8(ArrayD::from_shape_vec(shape, x.to_vec()).unwrap());
    let run = run(graph, &[x]).unwrap();
    let y = run.outputs(graph)[0].as_i8().unwrap();
    y.iter().copied().collect()
}

fn kinds(graph: &QGraph) -> Vec<&str> {
    graph.nodes.iter().map(|n| n.op.kind()).collect()
}

/// An image `[1, 2, 1, 3]` is flattened and multiplied by weights that pick columns.
fn flattened(weights: Vec<i8>, columns: usize) -> OnnxGraph {
    let nodes = vec![
        dequantize("x", "f"),
        OnnxNode::new("Flatten", "", &["f"], &["flat"]),
        dequantize("w", "wf"),
        OnnxNode::new("Gemm", "", &["flat", "wf"], &["g"]).with("transB", OnnxAttribute::Int(1)),
        quantize("g", "one", "zero"),
    ];
    let mut graph = graph(&[1, 2, 1, 3], &[1, columns], nodes);
    graph
        .initializers
        .insert("w".into(), int8(&[columns, 6], weights));
    graph
}

#[test]
fn columns_of_a_flattened_image_follow_the_channels_behind_the_pixels() {
    let identity = (0..36).map(|i| i8::from(i / 6 == i % 6)).collect();
    let graph = lower(&flattened(identity, 6), None).unwrap();
    assert_eq!(kinds(&graph), ["FULLY_CONNECTED"]);
    // pixels 0, 1, 2 with channels a and b: ONNX has all of a first
    assert_eq!(
        output(&graph, &[1, 10, 2, 20, 3, 30]),
        [1, 2, 3, 10, 20, 30]
    );
}

#[test]
fn relu_between_layer_and_quantize_becomes_the_lower_bound() {
    let nodes = vec![
        dequantize("x", "f"),
        dequantize("w", "wf"),
        OnnxNode::new("Conv", "", &["f", "wf"], &["c"]),
        OnnxNode::new("Relu", "", &["c"], &["r"]),
        quantize("r", "half", "three"),
    ];
    let mut onnx = graph(&[1, 1, 1, 4], &[1, 1, 1, 4], nodes);
    onnx.initializers
        .insert("w".into(), int8(&[1, 1, 1, 1], vec![2]));
    let graph = lower(&onnx, None).unwrap();
    assert_eq!(kinds(&graph), ["CONV_2D"]);
    assert_eq!(output(&graph, &[-5, 0, 1, 40]), [3, 3, 7, 127]);
}

#[test]
fn element_wise_functions_become_one_table() {
    let nodes = vec![
        dequantize("x", "f"),
        OnnxNode::new("LeakyRelu", "", &["f"], &["l"]).with("alpha", OnnxAttribute::Float(0.25)),
        OnnxNode::new("Mul", "", &["l", "half"], &["m"]),
        quantize("m", "half", "three"),
    ];
    let graph = lower(&graph(&[1, 4], &[1, 4], nodes), None).unwrap();
    assert_eq!(kinds(&graph), ["TABLE"]);
    // -6 -> -1.5 -> -0.75 -> -1.5 steps, half to even -2
    assert_eq!(output(&graph, &[-6, -4, 0, 5]), [1, 2, 3, 8]);
}

#[test]
fn slice_and_pad_move_integers_and_a_change_of_scale_is_a_table() {
    let nodes = vec![
        dequantize("x", "f"),
        OnnxNode::new("Slice", "", &["f", "start", "end", "axes", "step"], &["s"]),
        OnnxNode::new("Pad", "", &["s", "pads"], &["p"]),
        quantize("p", "half", "three"),
    ];
    let mut onnx = graph(&[1, 1, 2, 4], &[1, 2, 1, 2], nodes);
    for (name, values) in [
        ("start", vec![0, 0]),
        ("end", vec![9, 9]),
        ("axes", vec![2, 3]),
        ("step", vec![2, 2]),
        ("pads", vec![0, 1, 0, 0, 0, 0, 0, 0]),
    ] {
        onnx.initializers
            .insert(name.into(), OnnxTensor::vector_i64(values));
    }
    let graph = lower(&onnx, None).unwrap();
    assert_eq!(kinds(&graph), ["SLICE", "PAD", "TABLE"]);
    // elements 0 and 2 of the first row, a zero channel in front of each
    assert_eq!(output(&graph, &[1, 2, 4, 5, 6, 7, 8, 9]), [3, 5, 3, 11]);
}

#[test]
fn a_change_of_layout_moves_nothing_until_somebody_needs_it() {
    let there = OnnxNode::new("Transpose", "", &["x"], &["t"]).with("perm", ints(&[0, 2, 3, 1]));
    let back = OnnxNode::new("Transpose", "", &["t"], &["y"]).with("perm", ints(&[0, 3, 1, 2]));
    let both = lower(
        &graph(&[1, 3, 2, 2], &[1, 3, 2, 2], vec![there.clone(), back]),
        None,
    );
    assert_eq!(kinds(&both.unwrap()), ["RESHAPE"], "an output of its own");
    let mut one = graph(&[1, 3, 2, 2], &[1, 2, 2, 3], vec![there]);
    one.nodes[0].outputs[0] = "y".into();
    let one = lower(&one, None).unwrap();
    assert!(one.tensor(one.inputs[0]).channels_first);
    assert!(!one.tensor(one.outputs[0]).channels_first);
}

#[test]
fn what_cannot_be_lowered_is_named_with_a_remedy() {
    let refusal = |nodes: Vec<OnnxNode>| -> QuantError {
        let mut onnx = graph(&[1, 2, 2, 2], &[1, 2, 2, 2], nodes);
        let weights = TensorData::F32(vec![1.0; 4]);
        let weights = OnnxTensor::new(vec![2, 2, 1, 1], weights);
        onnx.initializers.insert("w".into(), weights);
        lower(&onnx, None).unwrap_err()
    };
    let float_weights = refusal(vec![
        dequantize("x", "f"),
        OnnxNode::new("Conv", "conv", &["f", "w"], &["c"]),
        quantize("c", "one", "zero"),
    ]);
    let text = float_weights.to_string();
    assert!(
        text.contains("Conv #1 (conv)") && text.contains("macforge quantize"),
        "{text}"
    );
    let unknown = refusal(vec![
        OnnxNode::new("Einsum", "a", &["x"], &["e"]),
        OnnxNode::new("Loop", "b", &["x"], &["y"]),
    ]);
    let text = unknown.to_string();
    assert!(
        text.contains("#0 Einsum") && text.contains("#1 Loop"),
        "{text}"
    );
    let other_scale = refusal(vec![
        dequantize("x", "f"),
        OnnxNode::new("DequantizeLinear", "again", &["x", "half", "zero"], &["g"]),
        OnnxNode::new("Add", "", &["f", "g"], &["a"]),
        quantize("a", "one", "zero"),
    ]);
    assert!(
        other_scale
            .to_string()
            .contains("DequantizeLinear #1 (again)")
    );
}

#[test]
fn ten_thousand_corruptions_of_an_onnx_file_give_a_verified_graph_or_an_error() {
    let identity = (0..36).map(|i| i8::from(i / 6 == i % 6)).collect();
    let file = flattened(identity, 6).to_bytes().unwrap();
    let (mut good, mut bad) = (0, 0);
    for seed in 0..10_000 {
        match macforge_model::from_bytes("m", &corrupt(&file, seed)) {
            Ok(Imported::Onnx(graph)) if lower(&graph, None).is_ok() => good += 1,
            _ => bad += 1,
        }
    }
    assert!(good > 200 && bad > 3000, "{good} accepted, {bad} refused");
}
