//! MUL of two tensors: both lie one above the other, as for a maximum, and a window of two rows reaches both.
//! The channel array keeps the window's first value and multiplies its last one by it:
//!
//! `(a - za) * (b - zb) = a*b - zb*a - za*b + za*zb`
//!
//! Two of the terms are products with constant weights, for which the window visits its pixels more than
//! once (a column distance of zero); the last one is the bias.

use super::Pass;
use crate::error::PlanError;
use crate::layers::{LayerKind, ProductLayer};
use crate::staircases;
use macforge_numeric::{
    BinaryRule, Interval, Product, RequantRule, Semantics, StaircaseChannel, solve_lanes,
};
use macforge_quant::Window;

impl Pass<'_> {
    pub(super) fn product(&mut self, index: usize, rule: &BinaryRule) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let numeric = |source| PlanError::Numeric {
            layer: node.source.clone(),
            source,
        };
        let product = Product::solve(rule).map_err(numeric)?;
        let reach = product.reach();
        let [za, zb] = product.zero_points;
        let mut offset = 0;
        let mut requant = product.requant;
        if let RequantRule::Staircase(_) = requant.rule {
            let ort_x86 = self.graph.semantics == Semantics::OrtX86;
            let channel = |constants| StaircaseChannel {
                rule: &requant,
                reach,
                factor: 1,
                // far within the lane's bias
                offsets: Interval::new(-(1 << 20), 1 << 20),
                lower_is_activation: rule.lower_is_activation,
                ties: ort_x86,
                constants,
            };
            let solved = solve_lanes(&[channel(false)])
                .or_else(|none| match ort_x86 {
                    true => solve_lanes(&[channel(true)]),
                    false => Err(none),
                })
                .map_err(numeric)?;
            offset = solved[0].offset;
            requant.zero_point = solved[0].lane.zero_point;
            requant.rule = staircases::lane_rule(&solved[0].lane);
        }
        let h = self.graph.tensor(node.output).hwc()[0];
        let input = self.both_operands(index, [None; 2])?;
        let (weights, columns) = weights(za, zb);
        let layer = ProductLayer {
            window: Window {
                kernel: [2, columns],
                stride: [1, 1],
                dilation: [h, 0],
                pad: [0, 0],
            },
            weights,
            bias: za * zb + offset as i32,
            reach: reach + Interval::point(offset),
            requant,
        };
        let kind = LayerKind::Product(Box::new(layer));
        self.push(index, input, kind, rule.lower_is_activation);
        Ok(())
    }
}

/// Weights of the window's positions, and its columns: `-zb` on the first row, `-za` on the second one
/// before its last position, which is multiplied by the first value instead.
fn weights(za: i32, zb: i32) -> (Vec<i8>, usize) {
    let parts = |z: i32| -> Vec<i8> {
        let first = (-z).min(127);
        let parts = [first, -z - first].into_iter().filter(|&p| p != 0);
        parts.map(|p| p as i8).collect()
    };
    let (of_a, of_b) = (parts(zb), parts(za));
    let columns = of_a.len().max(of_b.len() + 1);
    let mut weights = vec![0; 2 * columns];
    weights[..of_a.len()].copy_from_slice(&of_a);
    weights[columns..columns + of_b.len()].copy_from_slice(&of_b);
    (weights, columns)
}

#[cfg(test)]
mod tests {
    use super::weights;

    #[test]
    fn weights_of_a_row_sum_to_the_other_zero_point() {
        for za in -128..=127 {
            for zb in -128..=127 {
                let (weights, columns) = weights(za, zb);
                let sum = |row: &[i8]| row.iter().map(|&w| i32::from(w)).sum::<i32>();
                let [a, b] = [&weights[..columns], &weights[columns..]];
                assert_eq!([sum(a), sum(b)], [-zb, -za]);
                assert_eq!(b.last(), Some(&0), "the place of the product");
            }
        }
    }
}
