//! The cases in the reference model against TFLite's results.

use macforge_quant::lower;
use macforge_reference::{Value, run};
use ndarray::{ArrayD, IxDyn};

use super::super::{Exact, Judged, Outcome};
use super::{Case, cases};

/// What TFLite computes for all cases, one behind the other; `testdata/tflite-operators/generate.py`.
const OUTPUTS: &[u8] = include_bytes!("../../../../testdata/tflite-operators/outputs.bin");

/// A case's graph with its sample, and the raw bytes of the output in the model's own type.
fn output(case: &Case) -> (Exact, Vec<u8>) {
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
    let inputs: Vec<Value> = inputs.collect();
    let run = run(&graph, &inputs).unwrap();
    let unsigned = graph.tensor(graph.outputs[0]).unsigned;
    let found = run.outputs(&graph)[0].clone();
    let bytes = found.as_i8().unwrap().iter();
    let bytes = bytes.map(|v| held(v.cast_unsigned(), unsigned)).collect();
    let samples = vec![(inputs, vec![found])];
    (Exact { graph, samples }, bytes)
}

/// Every case.
pub fn judged() -> Vec<Judged> {
    let mut left = OUTPUTS;
    let judge = |case: Case| {
        let (exact, found) = output(&case);
        let (wanted, rest) = left.split_at(found.len());
        left = rest;
        let outcome = if found == wanted {
            Outcome::Passed(vec![exact])
        } else {
            Outcome::Failed(format!("found {found:?}, wanted {wanted:?}"))
        };
        let op = case.name.split(' ').nth(1).expect("number, operator, type");
        Judged {
            op: op.to_owned(),
            name: case.name,
            outcome,
        }
    };
    let all = cases().into_iter().map(judge).collect();
    assert!(left.is_empty(), "{} outputs too many", left.len());
    all
}
