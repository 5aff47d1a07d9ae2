//! MAX_POOL_2D and AVERAGE_POOL_2D by hand and against padded enumeration.

mod common;

use common::{eval, eval_error, graph, i8s, int8, window};
use macforge_numeric::pool::Mean;
use macforge_numeric::{AveragePoolRule, Clamp};
use macforge_quant::{QOp, Window};
use macforge_reference::ReferenceError;
use proptest::prelude::*;

const AVERAGE: AveragePoolRule = AveragePoolRule {
    mean: Mean::Tflite,
    clamp: Clamp::INT8,
};

#[test]
fn two_by_two_windows_by_hand() {
    let x = i8s(&[2, 4, 1], &[1, 2, -5, -6, 3, 5, -7, -9]);
    let tensors = (&[int8("x", &[2, 4, 1], 0)], int8("y", &[1, 2, 1], 0));
    let pooled = |op: QOp| {
        let graph = graph(op, tensors.0, tensors.1.clone());
        eval(&graph, std::slice::from_ref(&x))
    };
    let w = window([2, 2], [2, 2]);
    assert_eq!(pooled(QOp::MaxPool(w, Clamp::INT8)), (vec![5, -5], 0));
    // 11 / 4 = 2.75 and -27 / 4 = -6.75.
    assert_eq!(pooled(QOp::AveragePool(w, AVERAGE)), (vec![3, -7], 0));
}

#[test]
fn padding_counts_neither_for_the_maximum_nor_for_the_mean() {
    // Only one of four taps lies inside; a padded zero or -128 would show.
    let x = i8s(&[1, 1, 1], &[-100]);
    let w = Window {
        pad: [1, 1],
        ..window([2, 2], [1, 1])
    };
    for op in [QOp::MaxPool(w, Clamp::INT8), QOp::AveragePool(w, AVERAGE)] {
        let graph = graph(op, &[int8("x", &[1, 1, 1], 7)], int8("y", &[2, 2, 1], 7));
        assert_eq!(eval(&graph, std::slice::from_ref(&x)).0, [-100; 4]);
    }
}

#[test]
fn clamps_apply_after_pooling() {
    let clamp = Clamp { lo: -10, hi: 10 };
    let x = i8s(&[1, 2, 2], &[50, -50, 60, -60]);
    let w = window([1, 2], [1, 1]);
    for op in [
        QOp::MaxPool(w, clamp),
        QOp::AveragePool(w, AveragePoolRule::tflite(clamp)),
    ] {
        let graph = graph(op, &[int8("x", &[1, 2, 2], 0)], int8("y", &[1, 1, 2], 0));
        assert_eq!(eval(&graph, std::slice::from_ref(&x)).0, [10, -10]);
    }
}

#[test]
fn a_window_without_input_is_an_error() {
    for op in [
        QOp::MaxPool(window([1, 1], [1, 1]), Clamp::INT8),
        QOp::AveragePool(window([1, 1], [1, 1]), AVERAGE),
    ] {
        let graph = graph(op, &[int8("x", &[1, 1, 1], 0)], int8("y", &[2, 1, 1], 0));
        let error = eval_error(&graph, &[i8s(&[1, 1, 1], &[3])]);
        let node = "node_0".to_owned();
        let expected = ReferenceError::EmptyWindow {
            node,
            row: 1,
            column: 0,
        };
        assert_eq!(error, expected);
    }
}

proptest! {
    #[test]
    fn pools_equal_the_enumeration_of_all_taps(
        x in prop::collection::vec(any::<i8>(), 5 * 4 * 2),
        kernel in (1usize..4, 1usize..4), stride in (1usize..3, 1usize..3),
        pad in (0usize..2, 0usize..2),
    ) {
        let (kernel, stride) = ([kernel.0 + pad.0, kernel.1 + pad.1], [stride.0, stride.1]);
        let w = Window { pad: [pad.0, pad.1], ..window(kernel, stride) };
        let (mut max, mut mean) = (Vec::new(), Vec::new());
        for (row, column, channel) in (0..8).map(|i| (i / 4, i / 2 % 2, i % 2)) {
            let mut taps = Vec::new();
            for (ky, kx) in (0..kernel[0] * kernel[1]).map(|t| (t / kernel[1], t % kernel[1])) {
                let y = (row * stride[0] + ky) as i64 - pad.0 as i64;
                let x_at = (column * stride[1] + kx) as i64 - pad.1 as i64;
                if (0..5).contains(&y) && (0..4).contains(&x_at) {
                    taps.push(i64::from(x[(y as usize * 4 + x_at as usize) * 2 + channel]));
                }
            }
            max.push(*taps.iter().max().unwrap() as i8);
            // Exact in float64; `round` is half away from zero.
            let sum = taps.iter().sum::<i64>() as f64;
            mean.push((sum / taps.len() as f64).round() as i8);
        }
        for (op, wanted) in [
            (QOp::MaxPool(w, Clamp::INT8), max),
            (QOp::AveragePool(w, AVERAGE), mean),
        ] {
            let graph = graph(op, &[int8("x", &[5, 4, 2], 0)], int8("y", &[2, 2, 2], 0));
            prop_assert_eq!(eval(&graph, &[i8s(&[5, 4, 2], &x)]).0, wanted);
        }
    }
}
