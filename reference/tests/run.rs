//! Inputs, outputs and intermediate tensors of whole graphs.

mod common;

use common::{eval_error, f32s, float32, graph, i8s, identity, int8};
use macforge_numeric::table::table;
use macforge_quant::{FullyConnected, QGraph, QNode, QOp, TensorId};
use macforge_reference::{ReferenceError, run};

/// x -> (+1) -> middle -> (+1) -> y, and a row sum of x as second output.
fn branched() -> QGraph {
    let increment = || QOp::Table(table(|q| q.wrapping_add(1)));
    let mut graph = graph(increment(), &[int8("x", &[2], 0)], int8("middle", &[2], 0));
    graph.tensors.push(int8("y", &[2], 0));
    graph.tensors.push(int8("sum", &[1], 0));
    let node = |name: &str, input, output, op| QNode {
        name: name.to_owned(),
        source: name.to_owned(),
        inputs: vec![TensorId(input)],
        output: TensorId(output),
        op,
    };
    let sum = FullyConnected {
        weights: vec![1, 1],
        weight_zero_points: vec![0],
        out_channels: 1,
        in_features: 2,
        bias: vec![0],
        requant: vec![identity(0)],
        lower_is_activation: false,
    };
    graph.nodes.push(node("again", 1, 2, increment()));
    graph
        .nodes
        .push(node("sum", 0, 3, QOp::FullyConnected(sum)));
    graph.outputs = vec![TensorId(3), TensorId(2)];
    graph
}

#[test]
fn every_tensor_is_kept_and_found_by_name() {
    let graph = branched();
    let run = run(&graph, &[i8s(&[2], &[100, 50])]).unwrap();
    assert_eq!(run.by_name(&graph, "x"), Some(&i8s(&[2], &[100, 50])));
    assert_eq!(run.by_name(&graph, "middle"), Some(&i8s(&[2], &[101, 51])));
    assert_eq!(run.by_name(&graph, "nowhere"), None);
    let (sum, y) = (i8s(&[1], &[127]), i8s(&[2], &[102, 52]));
    assert_eq!(run.outputs(&graph), [&sum, &y]);
    // 150 left int8 in the third node only.
    assert_eq!(run.saturations, [0, 0, 1]);
}

#[test]
fn wrong_inputs_are_named_with_what_was_found_and_wanted() {
    let graph = branched();
    assert_eq!(
        eval_error(&graph, &[]).to_string(),
        "found 0 inputs, wanted 1: x"
    );
    assert_eq!(
        eval_error(&graph, &[i8s(&[1, 2], &[0, 0])]).to_string(),
        "tensor `x`: found shape [1, 2], wanted [2]"
    );
    assert_eq!(
        eval_error(&graph, &[f32s(&[2], &[0.0; 2])]).to_string(),
        "tensor `x`: found element type F32, wanted I8"
    );
}

#[test]
fn a_tensor_without_a_producer_is_an_error() {
    let mut unordered = branched();
    unordered.nodes.swap(0, 1);
    let missing = |node: &str| ReferenceError::MissingInput {
        node: node.to_owned(),
        index: 0,
    };
    let x = i8s(&[2], &[0, 0]);
    assert_eq!(
        eval_error(&unordered, std::slice::from_ref(&x)),
        missing("again")
    );

    let mut no_output = branched();
    no_output.tensors.push(float32("z", &[1]));
    no_output.outputs.push(TensorId(4));
    assert_eq!(eval_error(&no_output, &[x]), missing("graph output z"));
}
