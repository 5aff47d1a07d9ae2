//! `BATCH_MATMUL`: of two computed operands, or of one and constant weights.

use macforge_numeric::{Clamp, Requantizer};

use super::TFLITE;
use super::node::{Node, Operand, Steps, tensor};
use super::weighted::{float_product_multiplier, rows_times_weights};
use crate::QuantError;
use crate::graph::{MatMul, QOp, QTensor};

impl Node<'_> {
    pub(super) fn batch_matmul(
        &self,
        transpose_a: bool,
        transpose_b: bool,
    ) -> Result<Steps, QuantError> {
        self.require(TFLITE)?;
        let (a, b) = (self.input_params(0)?, self.input_params(1)?);
        let y = self.output_params()?;
        let real = float_product_multiplier(a.scale, b.scale, y.scale);
        let requant = Requantizer::from_real(self.semantics, real, y.zero_point, Clamp::INT8)
            .map_err(self.rule("scales"))?;
        let mut steps = Steps::default();
        let first = match transpose_a {
            true => self.transposed(&mut steps)?,
            false => Operand::Model(self.input(0)),
        };
        let Some(weights) = self.input_tensor(1).as_i8() else {
            let op = QOp::MatMul(MatMul {
                transpose_b,
                requant: Some(requant),
            });
            let inputs = vec![first, Operand::Model(self.input(1))];
            steps.push(op, inputs, self.output());
            return Ok(steps);
        };
        let [.., rows, columns] = *self.input_tensor(1).shape.as_slice() else {
            unreachable!("the importer requires two dimensions");
        };
        let weights: Vec<i16> = weights.into_iter().map(i16::from).collect();
        let (depth, channels, weights) = if transpose_b {
            (columns, rows, weights)
        } else {
            let column = |n: usize| weights.iter().skip(n).step_by(columns).copied();
            (rows, columns, (0..columns).flat_map(column).collect())
        };
        let op = rows_times_weights(
            self.output_tensor().elements() / channels,
            crate::graph::FullyConnected {
                weights,
                weight_zero_points: vec![b.zero_point; channels],
                out_channels: channels,
                in_features: depth,
                bias: vec![0; channels],
                requant: vec![requant; channels],
                lower_is_activation: false,
            },
        );
        steps.push(op, vec![first], self.output());
        Ok(steps)
    }

    /// Operand 0 with its last two dimensions exchanged.
    fn transposed(&self, steps: &mut Steps) -> Result<Operand, QuantError> {
        let input = tensor(&self.source, self.input_tensor(0))?;
        let rank = input.shape.len();
        if rank < 2 {
            return Err(self.parameter(
                format!(
                    "a transposed operand of shape {:?}",
                    self.input_tensor(0).shape
                ),
                "at least two dimensions besides a batch of 1",
            ));
        }
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(rank - 2, rank - 1);
        let shape = perm.iter().map(|&p| input.shape[p]).collect();
        let turned = steps.temporary(QTensor { shape, ..input });
        let from = vec![Operand::Model(self.input(0))];
        steps.push(QOp::Transpose(perm), from, turned);
        Ok(turned)
    }
}
