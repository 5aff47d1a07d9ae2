//! Attention, head by head and query by query.

use macforge_numeric::{AttentionRule, Clamp};
use macforge_quant::Attention;

use super::{Context, Output};
use crate::error::ReferenceError;

pub(super) fn eval(cx: &Context, op: &Attention) -> Result<Output, ReferenceError> {
    let [_, _, channels] = cx.output_hwc();
    let heads = op.heads.max(1);
    cx.expect(
        "channels of the heads",
        channels / heads * heads,
        channels.max(1),
    )?;
    let [q, k, v] = [operand(cx, 0)?, operand(cx, 1)?, operand(cx, 2)?];
    cx.expect("values", v.len(), k.len())?;
    cx.expect("keys", k.len() / channels * channels, k.len().max(1))?;
    let width = channels / heads;
    let mut elements = Vec::with_capacity(q.len());
    let mut saturations = 0;
    for query in q.chunks_exact(channels) {
        for head in 0..heads {
            let own = head * width..(head + 1) * width;
            let keys = k.chunks_exact(channels).map(|key| &key[own.clone()]);
            let scores: Vec<i64> = keys.map(|key| product(&query[own.clone()], key)).collect();
            let weights = op.rule.weights(&scores);
            let reciprocal = AttentionRule::reciprocal(weights.iter().sum());
            for channel in own {
                let values = v.iter().skip(channel).step_by(channels);
                let weighted = weights.iter().zip(values);
                let sum = weighted.map(|(&w, &v)| i64::from(w) * v).sum();
                let y = op.rule.unclamped(sum, reciprocal);
                saturations += u64::from(Clamp::INT8.saturates(y, false));
                elements.push(Clamp::INT8.apply(y) as i8);
            }
        }
    }
    cx.output(elements, saturations)
}

/// An operand's values less their zero point.
fn operand(cx: &Context, index: usize) -> Result<Vec<i64>, ReferenceError> {
    let values = cx.input(index)?;
    let zero_point = i64::from(cx.params(cx.node.inputs[index])?.zero_point);
    Ok(values.iter().map(|&q| i64::from(q) - zero_point).collect())
}

fn product(a: &[i64], b: &[i64]) -> i64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
