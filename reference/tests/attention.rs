//! Attention: heads, zero points, saturations.

mod common;

use common::{eval, graph, i8s, int8};
use macforge_numeric::AttentionRule;
use macforge_quant::{Attention, QGraph, QOp};

/// `Tq = 2`, `Tk = 3`, two heads of two channels; zero points 2, -1, 4 and -3, scale 0.5 of all.
fn attention(heads: usize, alpha: f64) -> QGraph {
    let rule = AttentionRule::new([0.5; 3], alpha, 0.5, -3).unwrap();
    graph(
        QOp::Attention(Attention { heads, rule }),
        &[
            int8("q", &[2, 4], 2),
            int8("k", &[3, 4], -1),
            int8("v", &[3, 4], 4),
        ],
        int8("y", &[2, 4], -3),
    )
}

const VALUES: [i8; 12] = [10, 20, 30, 40, -50, -60, -70, -80, 90, 100, 110, 120];

fn run(graph: &QGraph, q: [i8; 8], k: [i8; 12]) -> (Vec<i8>, u64) {
    let values = [i8s(&[2, 4], &q), i8s(&[3, 4], &k), i8s(&[3, 4], &VALUES)];
    eval(graph, &values)
}

#[test]
fn a_sharp_score_picks_one_value_per_head_and_query() {
    let graph = attention(2, 1.0);
    graph.verify().unwrap();
    // query 0: head 0 prefers key 0, head 1 key 2; query 1: the other way round
    let q = [102, 2, 2, 102, 2, 102, 102, 2];
    let k = [99, -1, 99, -1, -1, -1, -1, -1, -1, 99, -1, 99];
    let (y, saturations) = run(&graph, q, k);
    let moved = |v: [i16; 8]| v.map(|v| (v - 4 - 3) as i8).to_vec();
    assert_eq!(y, moved([10, 20, 110, 120, 90, 100, 30, 40]));
    assert_eq!(saturations, 0);
}

#[test]
fn heads_do_not_mix() {
    let q = [102, 2, 2, 2, 102, 2, 2, 2];
    let k = [99, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1];
    let (two, _) = run(&attention(2, 1.0), q, k);
    let (one, _) = run(&attention(1, 1.0), q, k);
    assert_eq!(two[..2], one[..2]);
    // the second head sees equal keys: the mean of its values, (30 - 70 + 110) / 3 = 23.3
    assert_eq!(two[2..4], [23 - 7, 27 - 7]);
    assert_eq!(one[2..4], [30 - 7, 40 - 7]);
}

#[test]
fn saturated_outputs_are_counted() {
    let mut graph = attention(2, 1.0);
    let QOp::Attention(op) = &mut graph.nodes[0].op else {
        panic!("{graph}");
    };
    op.rule = AttentionRule::new([0.5; 3], 1.0, 0.125, -3).unwrap();
    let (y, saturations) = run(&graph, [2; 8], [0; 12]);
    // means 16.7 - 4 and so on, four times: 47.7, 61, 74.3, 87.7
    assert_eq!(y[..4], [48, 61, 74, 88]);
    assert_eq!(saturations, 0);
    let q = [102, 2, 2, 102, 2, 102, 102, 2];
    let k = [99, -1, 99, -1, -1, -1, -1, -1, -1, 99, -1, 99];
    let (y, saturations) = run(&graph, q, k);
    assert_eq!(y, [21, 61, 127, 127, 127, 127, 101, 127]);
    assert_eq!(saturations, 5);
}

#[test]
fn broken_parameters_are_found() {
    let expect = |wanted: &str, break_it: &dyn Fn(&mut QGraph)| {
        let mut graph = attention(2, 1.0);
        break_it(&mut graph);
        let error = graph.verify().expect_err(wanted).to_string();
        assert!(error.contains(wanted), "wanted {wanted}: {error}");
    };
    let op = |graph: &mut QGraph, change: &dyn Fn(&mut Attention)| match &mut graph.nodes[0].op {
        QOp::Attention(op) => change(op),
        other => panic!("{other:?}"),
    };
    expect("3 heads on 4 channels", &|g| op(g, &|a| a.heads = 3));
    expect("0 heads", &|g| op(g, &|a| a.heads = 0));
    expect("no FP16 factor", &|g| {
        op(g, &|a| a.rule.score.multiplier = 5)
    });
    expect("not the output tensor's", &|g| {
        op(g, &|a| a.rule.output.zero_point = 0)
    });
    expect("wanted [Tq, C]", &|g| g.tensors[2].shape = vec![2, 4]);
    expect("wanted two dimensions", &|g| g.tensors[0].shape = vec![8]);
    expect("at most 512", &|g| {
        g.tensors[1].shape = vec![513, 4];
        g.tensors[2].shape = vec![513, 4];
    });
    expect("2 operands, wanted 3", &|g| g.nodes[0].inputs.truncate(2));
}

#[test]
fn it_prints_as_text() {
    let text = attention(2, 1.0).to_string();
    let wanted = "2 heads, scores * 65536 << -18, values * 65536 << -16 -3";
    assert!(text.contains(wanted), "{text}");
}
