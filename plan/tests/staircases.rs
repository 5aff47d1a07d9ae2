//! General staircases as scales and shifts of the requantizer lane.

use macforge_numeric::{
    AffineParams, Clamp, Interval, RequantRule, Requantizer, Semantics, Thresholds,
};
use macforge_plan::PlanError;
use macforge_plan::staircases::as_lane_rules;
use macforge_quant::{DType, FullyConnected, QGraph, QNode, QOp, QTensor, TensorId};

fn tensor(name: &str, size: usize, zero_point: i32) -> QTensor {
    QTensor {
        name: name.into(),
        shape: vec![size],
        dtype: DType::I8,
        quant: Some(AffineParams {
            scale: 1.0,
            zero_point,
        }),
        unsigned: false,
        channels_first: false,
    }
}

/// A fully connected layer of two inputs with these weights and rules.
fn layer(weights: Vec<i16>, requant: Vec<Requantizer>) -> QGraph {
    let out_channels = requant.len();
    QGraph {
        name: "staircases".into(),
        semantics: Semantics::OrtX86,
        tensors: vec![tensor("in", 2, 3), tensor("out", out_channels, 0)],
        nodes: vec![QNode {
            name: "fc".into(),
            source: "MatMul #0".into(),
            inputs: vec![TensorId(0)],
            output: TensorId(1),
            op: QOp::FullyConnected(FullyConnected {
                weights,
                weight_zero_points: vec![0; out_channels],
                out_channels,
                in_features: 2,
                bias: (0..out_channels as i32).map(|c| 7 * c - 20).collect(),
                requant,
                lower_is_activation: false,
            }),
        }],
        inputs: vec![TensorId(0)],
        outputs: vec![TensorId(1)],
        states: Vec::new(),
        input_ranges: Vec::new(),
    }
}

fn rule(f: impl Fn(i64) -> i64, clamp: Clamp) -> Requantizer {
    let range = Interval::new(-100_000, 100_000);
    let steps = Thresholds::of_function(f, range, clamp.interval()).unwrap();
    Requantizer {
        rule: RequantRule::Staircase(steps),
        zero_point: 0,
        clamp,
    }
}

fn fully_connected(graph: &QGraph) -> &FullyConnected {
    match &graph.nodes[0].op {
        QOp::FullyConnected(fc) => fc,
        other => panic!("{other:?}"),
    }
}

fn value(fc: &FullyConnected, channel: usize, x: [i64; 2]) -> i32 {
    let row = &fc.weights[2 * channel..][..2];
    let sum = i64::from(row[0]) * (x[0] - 3) + i64::from(row[1]) * (x[1] - 3);
    fc.requant[channel].apply(sum + i64::from(fc.bias[channel]))
}

/// Every pair of inputs, every channel.
fn assert_equal(graph: &QGraph) -> QGraph {
    let lanes = as_lane_rules(graph).unwrap().into_owned();
    let (before, after) = (fully_connected(graph), fully_connected(&lanes));
    for channel in 0..before.out_channels {
        assert!(matches!(
            after.requant[channel].rule,
            RequantRule::TfliteSingle { .. }
        ));
        assert_eq!(
            after.requant[channel].zero_point,
            after.requant[0].zero_point
        );
        for x in (-128..=127).flat_map(|a| (-128..=127).map(move |b| [a, b])) {
            let (wanted, found) = (value(before, channel, x), value(after, channel, x));
            assert_eq!(found, wanted, "channel {channel} at {x:?}");
        }
    }
    lanes
}

#[test]
fn binary_and_ternary_layers_keep_every_value() {
    let clamp = Clamp { lo: -1, hi: 1 };
    let weights: Vec<i16> = (0..32).map(|i| [1, -1, 0, 1, -1][i * 7 % 5]).collect();
    let rules = (0..16i64).map(|c| match c % 2 {
        0 => rule(move |acc| if acc >= 9 * c - 70 { 1 } else { -1 }, clamp),
        _ => rule(
            move |acc| i64::from(acc > 3 * c) - i64::from(acc < 5 * c - 60),
            clamp,
        ),
    });
    assert_equal(&layer(weights, rules.collect()));
}

/// Phases of a fraction of an accumulator: found by multiplying the narrow weights.
#[test]
fn narrow_weights_are_multiplied_where_whole_offsets_are_too_coarse() {
    let clamp = Clamp { lo: 0, hi: 63 };
    let rules = (0..8).map(|c| {
        let (slope, phase) = (0.31 + 0.053 * f64::from(c), 0.137 * f64::from(c));
        rule(
            move |acc| (acc as f64 * slope + phase + 11.0).floor() as i64,
            clamp,
        )
    });
    let graph = layer((0..16).map(|i| i % 5 - 2).collect(), rules.collect());
    let lanes = assert_equal(&graph);
    let widest = |g: &QGraph| fully_connected(g).weights.iter().map(|w| w.abs()).max();
    assert!(widest(&lanes) > widest(&graph));
}

/// Weights that are too wide to be multiplied.
fn with_phases() -> QGraph {
    let clamp = Clamp { lo: 0, hi: 100 };
    let rules = (0..8i64).map(|c| {
        let (multiplier, phase) = (5_003 + 177 * c, 131_071 * c);
        rule(move |acc| (acc * multiplier + phase) >> 20, clamp)
    });
    layer((0..16).map(|i| 127 - 5 * i).collect(), rules.collect())
}

#[test]
fn phases_within_an_accumulator_become_constants_at_product_scale() {
    let graph = with_phases();
    let lanes = as_lane_rules(&graph).unwrap();
    let (before, after) = (fully_connected(&graph), fully_connected(&lanes));
    assert_eq!(before.weights, after.weights);
    let has_constant = |r: &Requantizer| matches!(r.rule, RequantRule::MultiplyAdd { .. });
    assert!(after.requant.iter().any(has_constant));
    for channel in 0..before.out_channels {
        for x in (-128..=127).flat_map(|a| (-128..=127).map(move |b| [a, b])) {
            let (wanted, found) = (value(before, channel, x), value(after, channel, x));
            assert_eq!(found, wanted, "channel {channel} at {x:?}");
        }
    }
}

#[test]
fn lanes_of_tflite_have_no_constants_at_product_scale() {
    let graph = QGraph {
        semantics: Semantics::TfliteDouble,
        ..with_phases()
    };
    assert!(matches!(
        as_lane_rules(&graph),
        Err(PlanError::Numeric { .. })
    ));
}

#[test]
fn a_staircase_without_constants_names_the_layer() {
    let clamp = Clamp { lo: 0, hi: 3 };
    let uneven = rule(
        |acc| [0, 1, 200].iter().filter(|&&t| acc >= t).count() as i64,
        clamp,
    );
    match as_lane_rules(&layer(vec![100, 101], vec![uneven])) {
        Err(PlanError::Numeric { layer, .. }) => assert_eq!(layer, "MatMul #0"),
        other => panic!("{other:?}"),
    }
}
