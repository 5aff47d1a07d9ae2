//! ADD, TABLE, RESHAPE, SOFTMAX, QUANTIZE and DEQUANTIZE.

mod common;

use common::{eval, eval_error, f32s, float32, graph, i8s, int8};
use macforge_numeric::table::table;
use macforge_numeric::{AffineParams, BinaryRule, Clamp, SoftmaxRule};
use macforge_quant::{DType, QOp};
use macforge_reference::{ReferenceError, Value, run};

#[test]
fn add_of_equal_scales_adds_the_integers_and_counts_saturations() {
    let p = AffineParams {
        scale: 0.5,
        zero_point: 0,
    };
    let tensors = [int8("a", &[2, 2], 0), int8("b", &[2, 2], 0)];
    let x = [
        i8s(&[2, 2], &[1, 100, -100, -128]),
        i8s(&[2, 2], &[2, 27, -29, 127]),
    ];
    for (lower_is_activation, saturations) in [(false, 1), (true, 0)] {
        let rule = BinaryRule::tflite_add(p, p, p).unwrap();
        let rule = rule.clamped(Clamp::INT8, lower_is_activation);
        let graph = graph(QOp::Binary(rule), &tensors, int8("y", &[2, 2], 0));
        assert_eq!(eval(&graph, &x), (vec![3, 127, -128, -1], saturations));
    }
}

#[test]
fn add_takes_its_inputs_in_order() {
    let a = AffineParams {
        scale: 1.0,
        zero_point: 0,
    };
    let b = AffineParams {
        scale: 0.25,
        zero_point: 10,
    };
    let rule = BinaryRule::tflite_add(a, b, a).unwrap();
    let graph = graph(
        QOp::Binary(rule),
        &[int8("a", &[1], 0), int8("b", &[1], 10)],
        int8("y", &[1], 0),
    );
    // 8 + (30 - 10) / 4
    assert_eq!(eval(&graph, &[i8s(&[1], &[8]), i8s(&[1], &[30])]).0, [13]);
}

#[test]
fn operands_broadcast_as_in_numpy() {
    let p = AffineParams {
        scale: 0.5,
        zero_point: 0,
    };
    let rule = BinaryRule::tflite_add(p, p, p).unwrap();
    let tensors = [int8("a", &[2, 1, 3], 0), int8("b", &[2, 1], 0)];
    let graph = graph(QOp::Binary(rule), &tensors, int8("y", &[2, 2, 3], 0));
    graph.verify().unwrap();
    let a = i8s(&[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
    let b = i8s(&[2, 1], &[10, 20]);
    let wanted = [11, 12, 13, 21, 22, 23, 14, 15, 16, 24, 25, 26];
    assert_eq!(eval(&graph, &[a, b]).0, wanted);
}

#[test]
fn operands_that_do_not_broadcast_are_refused() {
    let p = AffineParams {
        scale: 0.5,
        zero_point: 0,
    };
    let rule = BinaryRule::tflite_add(p, p, p).unwrap();
    let tensors = [int8("a", &[2, 3], 0), int8("b", &[2], 0)];
    let graph = graph(QOp::Binary(rule), &tensors, int8("y", &[2, 3], 0));
    let error = graph.verify().unwrap_err().to_string();
    assert!(
        error.contains("[2, 3] and [2] do not give [2, 3]"),
        "{error}"
    );
}

#[test]
fn a_table_is_applied_to_every_element() {
    let op = QOp::Table(table(|q| q.saturating_neg()));
    let graph = graph(op, &[int8("x", &[3], 0)], int8("y", &[3], 0));
    assert_eq!(eval(&graph, &[i8s(&[3], &[-128, 0, 5])]).0, [127, 0, -5]);
}

#[test]
fn reshape_keeps_row_major_order() {
    let elements: Vec<i8> = (0..12).collect();
    let graph = graph(
        QOp::Reshape,
        &[int8("x", &[2, 3, 2], 0)],
        int8("y", &[12], 0),
    );
    let run = run(&graph, &[i8s(&[2, 3, 2], &elements)]).unwrap();
    assert_eq!(run.by_name(&graph, "y"), Some(&i8s(&[12], &elements)));
}

#[test]
fn reshape_to_another_number_of_elements_is_an_error() {
    let graph = graph(QOp::Reshape, &[int8("x", &[4], 0)], int8("y", &[3], 0));
    let error = eval_error(&graph, &[i8s(&[4], &[0; 4])]);
    assert_eq!(
        error.to_string(),
        "node `node_0`: number of output elements: found 4, wanted 3"
    );
}

#[test]
fn softmax_works_on_each_row_of_the_last_dimension() {
    let rule = SoftmaxRule::tflite(0.5, 1.0).unwrap();
    let graph = graph(
        QOp::Softmax(rule),
        &[int8("x", &[2, 3], 0)],
        int8("y", &[2, 3], -128),
    );
    let (found, _) = eval(&graph, &[i8s(&[2, 3], &[5, 5, -128, 100, 0, -100])]);
    assert_eq!(found, [0, 0, -128, 127, -128, -128]);
}

#[test]
fn quantize_and_dequantize_use_their_tensors_parameters() {
    let quantize = graph(QOp::Quantize, &[float32("x", &[5])], int8("y", &[5], -3));
    let x = f32s(&[5], &[0.0, 0.25, -0.25, 1e9, -1e9]);
    assert_eq!(eval(&quantize, &[x]), (vec![-3, -2, -4, 127, -128], 2));

    let dequantize = graph(QOp::Dequantize, &[int8("x", &[3], -3)], float32("y", &[3]));
    let run = run(&dequantize, &[i8s(&[3], &[-3, -128, 127])]).unwrap();
    assert_eq!(run.outputs(&dequantize), [&f32s(&[3], &[0.0, -62.5, 65.0])]);
    assert_eq!(run.saturations, [0]);
}

#[test]
fn an_operator_on_the_wrong_element_type_is_an_error() {
    let float = graph(QOp::Quantize, &[int8("x", &[1], 0)], int8("y", &[1], 0));
    let int = graph(QOp::Reshape, &[float32("x", &[1])], int8("y", &[1], 0));
    let wrong = |found, wanted| ReferenceError::ElementType {
        tensor: "x".to_owned(),
        found,
        wanted,
    };
    assert_eq!(
        eval_error(&float, &[i8s(&[1], &[0])]),
        wrong(DType::I8, DType::F32)
    );
    assert_eq!(
        eval_error(&int, &[f32s(&[1], &[0.0])]),
        wrong(DType::F32, DType::I8)
    );
    let untyped = graph(
        QOp::Dequantize,
        &[macforge_quant::QTensor {
            quant: None,
            ..int8("x", &[1], 0)
        }],
        float32("y", &[1]),
    );
    assert_eq!(
        eval_error(&untyped, &[i8s(&[1], &[0])]).to_string(),
        "tensor `x` has no scale and zero point"
    );
}

#[test]
fn a_result_of_the_wrong_element_type_is_an_error() {
    let graph = graph(QOp::Dequantize, &[int8("x", &[1], 0)], int8("y", &[1], 0));
    let error = eval_error(&graph, &[Value::I8(ndarray::arr1(&[1i8]).into_dyn())]);
    assert_eq!(
        error.to_string(),
        "tensor `y`: found element type F32, wanted I8"
    );
}
