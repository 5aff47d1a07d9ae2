//! Every TFLite operator against tflite-runtime 2.14's reference kernels, int8 and uint8.

mod tflite_cases;

use macforge_quant::lower;
use macforge_reference::{Value, run};
use ndarray::{ArrayD, IxDyn};
use tflite_cases::{Case, cases};

/// What TFLite computes for all cases, one behind the other; `testdata/tflite-operators/generate.py`.
const OUTPUTS: &[u8] = include_bytes!("../../testdata/tflite-operators/outputs.bin");

/// Raw bytes of a case's output, in the model's own type.
fn output(case: &Case) -> Vec<u8> {
    let model = macforge_model::from_bytes("case", &case.model).unwrap();
    let graph = lower(&model, None).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let held = |byte: u8, unsigned: bool| if unsigned { byte ^ 0x80 } else { byte };
    let inputs = case.inputs.iter().zip(&graph.inputs).map(|(bytes, &id)| {
        let tensor = graph.tensor(id);
        let values = bytes
            .iter()
            .map(|&b| held(b, tensor.unsigned).cast_signed());
        let array = ArrayD::from_shape_vec(IxDyn(&tensor.shape), values.collect());
        Value::I8(array.unwrap())
    });
    let run = run(&graph, &inputs.collect::<Vec<_>>()).unwrap();
    let unsigned = graph.tensor(graph.outputs[0]).unsigned;
    let values = run.outputs(&graph)[0].as_i8().unwrap();
    let bytes = values.iter().map(|v| held(v.cast_unsigned(), unsigned));
    bytes.collect()
}

#[test]
fn every_operator_equals_tflite() {
    let mut left = OUTPUTS;
    for case in cases() {
        let found = output(&case);
        let (wanted, rest) = left.split_at(found.len());
        assert_eq!(found, wanted, "{}", case.name);
        left = rest;
    }
    assert!(left.is_empty(), "{} outputs too many", left.len());
}

#[test]
fn corrupted_files_of_every_operator_give_a_graph_or_an_error() {
    let (mut good, mut bad) = (0, 0);
    let cases = cases();
    for case in &cases[..cases.len() / 3] {
        for seed in 0..150 {
            let damaged = macforge_model::tflite::corrupt::corrupt(&case.model, seed);
            let imported = macforge_model::from_bytes("case", &damaged);
            match imported.map(|model| lower(&model, None)) {
                Ok(Ok(_)) => good += 1,
                _ => bad += 1,
            }
        }
    }
    assert!(good > 300 && bad > 5000, "{good} accepted, {bad} refused");
}
