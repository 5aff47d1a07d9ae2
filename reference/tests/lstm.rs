//! The recurrent layer, by hand and for its state.

mod common;

use common::{eval, graph, i8s, int8};
use macforge_numeric::LstmRule;
use macforge_numeric::lstm::Factor;
use macforge_quant::{Lstm, LstmArithmetic, LstmGate, QGraph, QOp};

/// Multiplies by `2^shift`.
fn power(shift: i32) -> Factor {
    Factor {
        multiplier: 1 << 30,
        shift: shift + 1,
        single_rounding: false,
    }
}

/// One unit whose gates are opened by their bias alone; the candidate is `1024 x + 512 h` in Q3.12.
fn accumulator(bias: [i32; 4]) -> QGraph {
    let gate = |weights: [i8; 2], bias| LstmGate {
        input_weights: vec![weights[0]],
        recurrent_weights: vec![weights[1]],
        bias: vec![bias],
    };
    let lstm = Lstm {
        inputs: 1,
        units: 1,
        gates: [
            gate([0, 0], bias[0]),
            gate([0, 0], bias[1]),
            gate([64, 32], bias[2]),
            gate([0, 0], bias[3]),
        ],
        rule: LstmArithmetic::Integer(LstmRule {
            input: [power(4); 4],
            recurrent: [power(4); 4],
            cell_integer_bits: 3,
            cell_clip: None,
            output: power(-23),
            output_zero_point: -3,
        }),
    };
    graph(
        QOp::Lstm(Box::new(lstm)),
        &[int8("x", &[4, 1], 2)],
        int8("y", &[4, 1], -3),
    )
}

fn lstm(graph: &mut QGraph) -> &mut Lstm {
    match &mut graph.nodes[0].op {
        QOp::Lstm(l) => l,
        other => panic!("{other:?}"),
    }
}

const OPEN: i32 = 1 << 11;

fn run(graph: &QGraph, x: [i8; 4]) -> (Vec<i8>, u64) {
    eval(graph, &[i8s(&[4, 1], &x)])
}

#[test]
fn an_open_cell_adds_up_its_candidates() {
    // Inputs at the zero point: nothing enters, the hidden state stays at its own.
    assert_eq!(
        run(&accumulator([OPEN, OPEN, 0, OPEN]), [2; 4]),
        (vec![-3; 4], 0)
    );
    let (y, _) = run(&accumulator([OPEN, OPEN, 0, OPEN]), [6, 2, 2, 2]);
    // tanh(1) = 0.76 enters, tanh(0.76) = 0.64 is shown: 82 of 128; then the state feeds back.
    assert!((y[0] - 79).abs() <= 1 && y[1] > y[0], "{y:?}");
}

#[test]
fn closed_gates_hold_back_input_state_and_output() {
    let shut_input = run(&accumulator([-OPEN, OPEN, 0, OPEN]), [100; 4]).0;
    assert!(
        shut_input.iter().all(|y| (y + 3).abs() <= 1),
        "{shut_input:?}"
    );
    let shut_output = run(&accumulator([OPEN, OPEN, 0, -OPEN]), [100; 4]).0;
    assert!(
        shut_output.iter().all(|y| (y + 3).abs() <= 1),
        "{shut_output:?}"
    );
    // Without the forget gate and the way back every step shows its own input only.
    let mut graph = accumulator([OPEN, -OPEN, 0, OPEN]);
    lstm(&mut graph).gates[2].recurrent_weights[0] = 0;
    let (y, _) = run(&graph, [100, 2, -96, 2]);
    assert!(y[0] > 90 && y[2] < -90, "{y:?}");
    assert!((y[1] + 3).abs() <= 1 && (y[3] + 3).abs() <= 1, "{y:?}");
}

/// The input's part alone is -25 and is cut to -8 before the state's part, +12, is added.
#[test]
fn a_gates_sum_is_cut_after_the_inputs_part() {
    let (y, _) = run(&accumulator([OPEN, -OPEN, 0, OPEN]), [100, 2, -96, 2]);
    assert!(y[2] > 90, "{y:?}");
}

#[test]
fn every_inference_starts_from_a_reset_state() {
    let graph = accumulator([OPEN, OPEN, 0, OPEN]);
    let first = run(&graph, [9, 4, -1, 7]);
    assert_eq!(run(&graph, [9, 4, -1, 7]), first);
}

#[test]
fn saturated_outputs_are_counted() {
    let mut graph = accumulator([OPEN, OPEN, 0, OPEN]);
    match &mut lstm(&mut graph).rule {
        LstmArithmetic::Integer(rule) => rule.output = power(-20),
        other => panic!("{other:?}"),
    }
    assert_eq!(run(&graph, [100; 4]), (vec![127; 4], 4));
}
