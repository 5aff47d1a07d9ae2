//! Lowering of the fully integer LSTM, its invariants and its ranges.

use macforge_model::from_bytes;
use macforge_model::tflite::lstm_writer::LstmSpec;
use macforge_model::tflite::writer::{ModelWriter, Options};
use macforge_numeric::{Interval, LstmRule, Semantics};
use macforge_quant::{Lstm, LstmArithmetic, QGraph, QOp, QuantError, lower};

fn spec() -> LstmSpec {
    LstmSpec {
        inputs: 3,
        units: 2,
        hidden: (0.0078, -5),
        cell_scale: 1.0 / 4096.0,
        weight_scale: [0.01, 0.02, 0.03, 0.04],
        recurrent_scale: [0.05, 0.06, 0.07, 0.08],
        weights: (0..40).map(|i| (i * 89 + 40) as u8 as i8).collect(),
        bias: (0..8).map(|i| i * 1000 - 4000).collect(),
    }
}

fn file(spec: &LstmSpec, output: (f32, i64)) -> Vec<u8> {
    let mut w = ModelWriter::new();
    let x = w.int8("x", &[1, 4, 3], 0.1, 1);
    let (operands, hidden) = w.lstm(x, spec);
    let y = w.int8("y", &[1, 4, 2], output.0, output.1);
    let options = Options::Lstm {
        cell_clip: 4.0,
        hidden,
    };
    w.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", &operands, &[y], options);
    w.finish(&[x], &[y])
}

fn lowered(spec: &LstmSpec) -> Result<QGraph, QuantError> {
    lower(&from_bytes("test", &file(spec, spec.hidden)).unwrap(), None)
}

fn lstm(graph: &mut QGraph) -> &mut Lstm {
    match &mut graph.nodes[0].op {
        QOp::Lstm(l) => l,
        other => panic!("{other:?}"),
    }
}

fn integer(lstm: &mut Lstm) -> &mut LstmRule {
    match &mut lstm.rule {
        LstmArithmetic::Integer(rule) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_lstm_lowers_to_a_stable_text() {
    insta::assert_snapshot!(lowered(&spec()).unwrap());
}

#[test]
fn matrices_keep_their_gates() {
    let mut graph = lowered(&spec()).unwrap();
    let wanted = spec();
    for (gate, found) in lstm(&mut graph).gates.iter().enumerate() {
        assert_eq!(found.input_weights, wanted.weights[gate * 6..][..6]);
        assert_eq!(
            found.recurrent_weights,
            wanted.weights[24 + gate * 4..][..4]
        );
        assert_eq!(found.bias, wanted.bias[gate * 2..][..2]);
    }
}

#[test]
fn scales_that_have_no_exact_rule_are_refused() {
    let text = |spec: &LstmSpec| lowered(spec).unwrap_err().to_string();
    let spec = spec();
    let odd_cell = LstmSpec {
        cell_scale: 0.0003,
        ..spec.clone()
    };
    assert!(text(&odd_cell).contains("UNIDIRECTIONAL_SEQUENCE_LSTM #0"));
    let model = from_bytes("test", &file(&spec, (0.0079, -5))).unwrap();
    let error = lower(&model, None).unwrap_err().to_string();
    assert!(error.contains("hidden state"), "{error}");
    let model = from_bytes("test", &file(&spec, spec.hidden)).unwrap();
    assert!(lower(&model, Some(Semantics::TfliteSingle)).is_ok());
    let error = lower(&model, Some(Semantics::OrtX86)).unwrap_err();
    assert!(matches!(error, QuantError::Semantics { .. }), "{error}");
}

#[test]
fn sums_that_can_leave_int32_are_refused() {
    let mut spec = spec();
    spec.bias[3] = i32::MAX - 10;
    let error = lowered(&spec).unwrap_err().to_string();
    assert!(error.contains("gate 1, unit 1 can accumulate"), "{error}");
    // In range itself, but not after the left shift of a multiplier above one.
    spec.bias[3] = i32::MAX / 4;
    assert!(
        lowered(&spec)
            .unwrap_err()
            .to_string()
            .contains("beyond int32")
    );
    spec.weight_scale = [0.001; 4];
    assert!(lowered(&spec).is_ok());
}

#[test]
fn ranges_are_those_of_the_extremes() {
    let mut graph = lowered(&spec()).unwrap();
    let l = lstm(&mut graph).clone();
    let input = Interval { lo: -128, hi: 127 };
    let ranges = graph.lstm_ranges(&graph.nodes[0], &l, input).unwrap();
    let extreme = |weights: &[i8], zero_point: i64, sign: i64| -> i64 {
        let ends = [-128 - zero_point, 127 - zero_point];
        let best = |w: &i8| ends.map(|x| sign * x * i64::from(*w)).into_iter().max();
        weights.iter().filter_map(best).sum()
    };
    let gate = &l.gates[2];
    let (own, back) = (&gate.input_weights[3..], &gate.recurrent_weights[2..]);
    let bias = i64::from(gate.bias[1]);
    assert_eq!(ranges[2][1][0].hi, extreme(own, 1, 1) + bias);
    assert_eq!(ranges[2][1][0].lo, bias - extreme(own, 1, -1));
    assert_eq!(ranges[2][1][1].hi, extreme(back, -5, 1));
    assert_eq!(ranges[2][1][1].lo, -extreme(back, -5, -1));
}

#[test]
fn broken_parameters_are_found() {
    let expect = |wanted: &str, break_it: &dyn Fn(&mut Lstm)| {
        let mut graph = lowered(&spec()).unwrap();
        break_it(lstm(&mut graph));
        let error = graph.verify().expect_err(wanted).to_string();
        assert!(error.contains(wanted), "wanted {wanted}: {error}");
    };
    expect("3 units on 3 inputs", &|l| l.units = 3);
    expect("do not fit the shape", &|l| l.gates[3].bias.truncate(1));
    expect("7 integer bits", &|l| integer(l).cell_integer_bits = 7);
    expect("not positive", &|l| integer(l).cell_clip = Some(-1));
    expect("not the output tensor's", &|l| {
        integer(l).output_zero_point = 0
    });
    expect("one or more", &|l| integer(l).output.shift = 1);
    expect("no TFLite multiplier", &|l| {
        integer(l).input[1].multiplier = 5
    });
}
