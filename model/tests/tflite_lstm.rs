//! Import of the fully integer LSTM, and what of its variants is refused.

use macforge_model::tflite::import;
use macforge_model::tflite::lstm_writer::LstmSpec;
use macforge_model::tflite::writer::{ModelWriter, Options};
use macforge_model::{LstmOptions, OpKind};

fn spec() -> LstmSpec {
    LstmSpec {
        inputs: 3,
        units: 2,
        hidden: (0.0078, -5),
        cell_scale: 1.0 / 4096.0,
        weight_scale: [0.01; 4],
        recurrent_scale: [0.01; 4],
        weights: (0..40).collect(),
        bias: (0..8).collect(),
    }
}

/// `[1, 4, 3]` to `[1, 4, 2]`, operands and operator name as changed by `change`.
fn file(spec: &LstmSpec, change: impl FnOnce(&mut Vec<i32>, &mut ModelWriter)) -> Vec<u8> {
    let mut w = ModelWriter::new();
    let x = w.int8("x", &[1, 4, 3], 0.1, 1);
    let (mut operands, hidden) = w.lstm(x, spec);
    change(&mut operands, &mut w);
    let y = w.int8("y", &[1, 4, 2], 0.0078, -5);
    let options = Options::Lstm {
        cell_clip: 10.0,
        hidden,
    };
    w.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", &operands, &[y], options);
    w.finish(&[x], &[y])
}

#[test]
fn an_lstm_is_read_with_its_clip_and_its_macs() {
    let model = import("m", &file(&spec(), |_, _| ())).unwrap();
    assert_eq!(model.unsupported, []);
    let OpKind::Lstm(LstmOptions { cell_clip, hidden }) = model.operators[0].kind else {
        panic!("{:?}", model.operators[0].kind)
    };
    assert_eq!(cell_clip, 10.0);
    assert_eq!(model.tensors[hidden].name, "lstm_intermediate");
    assert_eq!(model.macs(0), 4 * 4 * 2 * (3 + 2));
}

#[test]
fn variants_are_refused_with_what_is_needed() {
    let refused = |position: usize, wanted: &str| {
        let bytes = file(&spec(), |operands, w| {
            let some = w.int8("some", &[1, 2], 0.1, 0);
            let known = operands[position];
            operands[position] = if known < 0 { some } else { -1 };
        });
        let model = import("m", &bytes).unwrap();
        let text = model.unsupported[0].to_string();
        assert!(text.contains(wanted), "{text}");
    };
    refused(1, "CIFG");
    refused(9, "peepholes");
    refused(16, "projection");
    refused(23, "layer normalization");
}

#[test]
fn an_int16_cell_state_and_fitting_shapes_are_required() {
    let bytes = file(&spec(), |operands, _| operands[19] = operands[18]);
    let text = import("m", &bytes).unwrap().unsupported[0].to_string();
    assert!(
        text.contains("int8 tensor") && text.contains("int16"),
        "{text}"
    );

    let bytes = file(&spec(), |operands, _| operands[5] = operands[1]);
    let error = import("m", &bytes).unwrap_err().to_string();
    assert!(error.contains("shape [2, 3], wanted [2, 2]"), "{error}");
    let bytes = file(&spec(), |operands, w| {
        operands[12] = w.int32("b", &[0.1], &[1])
    });
    let error = import("m", &bytes).unwrap_err().to_string();
    assert!(
        error.contains("bias") || error.contains("wanted 2 elements"),
        "{error}"
    );
}
