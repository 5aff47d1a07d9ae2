//! FULLY_CONNECTED: `y[oc] = requant(sum(w * (x - zx)) + bias)` over the flattened input.

use macforge_quant::FullyConnected;

use super::{Context, Output};
use crate::dot::Rows;
use crate::error::ReferenceError;
use crate::prepare::Prepared;
use crate::product::biased;

pub(super) fn eval(cx: &Context, op: &FullyConnected) -> Result<Output, ReferenceError> {
    if let Prepared::Product(product) = cx.prepared {
        let mut x: Vec<u8> = cx.input(0)?.iter().map(|&q| biased(q)).collect();
        cx.expect("input features", op.in_features, x.len())?;
        x.resize(product.stride(), 0);
        let mut elements = vec![0; product.channels()];
        let saturations = product.apply(&x, &mut elements);
        return cx.output(elements, saturations);
    }
    let x = cx.centred_input()?;
    let rows = Rows {
        weights: &op.weights,
        weight_zero_points: &op.weight_zero_points,
        bias: &op.bias,
        requant: &op.requant,
        lower_is_activation: op.lower_is_activation,
        limits: cx.output_limits(),
    };
    cx.expect("input features", op.in_features, x.len())?;
    rows.check(cx, op.out_channels, op.in_features)?;
    let mut elements = rows.elements(op.out_channels);
    rows.apply(cx, &x, 0..op.out_channels, &mut elements)?;
    cx.accumulated(elements)
}
