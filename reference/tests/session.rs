//! States keep their values from one inference to the next.

use macforge_model::tflite::writer::{Fused, ModelWriter, Options, TensorSpec, element};
use macforge_quant::{QGraph, lower};
use macforge_reference::{Session, Value, run};

/// `sum = memory + x; memory = sum`, one element of scale 0.5 and zero point 0; reset to 7.
fn accumulator() -> QGraph {
    let mut w = ModelWriter::new();
    let memory = w.variable(
        "memory",
        TensorSpec {
            shape: vec![1, 1],
            element_type: element::I8,
            scale: vec![0.5],
            zero_point: vec![0],
            data: vec![7],
            ..Default::default()
        },
    );
    let [x, old, sum, again] =
        ["x", "old", "sum", "again"].map(|name| w.int8(name, &[1, 1], 0.5, 0));
    w.operator("READ_VARIABLE", &[memory], &[old], Options::None);
    w.operator("ADD", &[old, x], &[sum], Options::Add(Fused::None));
    w.operator("ASSIGN_VARIABLE", &[memory, sum], &[], Options::None);
    w.operator("READ_VARIABLE", &[memory], &[again], Options::None);
    let doubled = w.int8("doubled", &[1, 1], 0.5, 0);
    w.operator(
        "ADD",
        &[again, again],
        &[doubled],
        Options::Add(Fused::None),
    );
    let bytes = w.finish(&[x], &[sum, doubled]);
    lower(
        &macforge_model::from_bytes("accumulator", &bytes).unwrap(),
        None,
    )
    .unwrap()
}

fn value(q: i8) -> Value {
    Value::I8(ndarray::arr1(&[q]).into_dyn())
}

#[test]
fn states_carry_over_until_reset() {
    let graph = accumulator();
    assert_eq!(graph.states.len(), 1);
    let mut session = Session::new(&graph).unwrap();
    for _ in 0..2 {
        for (x, sum) in [(1, 8), (2, 10), (-5, 5)] {
            let run = session.run(&[value(x)]).unwrap();
            // a read behind the assignment sees the new value
            assert_eq!(run.outputs(&graph), [&value(sum), &value(2 * sum)]);
        }
        session.reset().unwrap();
    }
}

#[test]
fn a_single_inference_starts_from_reset() {
    let graph = accumulator();
    for _ in 0..2 {
        let run = run(&graph, &[value(1)]).unwrap();
        assert_eq!(run.outputs(&graph)[0], &value(8));
    }
}

#[test]
fn an_inference_that_fails_leaves_the_states() {
    let graph = accumulator();
    let mut session = Session::new(&graph).unwrap();
    session.run(&[value(1)]).unwrap();
    assert!(session.run(&[]).is_err());
    let run = session.run(&[value(1)]).unwrap();
    assert_eq!(run.outputs(&graph)[0], &value(9));
}
