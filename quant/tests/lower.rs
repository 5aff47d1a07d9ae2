//! Lowering follows TFLite's rules, and refuses what it cannot build exactly.

mod support;

use macforge_model::tflite::writer::{Fused, ModelWriter, Options, TensorSpec, element};
use macforge_model::{Model, tflite};
use macforge_numeric::{Clamp, RequantRule, Semantics};
use macforge_quant::{QGraph, QOp, QuantError, lower};
use support::{conv_options, every_operator, weights};

const FC: Options = Options::FullyConnected(Fused::None);

/// A writer with `x: [1, 4]` (tensor 0), ready for one fully connected layer.
fn vector_input(scale: f32, zero_point: i64) -> ModelWriter {
    let mut w = ModelWriter::new();
    w.int8("x", &[1, 4], scale, zero_point);
    w
}

/// Imports bytes that are known to be well formed.
fn import(bytes: &[u8]) -> Model {
    tflite::import("test", bytes).unwrap_or_else(|e| panic!("{e}"))
}

/// Lowers bytes that are known to be valid.
fn lowered(bytes: &[u8]) -> QGraph {
    lower(&import(bytes), None).unwrap_or_else(|e| panic!("{e}"))
}

/// The text of the error that lowering gives.
fn lower_error(bytes: &[u8]) -> String {
    lower(&import(bytes), None).unwrap_err().to_string()
}

#[test]
fn every_operator_lowers_to_a_stable_text() {
    insta::assert_snapshot!(lowered(&every_operator()));
}

fn multipliers(graph: &QGraph) -> Vec<(i32, i32)> {
    let requant = match &graph.nodes[0].op {
        QOp::Conv2d(c) => &c.requant,
        QOp::FullyConnected(f) => &f.requant,
        other => panic!("{other:?}"),
    };
    let parts = requant.iter().map(|r| match &r.rule {
        RequantRule::TfliteDouble { multiplier, shift } => (*multiplier, *shift),
        other => panic!("{other:?}"),
    });
    parts.collect()
}

/// Scales whose product differs between float32 and float64 in the 31-bit multiplier.
const X: f32 = 0.1;
const W: f32 = 0.3;
const Y: f32 = 0.7;

/// `round(m * 2^31)` for the mantissa `m` of the real multiplier `X * W / Y`, in exact arithmetic.
const MULTIPLIER_F64: i32 = 1_472_560_321;
/// The same where `X * W` is first rounded to float32.
const MULTIPLIER_F32: i32 = 1_472_560_299;

fn fully_connected(bias: bool) -> QGraph {
    let mut w = vector_input(X, 3);
    let k = w.weights("k", &[1, 4], &[W], &[1, 2, 3, 4]);
    let b = if bias {
        w.int32("b", &[0.03], &[7])
    } else {
        -1
    };
    let y = w.int8("y", &[1, 1], Y, 0);
    w.operator("FULLY_CONNECTED", &[0, k, b], &[y], FC);
    lowered(&w.finish(&[0], &[y]))
}

#[test]
fn fully_connected_multipliers_round_the_scale_product_as_tflite_does() {
    for bias in [true, false] {
        assert_eq!(multipliers(&fully_connected(bias)), [(MULTIPLIER_F32, -4)]);
    }
    assert_ne!(MULTIPLIER_F64, MULTIPLIER_F32);
}

#[test]
fn convolution_multipliers_are_float64_with_and_without_bias() {
    for bias in [true, false] {
        let mut w = ModelWriter::new();
        let x = w.int8("x", &[1, 2, 2, 1], X, 3);
        let k = w.weights("k", &[2, 1, 1, 1], &[W, W / 2.0], &[1, 2]);
        let b = if bias {
            w.int32("b", &[1.0], &[7, 8])
        } else {
            -1
        };
        let y = w.int8("y", &[1, 1, 1, 2], Y, 0);
        w.operator("CONV_2D", &[x, k, b], &[y], conv_options(Fused::None));
        let graph = lowered(&w.finish(&[x], &[y]));
        assert_eq!(
            multipliers(&graph),
            [(MULTIPLIER_F64, -4), (MULTIPLIER_F64, -5)]
        );
    }
}

/// Two input channels, depth multiplier 2, kernel 1x3.
#[test]
fn depthwise_weights_are_grouped_by_output_channel() {
    let mut w = ModelWriter::new();
    let x = w.int8("x", &[1, 1, 6, 2], X, 3);
    let by_tap: Vec<i8> = (0..12).collect();
    let scales = [W, W / 2.0, W / 4.0, W / 8.0];
    let k = w.weights_along(3, "k", &[1, 1, 3, 4], &scales, &by_tap);
    let y = w.int8("y", &[1, 1, 3, 4], Y, 0);
    let options = Options::DepthwiseConv2d {
        stride: [2, 2],
        dilation: [1, 1],
        same: true,
        fused: Fused::None,
    };
    w.operator("DEPTHWISE_CONV_2D", &[x, k], &[y], options);
    let graph = lowered(&w.finish(&[x], &[y]));
    let shifts: Vec<i32> = multipliers(&graph).iter().map(|m| m.1).collect();
    assert_eq!(shifts, [-4, -5, -6, -7]);
    let QOp::Conv2d(conv) = &graph.nodes[0].op else {
        panic!("{:?}", graph.nodes[0].op)
    };
    assert_eq!(
        (conv.groups, conv.in_channels, conv.out_channels),
        (2, 2, 4)
    );
    assert_eq!(conv.weights, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
}

#[test]
fn fused_activations_become_clamps() {
    for (fused, clamp, lower_is_activation) in [
        (Fused::None, Clamp::INT8, false),
        (Fused::Relu, Clamp { lo: 2, hi: 127 }, true),
        (Fused::Relu6, Clamp { lo: 2, hi: 62 }, true),
        (Fused::ReluN1To1, Clamp { lo: -8, hi: 12 }, true),
    ] {
        let mut w = vector_input(0.5, 0);
        let k = w.weights("k", &[1, 4], &[0.2], &[1, 2, 3, 4]);
        let y = w.int8("y", &[1, 1], 0.1, 2);
        w.operator(
            "FULLY_CONNECTED",
            &[0, k],
            &[y],
            Options::FullyConnected(fused),
        );
        let graph = lowered(&w.finish(&[0], &[y]));
        let QOp::FullyConnected(fc) = &graph.nodes[0].op else {
            panic!("{:?}", graph.nodes[0].op)
        };
        assert_eq!(
            (fc.requant[0].clamp, fc.lower_is_activation),
            (clamp, lower_is_activation)
        );
    }
}

/// The table of a one-operator graph.
fn table(name: &str, x: (f32, i64), y: (f32, i64)) -> [i8; 256] {
    let mut w = vector_input(x.0, x.1);
    let out = w.int8("y", &[1, 4], y.0, y.1);
    w.operator(name, &[0], &[out], Options::None);
    match &lowered(&w.finish(&[0], &[out])).nodes[0].op {
        QOp::Table(table) => **table,
        other => panic!("{other:?}"),
    }
}

#[test]
fn requantization_with_equal_scales_moves_the_zero_point_and_saturates() {
    let t = table("QUANTIZE", (0.5, 10), (0.5, -20));
    for q in -128..=127i32 {
        let wanted = (q - 30).clamp(-128, 127);
        assert_eq!(i32::from(t[usize::from(q as i8 as u8)]), wanted, "{q}");
    }
}

#[test]
fn relu_tables_rescale_and_clamp() {
    let t = table("RELU", (0.5, 10), (0.25, -100));
    let u = table("RELU6", (0.5, 10), (0.25, -100));
    for q in -128..=127i32 {
        let real = 0.5 * f64::from(q - 10);
        let index = usize::from(q as i8 as u8);
        // Doubling is exact, so the real-number rule decides every entry.
        let wanted = (real.max(0.0) / 0.25 - 100.0).min(127.0);
        assert_eq!(f64::from(t[index]), wanted, "{q}");
        assert_eq!(
            f64::from(u[index]),
            real.clamp(0.0, 6.0) / 0.25 - 100.0,
            "{q}"
        );
    }
}

#[test]
fn same_padding_puts_the_odd_row_last() {
    let graph = lowered(&every_operator());
    let QOp::Conv2d(conv) = &graph.nodes[1].op else {
        panic!()
    };
    // 9 rows, kernel 3, stride 2: 5 outputs reach 11 rows, 1 in front; 8 columns: 4 outputs reach
    // 9 columns, none in front.
    assert_eq!(conv.window.pad, [1, 0]);
}

#[test]
fn duplicate_and_empty_tensor_names_become_unique() {
    let mut w = ModelWriter::new();
    for name in ["t", "t", ""] {
        w.int8(name, &[1, 4], 0.5, 0);
    }
    w.operator("RELU", &[0], &[1], Options::None);
    w.operator("RELU", &[1], &[2], Options::None);
    let graph = lowered(&w.finish(&[0], &[2]));
    let names: Vec<&str> = graph.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["t", "t_1", "tensor_2"]);
    assert_eq!(
        (&*graph.nodes[0].name, &*graph.nodes[1].name),
        ("relu_0", "relu_1")
    );
}

#[test]
fn nodes_that_reach_no_output_are_removed() {
    let mut w = vector_input(0.5, 0);
    let y = w.int8("y", &[1, 4], 0.5, 0);
    let dead = w.int8("dead", &[1, 4], 0.5, 0);
    w.operator("RELU", &[0], &[dead], Options::None);
    w.operator("RELU6", &[0], &[y], Options::None);
    let graph = lowered(&w.finish(&[0], &[y]));
    assert_eq!(graph.nodes.len(), 1);
    assert_eq!(graph.nodes[0].name, "relu6_1");
    assert_eq!(graph.tensors.len(), 2);
    assert_eq!(graph.tensor(graph.outputs[0]).name, "y");
}

#[test]
fn unsupported_operators_are_listed_all_at_once() {
    let mut w = vector_input(0.5, 0);
    w.operator("GATHER", &[0], &[0], Options::None);
    w.operator("EXP", &[0], &[0], Options::None);
    let text = lower_error(&w.finish(&[0], &[0]));
    assert!(text.contains("node #0 GATHER (tensor `x`)"), "{text}");
    assert!(text.contains("node #1 EXP (tensor `x`)"), "{text}");
}

#[test]
fn parameters_that_cannot_be_built_exactly_are_refused_by_name() {
    let fc = |spec: TensorSpec, x_scale: f32| {
        let mut w = vector_input(x_scale, 0);
        let k = w.tensor(spec);
        let y = w.int8("y", &[1, 2], 0.5, 0);
        w.operator("FULLY_CONNECTED", &[0, k], &[y], FC);
        lower_error(&w.finish(&[0], &[y]))
    };
    let good = TensorSpec {
        name: "k".into(),
        shape: vec![2, 4],
        element_type: element::I8,
        scale: vec![0.1],
        zero_point: vec![0],
        data: vec![1; 8],
        ..Default::default()
    };
    let text = fc(
        TensorSpec {
            zero_point: vec![300],
            ..good.clone()
        },
        0.5,
    );
    assert!(
        text.contains("FULLY_CONNECTED #0 (y): weights `k` with zero point 300"),
        "{text}"
    );
    let by_input = TensorSpec {
        scale: vec![0.1; 4],
        zero_point: vec![0; 4],
        dimension: 1,
        ..good.clone()
    };
    let text = fc(by_input, 0.5);
    assert!(
        text.contains("4 scales along dimension 1; wanted 1 scale, or 2"),
        "{text}"
    );
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-40] {
        let text = fc(good.clone(), scale);
        assert!(text.contains("tensor `x`: scale"), "{scale}: {text}");
    }
    let text = fc(
        TensorSpec {
            scale: vec![-0.1],
            ..good.clone()
        },
        0.5,
    );
    assert!(text.contains("output channel 0"), "{text}");
    let text = fc(
        TensorSpec {
            scale: vec![],
            zero_point: vec![],
            ..good
        },
        0.5,
    );
    assert!(text.contains("without quantization"), "{text}");
}

#[test]
fn operators_on_raw_integers_demand_equal_parameters() {
    let mut w = vector_input(0.5, 0);
    let y = w.int8("y", &[4, 1], 0.5, 1);
    w.operator("RESHAPE", &[0], &[y], Options::None);
    let text = lower_error(&w.finish(&[0], &[y]));
    assert!(
        text.contains("wanted the same quantization on both"),
        "{text}"
    );
}

#[test]
fn batches_are_refused() {
    let mut w = ModelWriter::new();
    let x = w.int8("x", &[2, 4], 0.5, 0);
    let y = w.int8("y", &[2, 4], 0.5, 0);
    w.operator("RELU", &[x], &[y], Options::None);
    let text = lower_error(&w.finish(&[x], &[y]));
    assert!(text.contains("of shape [2, 4]; wanted batch 1"), "{text}");
}

#[test]
fn softmax_must_have_tflites_output_parameters() {
    let mut w = vector_input(0.5, 0);
    let y = w.int8("y", &[1, 4], 1.0 / 255.0, -128);
    w.operator("SOFTMAX", &[0], &[y], Options::Softmax(1.0));
    let text = lower_error(&w.finish(&[0], &[y]));
    assert!(
        text.contains("softmax_0") && text.contains("1/256"),
        "{text}"
    );
}

#[test]
fn accumulators_that_can_leave_int32_are_refused() {
    let mut w = vector_input(0.5, 0);
    let k = w.weights("k", &[1, 4], &[0.1], &weights(4));
    let b = w.int32("b", &[0.05], &[i32::MAX - 5]);
    let y = w.int8("y", &[1, 1], 0.5, 0);
    w.operator("FULLY_CONNECTED", &[0, k, b], &[y], FC);
    let text = lower_error(&w.finish(&[0], &[y]));
    assert!(
        text.contains("output channel 0 can accumulate") && text.contains("beyond int32"),
        "{text}"
    );
}

#[test]
fn float32_inside_the_graph_is_refused() {
    let mut w = vector_input(0.5, 0);
    let f = w.float("f", &[1, 4]);
    let y = w.int8("y", &[1, 4], 0.5, 0);
    w.operator("DEQUANTIZE", &[0], &[f], Options::None);
    w.operator("QUANTIZE", &[f], &[y], Options::None);
    let text = lower_error(&w.finish(&[0], &[y]));
    assert!(
        text.contains("dequantize_0") && text.contains("inside the graph"),
        "{text}"
    );
}

#[test]
fn semantics_can_be_chosen_where_the_operator_has_a_rule() {
    let mut w = vector_input(X, 3);
    let k = w.weights("k", &[1, 4], &[W], &[1, 2, 3, 4]);
    let y = w.int8("y", &[1, 1], Y, 0);
    w.operator("FULLY_CONNECTED", &[0, k], &[y], FC);
    let graph = lower(&import(&w.finish(&[0], &[y])), Some(Semantics::OrtX86)).unwrap();
    let QOp::FullyConnected(fc) = &graph.nodes[0].op else {
        panic!()
    };
    assert_eq!(fc.requant[0].rule, RequantRule::OrtX86 { scale: X * W / Y });

    let model = import(&every_operator());
    for semantics in [Semantics::TfliteSingle, Semantics::OrtX86] {
        let error = lower(&model, Some(semantics)).unwrap_err();
        assert!(matches!(error, QuantError::Semantics { .. }), "{error}");
        assert!(error.to_string().contains("ADD #3"), "{error}");
    }
}
