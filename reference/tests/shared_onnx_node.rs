//! ONNX's own node tests through importer, lowering and reference model: a table of what passes,
//! what is not applicable (and why) and what fails.
//!
//! Quantized operators run at their specification's values: scales, zero points and weights become
//! constants, as in a model. Float operators run between DequantizeLinear and QuantizeLinear of
//! scale 1 where their values are small whole numbers, so that the result must be equal. Operators
//! that move values run on int8 codes of the values.

#[path = "onnx_node/case.rs"]
mod case;
#[path = "onnx_node/quantized.rs"]
mod quantized;
#[path = "onnx_node/wrapped.rs"]
mod wrapped;

use std::collections::BTreeMap;

use case::{Case, Outcome};

/// Passed and not applicable cases per operator; an importer that starts to refuse shows here.
const EXPECTED: &[(&str, usize, usize)] = &[
    ("Add", 0, 8),
    ("ArgMax", 0, 16),
    ("AveragePool", 2, 18),
    ("BatchNormalization", 0, 4),
    ("Clip", 5, 7),
    ("Concat", 12, 0),
    ("Conv", 6, 0),
    ("ConvInteger", 2, 0),
    ("ConvTranspose", 5, 6),
    ("DequantizeLinear", 6, 8),
    ("DynamicQuantizeLinear", 3, 0),
    ("Flatten", 0, 9),
    ("GRU", 0, 6),
    ("Gemm", 0, 11),
    ("GlobalAveragePool", 1, 1),
    ("GlobalMaxPool", 2, 0),
    ("HardSigmoid", 0, 3),
    ("HardSwish", 0, 1),
    ("Identity", 1, 0),
    ("LSTM", 0, 6),
    ("LeakyRelu", 0, 3),
    ("MatMul", 0, 7),
    ("MatMulInteger", 1, 0),
    ("MaxPool", 13, 6),
    ("Mul", 1, 8),
    ("PRelu", 0, 2),
    ("Pad", 1, 5),
    ("QLinearConv", 1, 0),
    ("QLinearMatMul", 4, 4),
    ("QuantizeLinear", 6, 7),
    ("RNN", 0, 6),
    ("ReduceMean", 0, 8),
    ("Relu", 0, 1),
    ("Reshape", 8, 2),
    ("Resize", 15, 24),
    ("Sigmoid", 0, 2),
    ("Slice", 6, 2),
    ("Softmax", 0, 7),
    ("Split", 14, 2),
    ("Squeeze", 2, 0),
    ("Sub", 1, 8),
    ("Tanh", 0, 2),
    ("Transpose", 7, 0),
    ("Unsqueeze", 7, 0),
];

fn judge(case: &Case) -> Outcome {
    if !case.is_complete() {
        return Outcome::not_applicable("a type that is not taken (float8, float16, float4, ...)");
    }
    match case.op.as_str() {
        "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" => {
            quantized::boundary(case)
        }
        "QLinearConv" | "ConvInteger" | "QLinearMatMul" | "MatMulInteger" => quantized::layer(case),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Slice" | "Split"
        | "Concat" | "Identity" | "Resize" | "Pad" | "MaxPool" | "GlobalMaxPool" => {
            wrapped::moved(case)
        }
        "Add" | "Sub" | "Mul" | "Relu" | "Clip" | "LeakyRelu" | "PRelu" | "Conv"
        | "ConvTranspose" | "Gemm" | "MatMul" | "AveragePool" | "GlobalAveragePool"
        | "ReduceMean" => wrapped::whole_numbers(case),
        "Sigmoid" | "Tanh" | "HardSigmoid" | "HardSwish" => Outcome::not_applicable(
            "a float32 function; onnxruntime's bits are compared in numeric",
        ),
        "Softmax" | "BatchNormalization" | "ArgMax" => {
            Outcome::not_applicable("no quantized form in an integer graph")
        }
        "LSTM" => Outcome::not_applicable("float32; the quantized form has FP16 gates and states"),
        "GRU" | "RNN" => Outcome::not_applicable("no importer for these recurrent operators"),
        other => panic!(
            "{}: operator {other} of the collection is not judged",
            case.name
        ),
    }
}

#[test]
#[ignore = "needs ../shared/models"]
fn every_node_test_passes_or_is_not_applicable_for_a_stated_reason() {
    let mut table: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let mut failures = Vec::new();
    println!("{:<24} {:<52} reason", "operator", "not applicable");
    for case in case::all() {
        let row = table.entry(case.op.clone()).or_default();
        match judge(&case) {
            Outcome::Passed => row[0] += 1,
            Outcome::NotApplicable(reason) => {
                println!("{:<24} {:<52} {reason}", case.op, case.name);
                row[1] += 1;
            }
            Outcome::Failed(what) => {
                row[2] += 1;
                failures.push(format!("{}: {what}", case.name));
            }
        }
    }
    println!("{:<24} passed  n/a  failed", "operator");
    for (op, [passed, other, failed]) in &table {
        println!("{op:<24} {passed:>6} {other:>4} {failed:>7}");
    }
    assert_eq!(failures, [""; 0]);
    let found: Vec<(&str, usize, usize)> = table
        .iter()
        .map(|(op, [passed, other, _])| (op.as_str(), *passed, *other))
        .collect();
    assert_eq!(found, EXPECTED);
}
