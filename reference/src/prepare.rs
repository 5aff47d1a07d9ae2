//! What is worked out once for a graph that is evaluated many times.

use macforge_numeric::BinaryRule;
use macforge_quant::{QGraph, QNode, QOp, Window};

use crate::product::Product;

/// Fewer results than this are computed as they come: the table below costs 65,536.
const TABLE_FROM: usize = 4096;

/// The prepared form of one node.
pub(crate) enum Prepared {
    /// Evaluated as the operator states it.
    Plain,
    /// A dense layer's weights, in the form for fast products.
    Product(Product),
    /// A function of two operands.
    Pairs(PairTable),
}

impl Prepared {
    /// Prepares one node.
    pub fn new(graph: &QGraph, node: &QNode) -> Self {
        match &node.op {
            QOp::Binary(rule) if graph.tensor(node.output).elements() >= TABLE_FROM => {
                Prepared::Pairs(PairTable::new(rule))
            }
            _ => product(graph, node).map_or(Prepared::Plain, Prepared::Product),
        }
    }
}

/// A dense layer with symmetric weights.
fn product(graph: &QGraph, node: &QNode) -> Option<Product> {
    let zero_point = graph.tensor(*node.inputs.first()?).quant?.zero_point;
    let symmetric = |zero_points: &[i32]| zero_points.iter().all(|&z| z == 0);
    match &node.op {
        QOp::Conv2d(c) if c.groups == 1 && symmetric(&c.weight_zero_points) => Product::new(
            &c.weights,
            [c.out_channels, positions(&c.window) * c.in_channels],
            &c.bias,
            &c.requant,
            zero_point,
            c.lower_is_activation,
        ),
        QOp::FullyConnected(f) if symmetric(&f.weight_zero_points) => Product::new(
            &f.weights,
            [f.out_channels, f.in_features],
            &f.bias,
            &f.requant,
            zero_point,
            f.lower_is_activation,
        ),
        _ => None,
    }
}

/// Positions of a kernel.
fn positions(window: &Window) -> usize {
    window.kernel.iter().product()
}

/// A rule of two int8 operands on all its 65,536 pairs.
pub(crate) struct PairTable(Vec<u16>);

impl PairTable {
    fn new(rule: &BinaryRule) -> Self {
        let entry = |index: usize| {
            let (a, b) = ((index >> 8) as u8 as i8, index as u8 as i8);
            let saturated = u16::from(rule.saturates(a, b)) << 8;
            saturated | u16::from(rule.apply(a, b).cast_unsigned())
        };
        Self((0..1 << 16).map(entry).collect())
    }

    /// The result, and whether it is a saturation.
    pub fn get(&self, a: i8, b: i8) -> (i8, bool) {
        let index = usize::from(a.cast_unsigned()) << 8 | usize::from(b.cast_unsigned());
        let entry = self.0[index];
        (entry as u8 as i8, entry >> 8 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::PairTable;
    use macforge_numeric::{AffineParams, BinaryRule};

    #[test]
    fn the_table_is_the_rule() {
        let params = |scale: f32, zero_point: i32| AffineParams { scale, zero_point };
        let (a, b, y) = (params(0.02, 5), params(0.03, -128), params(0.025, 127));
        let rule = BinaryRule::tflite_add(a, b, y).unwrap();
        let table = PairTable::new(&rule);
        for a in -128..=127 {
            for b in -128..=127 {
                assert_eq!(table.get(a, b), (rule.apply(a, b), rule.saturates(a, b)));
            }
        }
    }
}
