//! Conformance suites through the reference model and through RTL: a table of what passes, what is
//! not applicable (and why) and what fails. TFLite's operators need nothing but this repository.

#[allow(dead_code)]
#[path = "../../reference/tests/conformance/mod.rs"]
mod conformance;
mod conformance_support;
#[allow(dead_code)]
#[path = "../src/cosim/mod.rs"]
mod cosim;
#[allow(dead_code)]
mod graphs_support;
#[allow(dead_code)]
mod layers_support;
#[allow(dead_code)]
#[path = "../src/project.rs"]
mod project;

use conformance::{Exact, Judged, Outcome, cmsis_nn, onnx_node, tflite};
use conformance_support::{Rtl, kind_of, run};
use std::collections::BTreeMap;

/// Cases that pass in RTL.
const TFLITE: &[(&str, usize)] = &[
    ("ADD", 18),
    ("AVERAGE_POOL_2D", 12),
    ("BATCH_MATMUL", 18),
    ("CONCATENATION", 6),
    ("CONV_2D", 9),
    ("DEPTHWISE_CONV_2D", 6),
    ("FULLY_CONNECTED", 9),
    ("HARD_SWISH", 6),
    ("LEAKY_RELU", 12),
    ("LOGISTIC", 6),
    ("MAXIMUM", 6),
    ("MAX_POOL_2D", 12),
    ("MEAN", 24),
    ("MINIMUM", 6),
    ("MUL", 18),
    ("PAD", 6),
    ("PADV2", 6),
    ("PRELU", 6),
    ("QUANTIZE", 12),
    ("RELU", 6),
    ("RELU6", 6),
    ("RELU_N1_TO_1", 6),
    ("RESIZE_NEAREST_NEIGHBOR", 17),
    ("SLICE", 6),
    ("STRIDED_SLICE", 12),
    ("SUB", 18),
    ("TANH", 6),
    ("TRANSPOSE", 6),
    ("TRANSPOSE_CONV", 6),
];

/// Cases that pass in RTL.
const CMSIS_NN: &[(&str, usize)] = &[
    ("add", 1),
    ("avgpooling", 4),
    ("batch_matmul", 3),
    ("convolve", 36),
    ("depthwise", 15),
    ("fully_connected", 7),
    ("lstm", 1),
    ("maximum", 5),
    ("maxpooling", 5),
    ("minimum", 5),
    ("mul", 1),
    ("pad", 2),
    ("transpose", 6),
    ("transpose_conv", 6),
];

/// Cases that pass in RTL.
const ONNX: &[(&str, usize)] = &[
    ("AveragePool", 2),
    ("Clip", 5),
    ("Concat", 12),
    ("Conv", 6),
    ("ConvInteger", 2),
    ("ConvTranspose", 5),
    ("DequantizeLinear", 1),
    ("GlobalAveragePool", 1),
    ("GlobalMaxPool", 2),
    ("Identity", 1),
    ("MatMulInteger", 1),
    ("MaxPool", 13),
    ("Mul", 1),
    ("Pad", 1),
    ("QLinearMatMul", 4),
    ("QuantizeLinear", 1),
    ("Reshape", 8),
    ("Resize", 15),
    ("Slice", 6),
    ("Split", 14),
    ("Squeeze", 2),
    ("Sub", 1),
    ("Transpose", 7),
    ("Unsqueeze", 7),
];

/// What the hardware refuses, and of how many cases.
const TFLITE_REFUSED: &[(&str, usize)] = &[(
    "stride N of RESIZE_NEAREST_NEIGHBOR #N (y) shares a factor with P",
    1,
)];
const CMSIS_NN_REFUSED: &[(&str, usize)] = &[];
const ONNX_REFUSED: &[(&str, usize)] = &[
    ("a rule without a graph", 13),
    (
        "a weight of -N above its zero point; the array multiplies -N..=N; choose a zero point inside the weights' range",
        1,
    ),
];

/// What a suite found: cases that pass in RTL per operator, cases that it refuses per reason.
struct Found {
    passed: Vec<(String, usize)>,
    refused: Vec<(String, usize)>,
}

/// Passed, not applicable, failed.
type Counts = [usize; 3];

/// Runs a suite and prints its table.
fn suite(name: &str, cases: Vec<Judged>) -> Found {
    let mut table: BTreeMap<String, [Counts; 2]> = BTreeMap::new();
    let mut reasons: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut failures = Vec::new();
    let forms = cases.iter().flat_map(|case| match &case.outcome {
        Outcome::Passed(forms) => forms.clone(),
        _ => Vec::new(),
    });
    let forms: Vec<Exact> = forms.collect();
    let mut results = run(&forms).into_iter();
    for case in cases {
        let row = table.entry(case.op).or_default();
        let forms = match case.outcome {
            Outcome::Passed(forms) => forms.len(),
            Outcome::NotApplicable(reason) => {
                let reason = kind_of(&reason);
                *reasons.entry(("reference", reason)).or_default() += 1;
                row[0][1] += 1;
                continue;
            }
            Outcome::Failed(why) => {
                failures.push(format!("{} in the reference model: {why}", case.name));
                row[0][2] += 1;
                continue;
            }
        };
        row[0][0] += 1;
        let column = match of_case(results.by_ref().take(forms)) {
            Rtl::Passed => 0,
            Rtl::Refused(reason) => {
                *reasons.entry(("RTL", kind_of(&reason))).or_default() += 1;
                1
            }
            Rtl::Failed(why) => {
                failures.push(format!("{} in RTL: {why}", case.name));
                2
            }
        };
        row[1][column] += 1;
    }
    print(name, &table, &reasons);
    assert_eq!(failures, [""; 0]);
    let passed = table.into_iter().map(|(op, [_, rtl])| (op, rtl[0]));
    let refused = reasons.into_iter().filter(|((side, _), _)| *side == "RTL");
    Found {
        passed: passed.collect(),
        refused: refused.map(|((_, why), count)| (why, count)).collect(),
    }
}

/// A case passes when every form that the hardware takes is equal, and at least one is taken.
fn of_case(forms: impl Iterator<Item = Rtl>) -> Rtl {
    let nothing = "a rule without a graph".to_owned();
    let mut whole = Rtl::Refused(nothing);
    for (index, form) in forms.enumerate() {
        whole = match (whole, form) {
            (Rtl::Failed(why), _) | (_, Rtl::Failed(why)) => Rtl::Failed(why),
            (Rtl::Passed, _) | (_, Rtl::Passed) => Rtl::Passed,
            (first, second) => {
                if index == 0 {
                    second
                } else {
                    first
                }
            }
        };
    }
    whole
}

fn print(
    name: &str,
    table: &BTreeMap<String, [Counts; 2]>,
    reasons: &BTreeMap<(&str, String), usize>,
) {
    let mut all = [[0; 3]; 2];
    println!("\n{name:<26} reference: passed  n/a  failed   RTL: passed  n/a  failed");
    let line = |op: &str, [a, b]: &[Counts; 2]| {
        println!(
            "{op:<26} {:>17} {:>4} {:>7} {:>13} {:>4} {:>7}",
            a[0], a[1], a[2], b[0], b[1], b[2]
        );
    };
    for (op, counts) in table {
        line(op, counts);
        for (side, part) in all.iter_mut().zip(counts) {
            for (sum, count) in side.iter_mut().zip(part) {
                *sum += count;
            }
        }
    }
    line("all", &all);
    for ((side, reason), count) in reasons {
        println!("{count:>5} not applicable in {side}: {reason}");
    }
}

/// A case that passed once must not be refused silently, and none for another reason than the known ones.
#[track_caller]
fn assert_known(found: &Found, wanted: &[(&str, usize)], refused: &[(&str, usize)]) {
    for (op, least) in wanted {
        let passed = found.passed.iter().find(|(name, _)| name == op);
        let passed = passed.map_or(0, |(_, passed)| *passed);
        assert!(passed >= *least, "{op}: {passed} pass in RTL, {least} did");
    }
    let found: Vec<(&str, usize)> = found
        .refused
        .iter()
        .map(|(r, n)| (r.as_str(), *n))
        .collect();
    assert_eq!(found, refused, "refused in RTL");
}

#[test]
fn tflite_operators_equal_tflite_in_rtl() {
    let found = suite("TFLite operators", tflite::judge::judged());
    assert_known(&found, TFLITE, TFLITE_REFUSED);
}

#[test]
#[ignore = "needs ../shared/models"]
fn cmsis_nn_cases_pass_in_rtl() {
    let found = suite("CMSIS-NN", cmsis_nn::judged());
    assert_known(&found, CMSIS_NN, CMSIS_NN_REFUSED);
}

#[test]
#[ignore = "needs ../shared/models"]
fn onnx_node_cases_pass_in_rtl() {
    let found = suite("ONNX nodes", onnx_node::judged());
    assert_known(&found, ONNX, ONNX_REFUSED);
}
