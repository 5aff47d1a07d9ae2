//! ONNX's own node tests through importer, lowering and reference model: a table of what passes,
//! what is not applicable (and why) and what fails.

#[allow(dead_code)]
mod conformance;

use std::collections::BTreeMap;

use conformance::{Outcome, onnx_node};

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

#[test]
#[ignore = "needs ../shared/models"]
fn every_node_test_passes_or_is_not_applicable_for_a_stated_reason() {
    let mut table: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let mut failures = Vec::new();
    println!("{:<24} {:<52} reason", "operator", "not applicable");
    for case in onnx_node::judged() {
        let row = table.entry(case.op.clone()).or_default();
        match case.outcome {
            Outcome::Passed(_) => row[0] += 1,
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
