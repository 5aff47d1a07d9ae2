//! `QGraph::verify` finds each broken invariant, and the ranges it computes are exact.

mod support;

use macforge_model::from_bytes;
use macforge_numeric::{AffineParams, Clamp, Interval};
use macforge_quant::{Conv2d, DType, FullyConnected, QGraph, QOp, TensorId, lower};
use support::every_operator;

fn graph() -> QGraph {
    lower(&from_bytes("test", &every_operator()).unwrap(), None).unwrap()
}

fn conv(g: &mut QGraph) -> &mut Conv2d {
    match &mut g.nodes[1].op {
        QOp::Conv2d(c) => c,
        other => panic!("{other:?}"),
    }
}

fn fully_connected(g: &mut QGraph) -> &mut FullyConnected {
    let found = g.nodes.iter_mut().find_map(|n| match &mut n.op {
        QOp::FullyConnected(f) => Some(f),
        _ => None,
    });
    found.unwrap()
}

/// Breaks a valid graph and expects the error to contain `wanted`.
fn expect(wanted: &str, break_it: impl FnOnce(&mut QGraph)) {
    let mut g = graph();
    break_it(&mut g);
    let error = g.verify().expect_err(wanted).to_string();
    assert!(error.contains(wanted), "wanted {wanted}: {error}");
}

#[test]
fn broken_structure_is_found() {
    expect("not a tensor of the graph", |g| {
        g.nodes[2].output = TensorId(99)
    });
    expect("1 operands, wanted 2", |g| g.nodes[3].inputs.truncate(1));
    expect("before it is written", |g| g.nodes.swap(1, 2));
    expect("which has a producer", |g| {
        g.nodes[2].output = g.nodes[1].output
    });
    expect("is a graph input twice", |g| g.inputs.push(g.inputs[0]));
    expect("graph input and graph output", |g| {
        g.outputs.push(g.inputs[0])
    });
    expect("no outputs", |g| g.outputs.clear());
    expect("has no producer", |g| drop(g.nodes.pop()));
}

#[test]
fn broken_names_are_found() {
    expect("the name occurs twice", |g| {
        g.nodes[2].name = g.nodes[1].name.clone()
    });
    expect("the name occurs twice", |g| {
        g.tensors[2].name = g.tensors[1].name.clone()
    });
    for name in ["", "3x", "a-b", "a b"] {
        expect("not a Verilog identifier", |g| {
            g.nodes[1].name = name.into()
        });
    }
}

#[test]
fn broken_tensors_are_found() {
    expect("1 to 3 dimensions", |g| {
        g.tensors[1].shape = vec![9, 8, 3, 1]
    });
    expect("1 to 3 dimensions", |g| g.tensors[1].shape = vec![0, 8, 3]);
    expect("1 to 3 dimensions", |g| {
        g.tensors[1].shape = vec![usize::MAX, 8, 3]
    });
    expect("quantization parameters", |g| g.tensors[1].quant = None);
    expect("quantization parameters", |g| {
        g.tensors[1].quant = Some(AffineParams {
            scale: 0.1,
            zero_point: 128,
        });
    });
    expect("float32 other than at", |g| {
        g.tensors[2].dtype = DType::F32;
        g.tensors[2].quant = None;
    });
}

#[test]
fn broken_operators_are_found() {
    expect("weights do not fit", |g| conv(g).weights.truncate(107));
    expect("3 biases and 4 requantizers", |g| conv(g).bias.truncate(3));
    expect("channels in and out", |g| conv(g).in_channels = 4);
    expect("does not give", |g| conv(g).window.pad = [3, 0]);
    expect("does not give", |g| conv(g).window.stride = [4, 2]);
    expect("does not give", |g| conv(g).window.dilation = [0, 1]);
    expect("elements in and out", |g| {
        fully_connected(g).in_features = 17
    });
    expect("is not the output tensor's", |g| {
        conv(g).requant[3].zero_point = 0
    });
    expect("clamp", |g| {
        conv(g).requant[2].clamp = Clamp { lo: 5, hi: 4 }
    });
    expect("shapes", |g| g.tensors[3].shape = vec![5, 2, 8]);
    expect("beyond int32", |g| conv(g).bias[1] = i32::MIN);
}

#[test]
fn reachable_values_respect_the_fused_activation() {
    let g = graph();
    let ranges = g.value_ranges().unwrap();
    // RELU6 at scale 0.04, zero point -128: 150 steps.
    let conv = &g.nodes[1];
    let range = ranges[conv.output.0];
    assert!(Interval::new(-128, 22).encloses(range), "{range}");
}

#[test]
fn accumulator_ranges_are_reached_and_never_left() {
    let g = graph();
    let node = g
        .nodes
        .iter()
        .find(|n| matches!(n.op, QOp::FullyConnected(_)))
        .unwrap();
    let QOp::FullyConnected(fc) = &node.op else {
        panic!()
    };
    let input = Interval::new(-100, 90);
    let zero_point = i64::from(g.tensor(node.inputs[0]).quant.unwrap().zero_point);
    for (channel, range) in g.accumulator_ranges(node, input).into_iter().enumerate() {
        let weights = &fc.weights[channel * fc.in_features..][..fc.in_features];
        // The extreme input takes, at every weight, the end that moves the sum furthest.
        let extreme = |sign: i64| {
            let terms = weights.iter().map(|&w| {
                let w = i64::from(w);
                let x = if w * sign > 0 { input.hi } else { input.lo };
                w * (x - zero_point)
            });
            terms.sum::<i64>() + i64::from(fc.bias[channel])
        };
        assert_eq!(
            (range.lo, range.hi),
            (extreme(-1), extreme(1)),
            "channel {channel}"
        );
    }
}
