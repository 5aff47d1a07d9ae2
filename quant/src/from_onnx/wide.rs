//! int16 values: which operations take them, and how they become int8 and the reverse.

use macforge_numeric::{Clamp, NumericError, Requantizer};

use super::value::{Int, Value};
use super::{Node, Output, Pass, place};
use crate::QuantError;
use crate::graph::{Conv2d, DType, QGraph, QOp, Window};

/// A weight that stands for 1 where values only change their scale: from int8 to int16 that is often by
/// more than the rule's largest factor of 128.
const UNIT: i16 = 64;

/// Refuses int16 tensors in operations that have no rule for them.
pub(super) fn check(graph: &QGraph) -> Result<(), QuantError> {
    let wide = |id: &crate::graph::TensorId| graph.tensor(*id).dtype == DType::I16;
    for node in graph.nodes.iter().filter(|n| !n.op.takes_int16()) {
        let mut tensors = node.inputs.iter().chain([&node.output]);
        if let Some(id) = tensors.find(|id| wide(id)) {
            return Err(QuantError::Parameter {
                node: node.source.clone(),
                found: format!(
                    "int16 values `{}` in {}",
                    graph.tensor(*id).name,
                    node.op.kind()
                ),
                wanted:
                    "8 bits: int16 is for the inputs and results of Conv, Gemm and MatMul with \
                         constant weights, and of reshapes; set activations = { bits = 8 } for the \
                         layer that computes them"
                        .into(),
            });
        }
    }
    Ok(())
}

/// Requantizers of a layer with int16 input or output, from accumulators in units of `x * w`.
pub(super) fn requantizers(
    x: f32,
    scales: &[f32],
    output: &Output,
    clamp: Clamp,
) -> Result<Vec<Requantizer>, (usize, NumericError)> {
    let y = output.params;
    let requantizer = |(channel, &w): (usize, &f32)| {
        let real = f64::from(x) * f64::from(w) / f64::from(y.scale);
        Requantizer::wide(real, y.zero_point, clamp).map_err(|e| (channel, e))
    };
    scales.iter().enumerate().map(requantizer).collect()
}

impl Pass<'_> {
    /// The value `output.name`: the real values of `of` with other parameters, where one of the two is
    /// int16. A convolution with one weight of [`UNIT`] per channel.
    pub(super) fn rescaled(
        &mut self,
        node: &Node,
        of: &Int,
        output: Output,
    ) -> Result<(), QuantError> {
        let name = output.name.clone();
        if of.wide == output.wide && of.params == output.params {
            self.set(&name, Value::Int(of.clone()));
            return Ok(());
        }
        let channels = *place::tensor_shape(&of.shape, &of.place)
            .last()
            .unwrap_or(&1);
        let clamp = if output.wide {
            Clamp::INT16
        } else {
            Clamp::INT8
        };
        let scales = vec![1.0 / f32::from(UNIT); channels];
        let requant = requantizers(of.params.scale, &scales, &output, clamp)
            .map_err(|(_, error)| node.rule("scales", error))?;
        let op = QOp::Conv2d(Conv2d {
            window: Window {
                kernel: [1, 1],
                stride: [1, 1],
                dilation: [1, 1],
                pad: [0, 0],
            },
            weights: vec![UNIT; channels],
            weight_zero_points: vec![0; channels],
            groups: channels,
            out_channels: channels,
            in_channels: channels,
            bias: vec![0; channels],
            requant,
            lower_is_activation: false,
        });
        let (shape, place) = (of.shape.clone(), of.place.clone());
        self.emit(node, op, vec![of.tensor], shape, place, output);
        Ok(())
    }
}
