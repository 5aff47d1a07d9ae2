//! `CONCATENATION`, `SLICE` and its kin, `PAD`, `TRANSPOSE`, `RESIZE_NEAREST_NEIGHBOR`.

use macforge_model::SliceOptions;
use macforge_numeric::unary;

use super::node::{Node, Operand, Steps, drops_batch, tensor, without_batch};
use crate::QuantError;
use crate::graph::{QOp, QTensor};

/// Most rows and columns of a resized image.
const MAX_RESIZED: usize = 1 << 16;

impl Node<'_> {
    /// int8 inputs share the output's parameters, as TFLite demands; uint8 ones are rescaled.
    pub(super) fn concat(&self, axis: usize) -> Result<Steps, QuantError> {
        let y = self.output_params()?;
        let axis = self.axis(0, axis)?;
        let mut steps = Steps::default();
        let mut inputs = Vec::new();
        for position in 0..self.operator.inputs.len() {
            let x = self.input_params(position)?;
            let input = Operand::Model(self.input(position));
            if x == y {
                inputs.push(input);
                continue;
            }
            if !self.unsigned() {
                self.expect_same(x, y)?;
            }
            let rescaled = QTensor {
                quant: Some(y),
                ..tensor(&self.source, self.input_tensor(position))?
            };
            let rescaled = steps.temporary(rescaled);
            let op = if self.unsigned() {
                QOp::Table(unary::concatenated(x, y))
            } else {
                QOp::Reshape
            };
            steps.push(op, vec![input], rescaled);
            inputs.push(rescaled);
        }
        steps.push(QOp::Concat(axis), inputs, self.output());
        Ok(steps)
    }

    /// One node per output; dimensions that the output lacks leave by a reshape.
    pub(super) fn slices(&self, slices: &[SliceOptions]) -> Result<Steps, QuantError> {
        // SPLIT has its axis in front of the input
        let position = usize::from(self.operator.name == "SPLIT");
        let input = self.input_tensor(position);
        let dropped = usize::from(drops_batch(&input.shape));
        let mut steps = Steps::default();
        for (slice, &output) in slices.iter().zip(&self.operator.outputs) {
            let out = tensor(&self.source, &self.model.tensors[output])?;
            let (from, to) = (self.input_params(position)?, out.quant);
            if to != Some(from) {
                return Err(self.parameter(
                    format!("output `{}` with other parameters than the input", out.name),
                    "the same quantization on both",
                ));
            }
            let op = QOp::Slice {
                start: slice.start[dropped..].to_vec(),
                step: slice.step[dropped..].to_vec(),
            };
            let op = match input.shape.len() {
                0 => QOp::Reshape,
                _ => op,
            };
            let count = without_batch(&self.source, input).map(|shape| {
                match shape.len() == slice.count.len() - dropped {
                    true => slice.count[dropped..].to_vec(),
                    false => shape,
                }
            })?;
            let inputs = vec![Operand::Model(self.input(position))];
            if out.shape == count {
                steps.push(op, inputs, Operand::Model(output));
            } else {
                let whole = steps.temporary(QTensor {
                    shape: count,
                    ..out
                });
                steps.push(op, inputs, whole);
                steps.push(QOp::Reshape, vec![whole], Operand::Model(output));
            }
        }
        Ok(steps)
    }

    /// Surrounded by the zero point, or by the value of operand 2.
    pub(super) fn pad(&self, before: &[usize]) -> Result<Steps, QuantError> {
        let y = self.same_params()?;
        let value = match self.operator.inputs.get(2) {
            Some(Some(_)) => {
                self.expect_same(self.input_params(2)?, y)?;
                let value = self.input_tensor(2).as_i8();
                value.expect("the importer requires a constant")[0]
            }
            _ => i8::try_from(y.zero_point).expect("checked parameters"),
        };
        let (x, out) = (&self.input_tensor(0).shape, &self.output_tensor().shape);
        if drops_batch(x) != drops_batch(out) {
            return Err(self.parameter(
                format!("padding from {x:?} to {out:?}"),
                "batch 1 left alone",
            ));
        }
        let before = before[usize::from(drops_batch(x))..].to_vec();
        self.one(QOp::Pad { before, value })
    }

    pub(super) fn transpose(&self, perm: &[usize]) -> Result<Steps, QuantError> {
        self.same_params()?;
        if !drops_batch(&self.input_tensor(0).shape) {
            return self.one(QOp::Transpose(perm.to_vec()));
        }
        match perm {
            [0, rest @ ..] => self.one(QOp::Transpose(rest.iter().map(|p| p - 1).collect())),
            _ => Err(self.parameter(format!("order {perm:?}"), "batch 1 left in front")),
        }
    }

    /// Source rows and columns in float32, as TFLite's `GetNearestNeighbor`.
    pub(super) fn resize(
        &self,
        align_corners: bool,
        half_pixel_centers: bool,
    ) -> Result<Steps, QuantError> {
        self.same_params()?;
        let out = &self.output_tensor().shape;
        if out[1].max(out[2]) > MAX_RESIZED {
            let found = format!("resize to {} x {}", out[1], out[2]);
            return Err(self.parameter(found, format!("at most {MAX_RESIZED} rows and columns")));
        }
        let map = |d: usize| {
            let (from, to) = (self.input_tensor(0).shape[d], self.output_tensor().shape[d]);
            let scale = if align_corners && to > 1 {
                (from - 1) as f32 / (to - 1) as f32
            } else {
                from as f32 / to as f32
            };
            let offset = if half_pixel_centers { 0.5f32 } else { 0.0 };
            let source = |at: usize| {
                let exact = (at as f32 + offset) * scale;
                let nearest = if align_corners {
                    exact.round()
                } else {
                    exact.floor()
                };
                (nearest as usize).min(from - 1)
            };
            (0..to).map(source).collect()
        };
        self.one(QOp::Resize {
            rows: map(1),
            columns: map(2),
        })
    }
}
