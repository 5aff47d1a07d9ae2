//! Convolutions and fully connected layers with int16 operands or results, see [`crate::wide`]: int16
//! results are two layers with the same weights, one per byte.

use super::{Pass, unsupported};
use crate::convolution;
use crate::error::PlanError;
use crate::layers::{HwLayer, LayerKind};
use crate::region::Region;
use crate::wide::{Byte, Wide};
use macforge_numeric::{RequantRule, Requantizer};
use macforge_quant::{DType, QOp, TensorId, Window};

impl Pass<'_> {
    /// Shape of the bytes of a tensor.
    pub(super) fn stored_hwc(&self, tensor: TensorId) -> [usize; 3] {
        let [h, w, c] = self.graph.tensor(tensor).hwc();
        let pair = if self.is_wide(tensor) { 2 } else { 1 };
        [pair * h, w, c]
    }

    /// int16.
    pub(super) fn is_wide(&self, tensor: TensorId) -> bool {
        self.graph.tensor(tensor).dtype == DType::I16
    }

    /// The layers of node `index`, if it follows the rule of int16 values.
    pub(super) fn wide_layers(&mut self, index: usize) -> Result<bool, PlanError> {
        let node = &self.graph.nodes[index];
        let (requant, lower_is_activation) = match &node.op {
            QOp::Conv2d(c) => (&c.requant, c.lower_is_activation),
            QOp::FullyConnected(f) => (&f.requant, f.lower_is_activation),
            _ => return Ok(false),
        };
        let wide = |r: &Requantizer| matches!(r.rule, RequantRule::Wide { .. });
        if !requant.iter().any(wide) {
            return Ok(false);
        }
        let (input, kind) = self.wide_kind(index)?;
        let form = Wide {
            rule: true,
            row_pairs: self.is_wide(node.inputs[0]),
            output: None,
        };
        let tensor = self.graph.tensor(node.output);
        if !self.is_wide(node.output) {
            self.push(index, input, kind, lower_is_activation);
            self.last().wide = form;
            return Ok(true);
        }
        let [h, w, c] = tensor.hwc();
        let output = self.area(&tensor.name, [2 * h, w, c]);
        for (row, byte) in [Byte::High, Byte::Low].into_iter().enumerate() {
            let rows = output.part([row, 0, 0], [2, 1], [h, w, c]);
            let (input, kind) = (input.clone(), kind.clone());
            self.layer(index, input, kind, lower_is_activation, rows);
            let layer = self.last();
            layer.again = byte == Byte::Low;
            layer.wide = Wide {
                output: Some(byte),
                ..form
            };
        }
        self.complete(index, output);
        Ok(true)
    }

    /// Input and kind of such a layer.
    fn wide_kind(&mut self, index: usize) -> Result<(Region, LayerKind), PlanError> {
        let node = &self.graph.nodes[index];
        let tensor = node.inputs[0];
        let paired_input = self.is_wide(tensor);
        let (input, kind) = match &node.op {
            QOp::FullyConnected(f) => {
                let input = self.home(tensor);
                let [h, w, _] = input.hwc;
                let rows = if paired_input { h / 2 } else { h };
                let kind = convolution::fully_connected(f, [rows, w], &node.source)?;
                (input, kind)
            }
            QOp::Conv2d(c) => {
                let kind = convolution::dense(c, &node.source)?;
                let home = self.home(tensor);
                let input = match paired_input {
                    false => self.operand(index, 0)?,
                    true if home.hwc == self.stored_hwc(tensor) => home,
                    true => {
                        return Err(unsupported(
                            &node.source,
                            format!(
                                "int16 values `{}` in another form",
                                self.graph.tensor(tensor).name
                            ),
                            "reshape 8-bit values: set activations = { bits = 8 } for the layer that \
                             computes them",
                        ));
                    }
                };
                (input, kind)
            }
            _ => unreachable!("called for layers with weights"),
        };
        let kind = if paired_input { paired(kind) } else { kind };
        Ok((input, kind))
    }

    fn last(&mut self) -> &mut HwLayer {
        self.layers.last_mut().expect("just pushed")
    }
}

/// A convolution over int16 values as one over the rows of their bytes. Rows between those of a dilated
/// kernel get weights of zero, because both bytes of a row are neighbours.
fn paired(kind: LayerKind) -> LayerKind {
    let LayerKind::Dot {
        window,
        weights,
        bias,
        requant,
    } = kind
    else {
        unreachable!("dense layers run on the dot array")
    };
    let (rows, distance) = (window.kernel[0], window.dilation[0]);
    let row = weights.len() / bias.len() / rows;
    let spread = (rows - 1) * distance + 1;
    let mut of_bytes = Vec::with_capacity(2 * weights.len());
    for channel in weights.chunks_exact(rows * row) {
        for at in 0..spread {
            for _ in 0..2 {
                if at % distance == 0 {
                    of_bytes.extend_from_slice(&channel[at / distance * row..][..row]);
                } else {
                    of_bytes.resize(of_bytes.len() + row, 0);
                }
            }
        }
    }
    LayerKind::Dot {
        window: Window {
            kernel: [2 * spread, window.kernel[1]],
            stride: [2 * window.stride[0], window.stride[1]],
            dilation: [1, window.dilation[1]],
            pad: [2 * window.pad[0], window.pad[1]],
        },
        weights: of_bytes,
        bias,
        requant,
    }
}
