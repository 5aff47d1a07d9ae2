//! int16 values: QDQ graphs through importer and interpreter, against the rule written out.

use macforge_model::onnx::{OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData};
use macforge_quant::{DType, QGraph, lower};
use macforge_reference::{Value, run};
use ndarray::{ArrayD, IxDyn};

const X: f32 = 3e-4;
const W: f32 = 0.011;

/// Scale and zero point of a tensor, by name.
struct Quantization {
    scale: f32,
    zero_point: TensorData,
}

fn of(scale: f32, zero_point: TensorData) -> Quantization {
    Quantization { scale, zero_point }
}

fn int16() -> TensorData {
    TensorData::I16(vec![0])
}

/// `x` (dequantized) through one layer of weights `w` to `y`.
fn graph(
    layer: OnnxNode,
    [x, w, y]: [Quantization; 3],
    weights: OnnxTensor,
    shapes: [&[usize]; 2],
) -> OnnxGraph {
    let dtype = x.zero_point.dtype();
    let out = y.zero_point.dtype();
    let mut nodes = vec![
        OnnxNode::new("DequantizeLinear", "", &["x", "x_s", "x_z"], &["xf"]),
        OnnxNode::new("DequantizeLinear", "", &["w", "w_s", "w_z"], &["wf"]),
    ];
    nodes.push(layer);
    nodes.push(OnnxNode::new(
        "QuantizeLinear",
        "",
        &["yf", "y_s", "y_z"],
        &["y"],
    ));
    let mut graph = OnnxGraph {
        name: "m".into(),
        ir_version: 10,
        opsets: [(String::new(), 21)].into(),
        nodes,
        initializers: [("w".to_string(), weights)].into(),
        inputs: vec![OnnxValue::fixed("x", dtype, shapes[0])],
        outputs: vec![OnnxValue::fixed("y", out, shapes[1])],
        ..OnnxGraph::default()
    };
    for (name, q) in [("x", x), ("w", w), ("y", y)] {
        let constants = &mut graph.initializers;
        constants.insert(format!("{name}_s"), OnnxTensor::scalar_f32(q.scale));
        constants.insert(format!("{name}_z"), OnnxTensor::new(vec![], q.zero_point));
    }
    graph
}

/// A fixed sequence over all of int16.
fn values(count: usize) -> Vec<i16> {
    (0..count)
        .map(|i| (i * 25_013 + 77) as u16 as i16)
        .collect()
}

fn int16_value(graph: &QGraph, values: Vec<i16>) -> Value {
    let shape = IxDyn(&graph.tensor(graph.inputs[0]).shape);
    Value::I16(ArrayD::from_shape_vec(shape, values).unwrap())
}

/// TFLite's rule for 64-bit sums, from its source.
fn rescaled(acc: i64, real: f64) -> i64 {
    let exponent = real.log2().floor() as i32 + 1;
    let multiplier = (real / 2f64.powi(exponent) * 2f64.powi(31)).round() as i64;
    let reduced = if multiplier < 0x7fff_0000 {
        (multiplier + (1 << 15)) >> 16
    } else {
        0x7fff
    };
    let total = 15 - exponent;
    (acc * reduced + (1 << (total - 1))) >> total
}

#[test]
fn an_int16_convolution_sums_in_64_bits_and_rounds_once() {
    let (h, w, c, oc) = (3, 4, 3, 2);
    let weights: Vec<i8> = (0..oc * c * 9).map(|i| (i * 53 + 9) as u8 as i8).collect();
    let layer = OnnxNode::new("Conv", "", &["xf", "wf"], &["yf"]).with(
        "pads",
        macforge_model::onnx::OnnxAttribute::Ints(vec![1; 4]),
    );
    let kernel = OnnxTensor::new(vec![oc, c, 3, 3], TensorData::I8(weights.clone()));
    for (y_scale, zero_point, limits) in [
        (1.2e-3, int16(), -32_768..=32_767),
        (0.28, TensorData::I8(vec![-7]), -128..=127),
    ] {
        let offset = if limits == (-128..=127) { -7 } else { 0 };
        let quantization = [
            of(X, int16()),
            of(W, TensorData::I8(vec![0])),
            of(y_scale, zero_point),
        ];
        let onnx = graph(
            layer.clone(),
            quantization,
            kernel.clone(),
            [&[1, c, h, w], &[1, oc, h, w]],
        );
        let graph = lower(&onnx, None).unwrap();
        // channels lie behind the pixels
        let x = values(h * w * c);
        let result = run(&graph, &[int16_value(&graph, x.clone())]).unwrap();
        let found: Vec<i64> = match result.outputs(&graph)[0] {
            Value::I16(y) => y.iter().map(|&q| q.into()).collect(),
            Value::I8(y) => y.iter().map(|&q| q.into()).collect(),
            other => panic!("{other:?}"),
        };
        let real = f64::from(X) * f64::from(W) / f64::from(y_scale);
        let mut wanted = Vec::new();
        for (at, o) in (0..h * w).flat_map(|at| (0..oc).map(move |o| (at, o))) {
            let (oy, ox) = (at / w, at % w);
            let mut acc = 0i64;
            for (tap, ch) in (0..9).flat_map(|tap| (0..c).map(move |ch| (tap, ch))) {
                let (y, x_at) = (oy + tap / 3, ox + tap % 3);
                if (1..=h).contains(&y) && (1..=w).contains(&x_at) {
                    let q = x[((y - 1) * w + x_at - 1) * c + ch];
                    acc += i64::from(q) * i64::from(weights[(o * c + ch) * 9 + tap]);
                }
            }
            wanted.push((rescaled(acc, real) + offset).clamp(*limits.start(), *limits.end()));
        }
        assert_eq!(found, wanted);
        let outside = |v: &&i64| *v == limits.start() || *v == limits.end();
        let saturated = wanted.iter().filter(outside).count();
        assert!(saturated > 0 && saturated < wanted.len() / 2, "{saturated}");
    }
}

#[test]
fn int16_weights_multiply_int8_and_int16_values() {
    let weights = values(5 * 4);
    let matrix = OnnxTensor::new(vec![5, 4], TensorData::I16(weights.clone()));
    let layer = OnnxNode::new("MatMul", "", &["xf", "wf"], &["yf"]);
    let quantization = [of(X, int16()), of(1e-4, int16()), of(0.02, int16())];
    let onnx = graph(layer, quantization, matrix, [&[1, 5], &[1, 4]]);
    let graph = lower(&onnx, None).unwrap();
    let x = vec![32_767, -32_768, 5, -20_000, 12_345];
    let result = run(&graph, &[int16_value(&graph, x.clone())]).unwrap();
    let Value::I16(found) = result.outputs(&graph)[0] else {
        panic!("not int16")
    };
    let real = f64::from(X) * f64::from(1e-4f32) / f64::from(0.02f32);
    for (n, &found) in found.iter().enumerate() {
        let products = (0..5).map(|k| i64::from(x[k]) * i64::from(weights[k * 4 + n]));
        assert_eq!(i64::from(found), rescaled(products.sum(), real));
    }
}

#[test]
fn values_change_between_8_and_16_bits() {
    let narrow = ["x", "a_s", "a_z"];
    let nodes = vec![
        OnnxNode::new("DequantizeLinear", "", &narrow, &["f"]),
        OnnxNode::new("QuantizeLinear", "", &["f", "b_s", "b_z"], &["b"]),
        OnnxNode::new("DequantizeLinear", "", &["b", "b_s", "b_z"], &["bf"]),
        OnnxNode::new("QuantizeLinear", "", &["bf", "a_s", "a_z"], &["y"]),
    ];
    let onnx = OnnxGraph {
        name: "m".into(),
        ir_version: 10,
        opsets: [(String::new(), 21)].into(),
        nodes,
        initializers: [
            ("a_s".into(), OnnxTensor::scalar_f32(0.5)),
            (
                "a_z".into(),
                OnnxTensor::new(vec![], TensorData::I8(vec![-3])),
            ),
            ("b_s".into(), OnnxTensor::scalar_f32(0.003)),
            ("b_z".into(), OnnxTensor::new(vec![], int16())),
        ]
        .into(),
        inputs: vec![OnnxValue::fixed("x", OnnxType::I8, &[1, 256])],
        outputs: vec![OnnxValue::fixed("y", OnnxType::I8, &[1, 256])],
        ..OnnxGraph::default()
    };
    let graph = lower(&onnx, None).unwrap();
    let all: Vec<i8> = (-128..=127).collect();
    let shape = IxDyn(&graph.tensor(graph.inputs[0]).shape);
    let x = Value::I8(ArrayD::from_shape_vec(shape, all.clone()).unwrap());
    let result = run(&graph, &[x]).unwrap();
    let wide = graph
        .tensors
        .iter()
        .position(|t| t.dtype == DType::I16)
        .unwrap();
    let Some(Value::I16(wide)) = &result.tensors[wide] else {
        panic!("not int16")
    };
    let (a, b) = (f64::from(0.5f32), f64::from(0.003f32));
    for (&q, &wide) in all.iter().zip(wide) {
        let wanted = rescaled(64 * (i64::from(q) + 3), a / 64.0 / b);
        assert_eq!(i64::from(wide), wanted.clamp(-32_768, 32_767));
    }
    let back = result.outputs(&graph)[0].as_i8().unwrap();
    assert!(all.iter().zip(back).all(|(a, b)| a == b));
}

#[test]
fn operators_without_a_rule_for_int16_are_refused_by_name() {
    let layer =
        |kind: &str, name: &str, inputs: &[&str]| OnnxNode::new(kind, name, inputs, &["yf"]);
    let refused = |layer: OnnxNode, zero_point: TensorData, shape: &[usize]| {
        let quantization = [
            of(X, zero_point),
            of(W, TensorData::I8(vec![0])),
            of(X, int16()),
        ];
        let matrix = OnnxTensor::new(vec![4, 4], TensorData::I8(vec![1; 16]));
        let onnx = graph(layer, quantization, matrix, [shape, shape]);
        lower(&onnx, None).unwrap_err().to_string()
    };
    let error = refused(
        layer("GlobalMaxPool", "pool_1", &["xf"]),
        int16(),
        &[1, 4, 1],
    );
    assert!(error.contains("pool_1"), "{error}");
    assert!(error.contains("int16"), "{error}");
    let error = refused(layer("Add", "sum_1", &["xf", "xf"]), int16(), &[1, 4]);
    assert!(error.contains("sum_1"), "{error}");
    let product = layer("MatMul", "product_1", &["xf", "wf"]);
    let error = refused(product, TensorData::I16(vec![3]), &[1, 4]);
    assert!(
        error.contains("zero point 3") && error.contains("symmetric"),
        "{error}"
    );
}
