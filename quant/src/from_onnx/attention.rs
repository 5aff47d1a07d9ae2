//! Scaled dot-product attention: `MatMul(q, k)`, factors, `Softmax`, `MatMul(shares, v)`, with q, k and v
//! behind DequantizeLinear and QuantizeLinear behind the last product.
//!
//! The rule is this project's own ([`AttentionRule`]), not onnxruntime's float32. Queries and values are
//! `[.., H, T, D]`, keys `[.., H, D, T]`, as reshaped and transposed projections are; the tensors of the
//! integer graph are the projections `[T, H * D]` themselves.

use macforge_numeric::AttentionRule;

use super::pending::{Layer, Pending};
use super::value::{Int, Place, Value};
use super::{Node, Output, Pass};
use crate::QuantError;
use crate::graph::{Attention, QOp};

/// Scores of attention, or what softmax makes of them.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    /// `[Tq, H * D]`.
    query: Int,
    /// `[Tk, H * D]`.
    key: Int,
    heads: usize,
    /// Product of all factors.
    factor: f64,
    /// Whether softmax was applied.
    shares: bool,
}

impl Pass<'_> {
    /// Whether a product's result goes through factors to softmax only.
    pub(super) fn leads_to_softmax(&self, name: &str) -> bool {
        let mut name = name;
        loop {
            if self.model.outputs.iter().any(|o| o.name == name) {
                return false;
            }
            let nodes = self.model.nodes.iter();
            let mut readers = nodes.filter(|n| n.inputs.iter().any(|i| i == name));
            let (Some(reader), None) = (readers.next(), readers.next()) else {
                return false;
            };
            match (reader.op_type.as_str(), reader.output(0)) {
                ("Softmax", _) => return true,
                // outputs come behind inputs in a topological order: this ends
                ("Mul" | "Div", Some(output)) => name = output,
                _ => return false,
            }
        }
    }

    /// The first product of attention.
    pub(super) fn scores(&mut self, node: &Node) -> Result<(), QuantError> {
        let (q, k) = (self.plain_operand(node, 0)?, self.plain_operand(node, 1)?);
        let (heads, query) = self.by_token(node, &q, [1, 2])?;
        let (of_keys, key) = self.by_token(node, &k, [2, 1])?;
        if heads != of_keys {
            let found = format!("{heads} heads of queries and {of_keys} of keys");
            return Err(node.parameter(found, "as many heads"));
        }
        let scores = Scores {
            query,
            key,
            heads,
            factor: 1.0,
            shares: false,
        };
        self.set(node.output(0)?, Value::Scores(Box::new(scores)));
        Ok(())
    }

    /// `[.., H, T, D]` as heads and `[T, H * D]`; `depth` and `tokens` are the places of
    /// D and T, counted from behind the last dimension.
    fn by_token(
        &mut self,
        node: &Node,
        x: &Int,
        [depth, tokens]: [usize; 2],
    ) -> Result<(usize, Int), QuantError> {
        let rank = x.shape.len();
        let leading = rank.saturating_sub(3);
        if rank < 2 || x.shape[..leading].iter().any(|&d| d != 1) {
            let found = format!("an operand of attention of shape {:?}", x.shape);
            return Err(node.parameter(found, "[heads, T, D] behind a batch of 1"));
        }
        let [d, t] = [rank - depth, rank - tokens];
        let (heads, axes) = match rank {
            2 => (1, vec![t, d]),
            _ => (x.shape[rank - 3], vec![t, rank - 3, d]),
        };
        let shape = vec![x.shape[t], heads * x.shape[d]];
        let x = self.placed(node, x, Place::Axes(axes))?;
        let place = Place::Axes(vec![0, 1]);
        Ok((heads, self.reshaped(node, &x, shape, place)))
    }

    /// A factor of the scores, where the node's computed operand are scores.
    pub(super) fn scaled_scores(&mut self, node: &Node) -> Result<bool, QuantError> {
        let scores = |index| match self.operand(node, index) {
            Ok(Value::Scores(scores)) if !scores.shares => Some((index, *scores)),
            _ => None,
        };
        let Some((index, mut scores)) = scores(0).or_else(|| scores(1)) else {
            return Ok(false);
        };
        let factor = self.real_scalar(node, 1 - index).map(f64::from);
        scores.factor = match (node.op.op_type.as_str(), factor) {
            ("Mul", Some(factor)) => scores.factor * factor,
            ("Div", Some(divisor)) if index == 0 => scores.factor / divisor,
            _ => {
                let found = "scores of attention that are changed";
                return Err(self.unsupported(node, found, "a product or quotient with one number"));
            }
        };
        self.set(node.output(0)?, Value::Scores(Box::new(scores)));
        Ok(true)
    }

    /// Softmax of scores; any other has no integer rule.
    pub(super) fn softmax(&mut self, node: &Node) -> Result<(), QuantError> {
        let scores = match self.operand(node, 0) {
            Ok(Value::Scores(scores)) if !scores.shares => scores,
            _ => {
                let found = "softmax outside of attention";
                let wanted = "MatMul, a factor, Softmax, MatMul (at the network's end: float = true \
                              in a quantization policy leaves it to the host)";
                return Err(self.unsupported(node, found, wanted));
            }
        };
        let rank = self.output_shape(node)?.len() as i64;
        // before operator set 13 the default was 1, with all dimensions behind it taken as one
        let default = if self.model.opset() < 13 { 1 } else { -1 };
        let axis = node.op.int("axis").unwrap_or(default);
        if axis != -1 && axis != rank - 1 {
            let found = format!("axis {axis}");
            return Err(self.unsupported(
                node,
                &found,
                "softmax over the keys, the last dimension",
            ));
        }
        let shares = Scores {
            shares: true,
            ..*scores
        };
        self.set(node.output(0)?, Value::Scores(Box::new(shares)));
        Ok(())
    }

    /// The last product of attention, which waits for its QuantizeLinear.
    pub(super) fn attend(&mut self, node: &Node, scores: Scores) -> Result<(), QuantError> {
        if !scores.shares {
            return Err(node.parameter("scores without softmax", "softmax in front of the values"));
        }
        let v = self.plain_operand(node, 1)?;
        let (heads, value) = self.by_token(node, &v, [1, 2])?;
        if heads != scores.heads || value.shape != scores.key.shape {
            let found = format!(
                "{heads} heads of values {:?}, {} of keys {:?}",
                value.shape, scores.heads, scores.key.shape
            );
            return Err(node.parameter(found, "values like the keys"));
        }
        let shape = self.output_shape(node)?;
        let rank = shape.len();
        let axes = match rank {
            2 => vec![0, 1],
            _ => vec![rank - 2, rank - 3, rank - 1],
        };
        let layer = Layer::Attention {
            heads,
            factor: scores.factor,
        };
        let inputs = vec![scores.query, scores.key, value];
        let mut pending = Pending::new(node, inputs, layer, shape);
        pending.place = Place::Axes(axes);
        self.pend(node, pending)
    }

    /// The layer, with its output's parameters.
    pub(super) fn settle_attention(
        &mut self,
        node: &Node,
        pending: &Pending,
        (heads, factor): (usize, f64),
        output: Output,
    ) -> Result<(), QuantError> {
        if [pending.lower, pending.upper] != [f32::NEG_INFINITY, f32::INFINITY] {
            let found = "a bounded result of attention";
            return Err(node.parameter(found, "QuantizeLinear behind the last MatMul"));
        }
        let [query, key, value] = [0, 1, 2].map(|i| pending.inputs[i].params.scale);
        let y = output.params;
        let rule = AttentionRule::new([query, key, value], factor, y.scale, y.zero_point)
            .map_err(|e| node.rule("scales of attention", e))?;
        let name = output.name.clone();
        let inputs = pending.inputs.iter().map(|i| i.tensor).collect();
        let rows = pending.inputs[0].shape.clone();
        let op = QOp::Attention(Attention { heads, rule });
        let place = Place::Axes(vec![0, 1]);
        let context = self.emit_inner(node, op, inputs, rows, place, output);
        let (shape, place) = (pending.shape.clone(), pending.place.clone());
        let context = self.reshaped(node, &context, shape, place);
        self.set(&name, Value::Int(context));
        Ok(())
    }
}
