//! FULLY_CONNECTED by hand and against a plain sum.

mod common;

use common::{eval, eval_error, graph, i8s, identity, int8, shifted};
use macforge_quant::{FullyConnected, QOp};
use macforge_reference::ReferenceError;
use proptest::prelude::*;

fn layer(weights: &[i16], bias: &[i32]) -> FullyConnected {
    FullyConnected {
        weights: weights.to_vec(),
        weight_zero_points: vec![0; bias.len()],
        out_channels: bias.len(),
        in_features: weights.len() / bias.len(),
        bias: bias.to_vec(),
        requant: vec![identity(-1); bias.len()],
        lower_is_activation: false,
    }
}

#[test]
fn two_rows_by_hand_over_a_flattened_input() {
    // x - zx = [1, 2, 3, 4]: 1 - 2 + 3 - 4 + 10 - 1 and 4 * 10 - 20 - 1.
    let op = layer(&[1, -1, 1, -1, 4, 4, 4, 4], &[10, -20]);
    let graph = graph(
        QOp::FullyConnected(op),
        &[int8("x", &[2, 1, 2], 5)],
        int8("y", &[2], -1),
    );
    let x = i8s(&[2, 1, 2], &[6, 7, 8, 9]);
    assert_eq!(eval(&graph, &[x]), (vec![7, 19], 0));
}

#[test]
fn a_wrong_number_of_features_is_named() {
    let op = layer(&[1, 2, 3], &[0]);
    let graph = graph(
        QOp::FullyConnected(op),
        &[int8("x", &[4], 0)],
        int8("y", &[1], 0),
    );
    let error = eval_error(&graph, &[i8s(&[4], &[0; 4])]);
    assert_eq!(
        error,
        ReferenceError::Parameters {
            node: "node_0".to_owned(),
            what: "input features",
            found: 3,
            wanted: 4,
        }
    );
}

proptest! {
    #[test]
    fn rows_equal_plain_sums(
        x in prop::collection::vec(any::<i8>(), 37),
        weights in prop::collection::vec(-128i16..=127, 37 * 3),
        bias in prop::collection::vec(-100_000i32..100_000, 3),
        zero_point in -128i32..=127,
    ) {
        let mut op = layer(&weights, &bias);
        op.requant = vec![shifted(9, 2), shifted(12, -128), shifted(14, 0)];
        let wanted: Vec<i8> = (0..3)
            .map(|row| {
                let products = (0..37).map(|i| {
                    i64::from(weights[row * 37 + i]) * (i64::from(x[i]) - i64::from(zero_point))
                });
                op.requant[row].apply(products.sum::<i64>() + i64::from(bias[row])) as i8
            })
            .collect();
        let graph = graph(
            QOp::FullyConnected(op),
            &[int8("x", &[37], zero_point)],
            int8("y", &[3], 0),
        );
        prop_assert_eq!(eval(&graph, &[i8s(&[37], &x)]).0, wanted);
    }
}
