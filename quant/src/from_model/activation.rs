//! Functions of one value as 256-entry tables: `RELU`, `RELU6`, `RELU_N1_TO_1` as operators of their
//! own, `LOGISTIC`, `TANH`, `HARD_SWISH`, `PRELU`.

use macforge_model::{Activation, Unary};
use macforge_numeric::{AffineParams, Clamp, Requantizer, table, unary};

use super::affine;
use super::node::{Node, Operand, Steps, tensor};
use crate::QuantError;
use crate::graph::{QOp, QTensor};

impl Node<'_> {
    /// TFLite `ReluX` on int8: rescale from input to output, then clamp. The multiplier is a
    /// float32 quotient there (`ReluPrepare`).
    pub(super) fn activation(&self, activation: Activation) -> Result<QOp, QuantError> {
        let (x, y) = (self.input_params(0)?, self.output_params()?);
        let clamp = self.clamp(activation, y)?;
        self.rescale_table(f64::from(x.scale / y.scale), x, y, clamp)
    }

    /// The table of `clamp(round(multiplier * (q - zx)) + zy)` under the graph's semantics.
    pub(super) fn rescale_table(
        &self,
        multiplier: f64,
        x: AffineParams,
        y: AffineParams,
        clamp: Clamp,
    ) -> Result<QOp, QuantError> {
        let requant = Requantizer::from_real(self.semantics, multiplier, y.zero_point, clamp)
            .map_err(self.rule("input to output scale"))?;
        Ok(QOp::Table(table::table(|q| {
            let acc = i64::from(q) - i64::from(x.zero_point);
            i8::try_from(requant.apply(acc)).expect("the clamp lies inside int8")
        })))
    }

    pub(super) fn unary(&self, function: Unary) -> Result<QOp, QuantError> {
        self.require(super::TFLITE)?;
        let (x, y) = (self.input_params(0)?, self.output_params()?);
        let output = |scale: f32, zero_point: i32| {
            if (y.scale, y.zero_point) == (scale, zero_point) {
                return Ok(());
            }
            let found = format!("output scale {} zero point {}", y.scale, y.zero_point);
            Err(self.parameter(
                found,
                format!("scale {scale} and zero point {zero_point} as int8"),
            ))
        };
        match function {
            Unary::Logistic => {
                output(1.0 / 256.0, -128)?;
                Ok(QOp::Table(unary::logistic(x, y)))
            }
            Unary::Tanh => {
                output(1.0 / 128.0, 0)?;
                Ok(QOp::Table(unary::tanh(x, y)))
            }
            Unary::HardSwish => {
                let table = unary::hard_swish(x, y).map_err(self.rule("scales"))?;
                Ok(QOp::Table(table))
            }
        }
    }

    /// One table where all channels share their slope; otherwise neighbouring channels of one slope
    /// are cut out, looked up and put together again.
    pub(super) fn prelu(&self) -> Result<Steps, QuantError> {
        let (x, slope) = (self.input_params(0)?, self.input_params(1)?);
        let y = self.output_params()?;
        let slopes = self.input_tensor(1).as_i8();
        let slopes = slopes.expect("the importer requires a constant");
        let lookup = |alpha: i8| {
            let table = unary::prelu(self.semantics, x, slope, alpha, y);
            table
                .map(QOp::Table)
                .map_err(self.rule("scales and slopes"))
        };
        let runs: Vec<&[i8]> = slopes.chunk_by(|a, b| a == b).collect();
        if let [run] = runs.as_slice() {
            return self.one(lookup(run[0])?);
        }
        let input = tensor(&self.source, self.input_tensor(0))?;
        let axis = input.shape.len() - 1;
        let (mut steps, mut parts, mut first) = (Steps::default(), Vec::new(), 0);
        for run in runs {
            let mut shape = input.shape.clone();
            shape[axis] = run.len();
            let mut start = vec![0; shape.len()];
            start[axis] = first;
            first += run.len();
            let cut = steps.temporary(QTensor {
                shape: shape.clone(),
                ..input.clone()
            });
            let step = vec![1; shape.len()];
            let whole = vec![Operand::Model(self.input(0))];
            steps.push(QOp::Slice { start, step }, whole, cut);
            let part = steps.temporary(self.output_shaped(shape)?);
            steps.push(lookup(run[0])?, vec![cut], part);
            parts.push(part);
        }
        steps.push(QOp::Concat(axis), parts, self.output());
        Ok(steps)
    }

    /// Output bounds of an activation function in the output's parameters.
    pub(super) fn clamp(
        &self,
        activation: Activation,
        y: AffineParams,
    ) -> Result<Clamp, QuantError> {
        affine::clamp(activation, y).ok_or_else(|| {
            self.parameter(
                format!("output scale {}", y.scale),
                "a scale in which the activation's bounds fit int32",
            )
        })
    }
}
