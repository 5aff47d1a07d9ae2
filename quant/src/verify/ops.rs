//! Invariants of each operation: shapes, counts, clamps, zero points.

use macforge_numeric::{AffineParams, Clamp, RequantRule, Requantizer, SoftmaxRule};

use super::host;
use super::{attention, lstm, movement};
use super::{invalid, place};
use crate::QuantError;
use crate::graph::{Conv2d, DType, FullyConnected, QGraph, QNode, QOp, QTensor, Window};

/// Largest average whose sum of int8 values stays inside int32.
const MAX_AVERAGE: usize = (1 << 24) - 1;

/// Checks one node whose ids are in range and whose tensors are valid.
pub(super) fn verify(graph: &QGraph, node: &QNode) -> Result<(), QuantError> {
    let check = Check {
        node,
        input: graph.tensor(node.inputs[0]),
        output: graph.tensor(node.output),
    };
    match &node.op {
        QOp::Conv2d(conv) => check.conv2d(conv),
        QOp::ConvTranspose2d(conv) => check.conv_weights(conv),
        QOp::MatMul(product) => movement::matmul(&check, graph.tensor(node.inputs[1]), product),
        QOp::Transpose(perm) => movement::transpose(&check, perm),
        QOp::Concat(axis) => {
            let inputs: Vec<&QTensor> = node.inputs.iter().map(|&t| graph.tensor(t)).collect();
            movement::concat(&check, &inputs, *axis)
        }
        QOp::Slice { start, step } => movement::slice(&check, start, step),
        QOp::Pad { before, .. } => movement::pad(&check, before),
        QOp::Resize { rows, columns } => movement::resize(&check, rows, columns),
        QOp::FullyConnected(fc) => check.fully_connected(fc),
        QOp::Binary(rule) => {
            let b = graph.tensor(node.inputs[1]);
            if broadcast_shape(&check.input.shape, &b.shape).as_ref() != Some(&check.output.shape) {
                let [a, b, y] = [check.input, b, check.output].map(|t| &t.shape);
                return check.fail(format!("{a:?} and {b:?} do not give {y:?}"));
            }
            check.clamp(rule.clamp)?;
            check.zero_point(rule.zero_point)
        }
        QOp::MaxPool(window, clamp) => {
            check.pool(window)?;
            check.clamp(*clamp)
        }
        QOp::AveragePool(window, rule) => {
            check.pool(window)?;
            let [h, w, _] = check.input.hwc();
            let largest = window.kernel[0].min(h) * window.kernel[1].min(w);
            if largest > MAX_AVERAGE {
                return check.fail(format!("average over {largest} values"));
            }
            check.clamp(rule.clamp)
        }
        QOp::Reshape if check.input.elements() == check.output.elements() => Ok(()),
        QOp::Reshape => check.fail("input and output differ in size"),
        QOp::Table(_) | QOp::Quantize | QOp::Dequantize => check.same_shape(check.input),
        QOp::Softmax(_) => check.softmax(),
        QOp::Lstm(op) => lstm::verify(&check, op),
        QOp::Attention(op) => {
            let operand = |i: usize| graph.tensor(node.inputs[i]);
            attention::verify(&check, [operand(1), operand(2)], op)
        }
        QOp::Host(op) => host::verify(&check, op),
    }
}

/// The shape of an element-wise function of two tensors, by numpy's rule; `None` where they do not
/// fit.
pub(crate) fn broadcast_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], d: usize| match (d + shape.len()).checked_sub(rank) {
        Some(own) => shape[own],
        None => 1,
    };
    let join = |d| match (size(a, d), size(b, d)) {
        (x, y) if x == y => Some(x),
        (1, other) | (other, 1) => Some(other),
        _ => None,
    };
    (0..rank).map(join).collect()
}

/// A node with its first input and its output.
pub(super) struct Check<'a> {
    pub node: &'a QNode,
    pub input: &'a QTensor,
    pub output: &'a QTensor,
}

impl Check<'_> {
    pub(super) fn fail(&self, what: impl Into<String>) -> Result<(), QuantError> {
        invalid(place(self.node), what)
    }

    fn same_shape(&self, other: &QTensor) -> Result<(), QuantError> {
        if other.shape == self.output.shape {
            return Ok(());
        }
        self.fail(format!(
            "shapes {:?} and {:?} differ",
            other.shape, self.output.shape
        ))
    }

    fn conv2d(&self, conv: &Conv2d) -> Result<(), QuantError> {
        self.window(&conv.window)?;
        self.conv_weights(conv)
    }

    fn conv_weights(&self, conv: &Conv2d) -> Result<(), QuantError> {
        let channels = (self.input.hwc()[2], self.output.hwc()[2]);
        if channels != (conv.in_channels, conv.out_channels) {
            return self.fail(format!("tensors with {channels:?} channels in and out"));
        }
        let groups = conv.groups;
        if groups == 0 || !channels.0.is_multiple_of(groups) || !channels.1.is_multiple_of(groups) {
            return self.fail(format!("{groups} groups on {channels:?} channels"));
        }
        let [kh, kw] = conv.window.kernel;
        let taps = kh
            .checked_mul(kw)
            .and_then(|t| t.checked_mul(conv.group_channels()));
        self.weighted(
            conv.weights.len(),
            taps,
            &conv.weight_zero_points,
            conv.out_channels,
        )?;
        self.wide_rule(&conv.weights, &conv.weight_zero_points, &conv.requant)?;
        self.channels(&conv.bias, &conv.requant, conv.out_channels)
    }

    fn fully_connected(&self, fc: &FullyConnected) -> Result<(), QuantError> {
        let sizes = (self.input.elements(), self.output.elements());
        if sizes != (fc.in_features, fc.out_channels) {
            return self.fail(format!("tensors with {sizes:?} elements in and out"));
        }
        let zero_points = &fc.weight_zero_points;
        self.weighted(
            fc.weights.len(),
            Some(fc.in_features),
            zero_points,
            fc.out_channels,
        )?;
        self.wide_rule(&fc.weights, &fc.weight_zero_points, &fc.requant)?;
        self.channels(&fc.bias, &fc.requant, fc.out_channels)
    }

    /// Layers with an int16 operand or result have the rule for them; wide weights are symmetric.
    fn wide_rule(
        &self,
        weights: &[i16],
        zero_points: &[i32],
        requant: &[Requantizer],
    ) -> Result<(), QuantError> {
        let wide_weights = weights.iter().any(|&w| i8::try_from(w).is_err());
        if wide_weights && zero_points.iter().any(|&z| z != 0) {
            return self.fail("weights of more than 8 bits with zero points");
        }
        let wide = wide_weights
            || [self.input, self.output]
                .iter()
                .any(|t| t.dtype == DType::I16);
        let has_rule = |r: &Requantizer| matches!(r.rule, RequantRule::Wide { .. });
        if wide && (requant.is_empty() || !requant.iter().all(has_rule)) {
            return self.fail("int16 values without the rule for them");
        }
        Ok(())
    }

    fn weighted(
        &self,
        found: usize,
        taps: Option<usize>,
        zero_points: &[i32],
        channels: usize,
    ) -> Result<(), QuantError> {
        let int8 = zero_points.iter().all(|&z| i8::try_from(z).is_ok());
        if zero_points.len() != channels || !int8 {
            return self.fail("weight zero points, wanted one int8 per output channel");
        }
        let wanted = taps.and_then(|t| t.checked_mul(channels));
        if wanted == Some(found) && found > 0 {
            return Ok(());
        }
        self.fail(format!("{found} weights do not fit the shape"))
    }

    /// Bias and requantizers per output channel, agreeing with the output tensor.
    fn channels(
        &self,
        bias: &[i32],
        requant: &[Requantizer],
        channels: usize,
    ) -> Result<(), QuantError> {
        let wanted = if self.output.dtype == DType::I32 {
            0
        } else {
            channels
        };
        if bias.len() != channels || requant.len() != wanted {
            let (b, r) = (bias.len(), requant.len());
            return self.fail(format!(
                "{b} biases and {r} requantizers for {channels} channels"
            ));
        }
        for r in requant {
            self.clamp(r.clamp)?;
            self.zero_point(r.zero_point)?;
        }
        Ok(())
    }

    pub(super) fn clamp(&self, clamp: Clamp) -> Result<(), QuantError> {
        match clamp.check(self.output.dtype.limits().unwrap_or(Clamp::INT8)) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(error.to_string()),
        }
    }

    pub(super) fn zero_point(&self, found: i32) -> Result<(), QuantError> {
        if self.output.quant.is_some_and(|q| q.zero_point == found) {
            return Ok(());
        }
        self.fail(format!("zero point {found} is not the output tensor's"))
    }

    fn pool(&self, window: &Window) -> Result<(), QuantError> {
        if self.input.hwc()[2] != self.output.hwc()[2] {
            return self.fail("input and output differ in channels");
        }
        self.window(window)
    }

    /// Positive sizes, and every window position overlaps the input in each dimension.
    pub(super) fn window(&self, window: &Window) -> Result<(), QuantError> {
        let (input, output) = (self.input.hwc(), self.output.hwc());
        for i in 0..2 {
            let (kernel, stride, dilation) =
                (window.kernel[i], window.stride[i], window.dilation[i]);
            let reach = kernel
                .checked_sub(1)
                .and_then(|k| k.checked_mul(dilation))
                .map(|k| k.saturating_add(1));
            let last = (output[i] - 1).checked_mul(stride);
            let inside = stride >= 1
                && dilation >= 1
                && reach.is_some_and(|reach| window.pad[i] < reach)
                && last.is_some_and(|last| last < input[i].saturating_add(window.pad[i]));
            if !inside {
                return self.fail(format!("{window} on {input:?} does not give {output:?}"));
            }
        }
        Ok(())
    }

    fn softmax(&self) -> Result<(), QuantError> {
        self.same_shape(self.input)?;
        let wanted = AffineParams {
            scale: 1.0 / 256.0,
            zero_point: -128,
        };
        if self.output.quant != Some(wanted) {
            return self.fail("output parameters, wanted scale 1/256 and zero point -128");
        }
        let row = self.output.hwc()[2];
        if row > SoftmaxRule::MAX_ELEMENTS {
            let most = SoftmaxRule::MAX_ELEMENTS;
            return self.fail(format!(
                "softmax over {row} values, at most {most} are exact"
            ));
        }
        Ok(())
    }
}
