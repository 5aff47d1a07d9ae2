//! CONV_2D by hand and against a padded, four-times-nested sum.

mod common;

use common::{eval, eval_error, graph, i8s, identity, int8, shifted, window};
use macforge_numeric::Clamp;
use macforge_quant::{Conv2d, QOp, Window};
use macforge_reference::ReferenceError;
use proptest::prelude::*;

fn conv(window: Window, weights: &[i16], channels: [usize; 2]) -> Conv2d {
    let [out_channels, in_channels] = channels;
    Conv2d {
        window,
        weights: weights.to_vec(),
        weight_zero_points: vec![0; out_channels],
        groups: 1,
        out_channels,
        in_channels,
        bias: vec![0; out_channels],
        requant: vec![identity(0); out_channels],
        lower_is_activation: false,
    }
}

#[test]
fn a_two_by_two_kernel_by_hand() {
    // x - zx = [[1, 2, 3], [4, 5, 6]]; weights [[1, 10], [-1, 2]].
    let op = conv(window([2, 2], [1, 1]), &[1, 10, -1, 2], [1, 1]);
    let graph = graph(
        QOp::Conv2d(op),
        &[int8("x", &[2, 3, 1], -3)],
        int8("y", &[1, 2, 1], 0),
    );
    let x = i8s(&[2, 3, 1], &[-2, -1, 0, 1, 2, 3]);
    assert_eq!(eval(&graph, &[x]), (vec![27, 39], 0));
}

#[test]
fn weights_are_ordered_by_output_channel_row_column_and_input_channel() {
    // One hot input per run: the output is the weight that belongs to it.
    let weights: Vec<i16> = (1..=24).collect();
    let op = conv(window([2, 3], [1, 1]), &weights, [2, 2]);
    let graph = graph(
        QOp::Conv2d(op),
        &[int8("x", &[2, 3, 2], 0)],
        int8("y", &[1, 1, 2], 0),
    );
    for at in 0..12 {
        let mut x = [0; 12];
        x[at] = 1;
        let (found, _) = eval(&graph, &[i8s(&[2, 3, 2], &x)]);
        let found = [found[0], found[1]];
        assert_eq!(found.map(i16::from), [weights[at], weights[12 + at]]);
    }
}

#[test]
fn each_channel_has_its_own_bias_requantizer_and_clamp() {
    let mut op = conv(window([1, 1], [1, 1]), &[1, 1, 1], [3, 1]);
    op.bias = vec![100, -7, 0];
    op.requant = vec![shifted(1, 0), identity(5), identity(0)];
    op.requant[2].clamp = Clamp { lo: 0, hi: 20 };
    let graph = graph(
        QOp::Conv2d(op),
        &[int8("x", &[1, 1, 1], 0)],
        int8("y", &[1, 1, 3], 0),
    );
    // (33 + 100) / 2 rounds half up to 67; 33 - 7 + 5; clamp(33).
    assert_eq!(eval(&graph, &[i8s(&[1, 1, 1], &[33])]).0, [67, 31, 20]);
}

#[test]
fn saturations_are_counted_at_the_bounds_of_the_type_only() {
    let weights = [127, -127, 1];
    let mut op = conv(window([1, 1], [1, 1]), &weights, [3, 1]);
    let mut run = |lower_is_activation, clamp_2: Clamp| {
        op.lower_is_activation = lower_is_activation;
        op.requant[2].clamp = clamp_2;
        let op = QOp::Conv2d(op.clone());
        let graph = graph(op, &[int8("x", &[1, 1, 1], 0)], int8("y", &[1, 1, 3], 0));
        eval(&graph, &[i8s(&[1, 1, 1], &[100])])
    };
    let narrow = Clamp { lo: -128, hi: 9 };
    assert_eq!(run(false, narrow), (vec![127, -128, 9], 2));
    assert_eq!(run(true, narrow), (vec![127, -128, 9], 1));
    assert_eq!(run(true, Clamp::INT8), (vec![127, -128, 100], 1));
}

#[test]
fn parameters_that_do_not_fit_the_tensors_are_named() {
    let graph_of = |op: Conv2d| {
        graph(
            QOp::Conv2d(op),
            &[int8("x", &[1, 1, 2], 0)],
            int8("y", &[1, 1, 3], 0),
        )
    };
    let good = conv(window([1, 1], [1, 1]), &[1; 6], [3, 2]);
    let x = i8s(&[1, 1, 2], &[1, 2]);
    let mut short_bias = good.clone();
    short_bias.bias.pop();
    let mut few_weights = good.clone();
    few_weights.weights.pop();
    for (op, what, found, wanted) in [
        (short_bias, "number of biases", 2, 3),
        (few_weights, "number of weights", 5, 6),
        (conv(good.window, &[1; 3], [3, 1]), "input channels", 1, 2),
        (conv(good.window, &[1; 4], [2, 2]), "output channels", 2, 3),
    ] {
        let error = eval_error(&graph_of(op), std::slice::from_ref(&x));
        let node = "node_0".to_owned();
        let expected = ReferenceError::Parameters {
            node,
            what,
            found,
            wanted,
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn an_accumulator_beyond_int32_is_an_error() {
    let mut op = conv(window([1, 1], [1, 1]), &[127], [1, 1]);
    op.bias = vec![i32::MAX];
    let graph = graph(
        QOp::Conv2d(op),
        &[int8("x", &[1, 1, 1], 0)],
        int8("y", &[1, 1, 1], 0),
    );
    let error = eval_error(&graph, &[i8s(&[1, 1, 1], &[1])]);
    assert!(matches!(
        error,
        ReferenceError::AccumulatorOverflow {
            channel: 0,
            value: 2_147_483_774,
            ..
        }
    ));
}

/// Size and content of a random convolution.
#[derive(Debug)]
struct Case {
    op: Conv2d,
    zero_point: i32,
    input: [usize; 3],
    x: Vec<i8>,
}

fn case() -> impl Strategy<Value = Case> {
    let sizes = (1usize..6, 1usize..6, 1usize..4, 1usize..4);
    let kernel = (1usize..4, 1usize..4, 1usize..3, 1usize..3);
    let place = (1usize..3, 1usize..3, 0usize..3, 0usize..3);
    (sizes, kernel, place, -128i32..=127, any::<bool>()).prop_flat_map(
        |((h, w, ic, oc), (kh, kw, sh, sw), (dh, dw, ph, pw), zero_point, relu)| {
            let weights = prop::collection::vec(-128i16..=127, oc * kh * kw * ic);
            let bias = prop::collection::vec(-5000i32..5000, oc);
            let shifts = prop::collection::vec(0u32..10, oc);
            let x = prop::collection::vec(any::<i8>(), h * w * ic);
            (weights, bias, shifts, x).prop_map(move |(weights, bias, shifts, x)| Case {
                op: Conv2d {
                    window: Window {
                        kernel: [kh, kw],
                        stride: [sh, sw],
                        dilation: [dh, dw],
                        pad: [ph, pw],
                    },
                    weights,
                    weight_zero_points: vec![0; oc],
                    groups: 1,
                    out_channels: oc,
                    in_channels: ic,
                    bias,
                    requant: shifts.into_iter().map(|s| shifted(s, 3)).collect(),
                    lower_is_activation: relu,
                },
                zero_point,
                input: [h, w, ic],
                x,
            })
        },
    )
}

/// The sum over an explicitly padded input.
fn naive(case: &Case, [oh, ow]: [usize; 2]) -> Vec<i8> {
    let (op, [h, w, ic]) = (&case.op, case.input);
    let Window {
        kernel: [kh, kw],
        stride: [sh, sw],
        dilation: [dh, dw],
        pad: [ph, pw],
    } = op.window;
    let margin = 16;
    let side = |n: usize| n + 2 * margin;
    let mut padded = vec![i64::from(case.zero_point); side(h) * side(w) * ic];
    let at = |y: usize, x: usize, c: usize| (y * side(w) + x) * ic + c;
    for (i, &q) in case.x.iter().enumerate() {
        let (y, x, c) = (i / (w * ic), i / ic % w, i % ic);
        padded[at(y + margin, x + margin, c)] = q.into();
    }
    let mut out = Vec::new();
    for (y, x, o) in triples(oh, ow, op.out_channels) {
        let mut acc = i64::from(op.bias[o]);
        for (ky, kx, c) in triples(kh, kw, ic) {
            let value = padded[at(
                y * sh + ky * dh + margin - ph,
                x * sw + kx * dw + margin - pw,
                c,
            )];
            let weight = op.weights[((o * kh + ky) * kw + kx) * ic + c];
            acc += i64::from(weight) * (value - i64::from(case.zero_point));
        }
        out.push(op.requant[o].apply(acc) as i8);
    }
    out
}

fn triples(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a * b * c).map(move |i| (i / (b * c), i / c % b, i % c))
}

proptest! {
    #[test]
    fn every_geometry_equals_the_sum_over_an_explicitly_padded_input(
        case in case(), oh in 1usize..5, ow in 1usize..5,
    ) {
        let graph = graph(
            QOp::Conv2d(case.op.clone()),
            &[int8("x", &case.input, case.zero_point)],
            int8("y", &[oh, ow, case.op.out_channels], 3),
        );
        let (found, _) = eval(&graph, &[i8s(&case.input, &case.x)]);
        prop_assert_eq!(found, naive(&case, [oh, ow]));
    }
}
