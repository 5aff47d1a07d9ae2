//! Layers whose output scale a later QuantizeLinear states: sums of products, operations on two
//! operands, averages, concatenations.

use std::rc::Rc;

use macforge_numeric::{AveragePoolRule, BinaryRule, Clamp, FloatOperation, Semantics};

use super::lstm::LstmParts;
use super::value::{Int, RealTable, Value};
use super::{Node, Output, Pass};
use crate::QuantError;
use crate::graph::{Conv2d, FullyConnected, MatMul, QOp, Window};

/// A layer without its output scale, and the real bounds that Relu and Clip put on its result.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// Index of the layer's node.
    pub node: usize,
    pub inputs: Vec<Int>,
    pub layer: Layer,
    /// Shape in ONNX of the result.
    pub shape: Vec<usize>,
    pub place: super::value::Place,
    pub lower: f32,
    pub upper: f32,
    /// The weights are int16.
    pub wide_weights: bool,
}

/// What the layer computes.
#[derive(Clone, Debug)]
pub(super) enum Layer {
    /// Requantizers follow; with the weights' scale per output channel.
    Conv(Conv2d, Vec<f32>),
    /// The transposed convolution.
    ConvTranspose(Conv2d, Vec<f32>),
    /// Over the whole input.
    FullyConnected(FullyConnected, Vec<f32>),
    /// Of two computed operands.
    MatMul { transpose_b: bool },
    /// float32 operation of two operands.
    Binary(FloatOperation),
    /// Average over a window; the divisor where padding counts.
    Average(Window, Option<u32>),
    /// A recurrent layer, of which all hidden states are wanted, or the last one.
    Lstm {
        /// Weights and scales.
        parts: Rc<LstmParts>,
        /// Only the last hidden state.
        last: bool,
    },
    /// Queries, keys and values `[T, heads * D]`.
    Attention {
        /// Heads.
        heads: usize,
        /// What the scores are multiplied with.
        factor: f64,
    },
    /// Parts with their real tables, along a dimension of ONNX.
    Concat(Vec<RealTable>, usize),
}

impl Pending {
    pub fn new(node: &Node, inputs: Vec<Int>, layer: Layer, shape: Vec<usize>) -> Self {
        let place = super::place::image(&shape);
        Pending {
            node: node.index,
            inputs,
            layer,
            shape,
            place,
            lower: f32::NEG_INFINITY,
            upper: f32::INFINITY,
            wide_weights: false,
        }
    }

    /// The same with int16 weights or narrower ones.
    pub fn with_weights(self, wide_weights: bool) -> Self {
        Self {
            wide_weights,
            ..self
        }
    }

    /// The same with results held inside `lower..=upper`.
    pub fn bounded(mut self, lower: f32, upper: f32) -> Self {
        self.lower = self.lower.max(lower).min(upper);
        self.upper = self.upper.min(upper).max(lower);
        self
    }

    /// Output bounds in integers: QuantizeLinear is monotone, so bounding before it or after it
    /// with the bounds quantized is the same.
    fn clamp(&self, output: &Output) -> Clamp {
        let out = output.params;
        let [lo, hi] = [self.lower, self.upper].map(|bound| match output.wide {
            true => out.quantize_wide(Semantics::OrtX86, bound).into(),
            false => out.quantize_even(bound).into(),
        });
        Clamp { lo, hi }
    }

    /// The layer follows the rule of int16 operands and results.
    fn is_wide(&self, output: &Output) -> bool {
        output.wide || self.wide_weights || self.inputs.iter().any(|i| i.wide)
    }
}

impl Pass<'_> {
    /// Builds the layer, now that its output's parameters are known, as the value `output`.
    pub(super) fn settle(
        &mut self,
        node: &Node,
        pending: Pending,
        output: Output,
    ) -> Result<(), QuantError> {
        let layer_node = self.node(pending.node);
        let y = output.params;
        let clamp = pending.clamp(&output);
        // values below the bound are cut off by an activation, not by the type
        let lower_is_activation = clamp.lo >= y.zero_point;
        let inputs: Vec<_> = pending.inputs.iter().map(|i| i.tensor).collect();
        let wide = pending.is_wide(&output);
        let requantizers = |scales: &[f32]| {
            let x = pending.inputs[0].params.scale;
            if wide {
                return super::wide::requantizers(x, scales, &output, clamp).map_err(
                    |(channel, e)| layer_node.rule(format!("output channel {channel}"), e),
                );
            }
            self.requantizers(&layer_node, x, scales, y, clamp)
        };
        let op = match pending.layer {
            Layer::Conv(conv, scales) => QOp::Conv2d(Conv2d {
                requant: requantizers(&scales)?,
                lower_is_activation,
                ..conv
            }),
            Layer::ConvTranspose(conv, scales) => QOp::ConvTranspose2d(Conv2d {
                requant: requantizers(&scales)?,
                lower_is_activation,
                ..conv
            }),
            Layer::FullyConnected(fc, scales) => QOp::FullyConnected(FullyConnected {
                requant: requantizers(&scales)?,
                lower_is_activation,
                ..fc
            }),
            Layer::MatMul { transpose_b } => QOp::MatMul(MatMul {
                transpose_b,
                requant: requantizers(&[pending.inputs[1].params.scale])?.pop(),
            }),
            Layer::Binary(operation) => {
                let [a, b] = [0, 1].map(|i| pending.inputs[i].params);
                let rule = BinaryRule::float(operation, a, b, y)
                    .map_err(|e| layer_node.rule("scales", e))?;
                QOp::Binary(rule.clamped(clamp, lower_is_activation))
            }
            Layer::Average(window, divisor) => {
                let x = pending.inputs[0].params;
                let rule = AveragePoolRule::ort(x, y, divisor, clamp)
                    .map_err(|e| layer_node.rule("scales", e))?;
                QOp::AveragePool(window, rule)
            }
            Layer::Lstm { parts, last } => {
                let bounds = [pending.lower, pending.upper];
                if bounds != [f32::NEG_INFINITY, f32::INFINITY] {
                    let found = "a bounded hidden state";
                    return Err(layer_node.parameter(found, "QuantizeLinear behind LSTM"));
                }
                let x = &pending.inputs[0];
                return self.settle_lstm(&layer_node, x, &parts, last, output);
            }
            Layer::Attention { heads, factor } => {
                let attention = (heads, factor);
                return self.settle_attention(&layer_node, &pending, attention, output);
            }
            Layer::Concat(tables, along) => {
                let parts = pending.inputs.iter().zip(tables);
                let same = parts
                    .map(|(part, reals)| self.requantized(node, part, &reals, &output))
                    .collect::<Result<Vec<_>, _>>()?;
                let name = output.name.clone();
                let value = self.joined(&layer_node, &same, along, output)?;
                self.set(&name, Value::Int(value));
                return Ok(());
            }
        };
        self.emit(
            &layer_node,
            op,
            inputs,
            pending.shape,
            pending.place,
            output,
        );
        Ok(())
    }
}
