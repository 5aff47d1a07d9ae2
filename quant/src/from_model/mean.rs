//! `MEAN`: a convolution with weights of one and the window as its kernel.

use macforge_numeric::mean_requantizer;

use super::TFLITE;
use super::node::{Node, Operand, Steps, without_batch};
use crate::QuantError;
use crate::graph::{Conv2d, QOp, Window};

/// Ones that stand for a mean's weights; far more than any image on chip has values.
const MAX_WEIGHTS: usize = 1 << 24;

impl Node<'_> {
    pub(super) fn mean(&self, axes: &[usize]) -> Result<Steps, QuantError> {
        self.require(TFLITE)?;
        let (x, y) = (self.input_params(0)?, self.output_params()?);
        let shape = without_batch(&self.source, self.input_tensor(0))?;
        let mut mean = shape.clone();
        for &axis in axes {
            // the batch of 1 may be averaged as well
            if let Ok(axis) = self.axis(0, axis) {
                mean[axis] = 1;
            }
        }
        let hwc = |shape: &[usize]| {
            let mut padded = [1; 3];
            padded[3 - shape.len()..].copy_from_slice(shape);
            padded
        };
        let ([h, w, channels], out) = (hwc(&shape), hwc(&mean));
        let kernel = [h / out[0], w / out[1]];
        // channels that are averaged too make a dense convolution with a single output channel
        let (groups, group) = if out[2] == channels {
            (channels, 1)
        } else {
            (1, channels)
        };
        let count = kernel[0] * kernel[1] * group;
        let weights = count * out[2];
        if weights > MAX_WEIGHTS {
            let found = format!("{count} values to average for {} channels", out[2]);
            return Err(self.parameter(found, format!("at most {MAX_WEIGHTS} together")));
        }
        let count = u32::try_from(count).expect("a bounded number of weights");
        let requant = mean_requantizer(self.semantics, x, y, count);
        let requant = requant.map_err(self.rule("scales"))?;
        let conv = QOp::Conv2d(Conv2d {
            window: Window {
                kernel,
                stride: [1, 1],
                dilation: [1, 1],
                pad: [0, 0],
            },
            weights: vec![1; weights],
            weight_zero_points: vec![0; out[2]],
            groups,
            out_channels: out[2],
            in_channels: channels,
            bias: vec![0; out[2]],
            requant: vec![requant; out[2]],
            lower_is_activation: false,
        });
        self.reshaped(conv, vec![Operand::Model(self.input(0))], mean)
    }

    /// A node whose result has `shape`, and a reshape where the output's is another.
    pub(super) fn reshaped(
        &self,
        op: QOp,
        inputs: Vec<Operand>,
        shape: Vec<usize>,
    ) -> Result<Steps, QuantError> {
        let mut steps = Steps::default();
        if without_batch(&self.source, self.output_tensor())? == shape {
            steps.push(op, inputs, self.output());
        } else {
            let whole = steps.temporary(self.output_shaped(shape)?);
            steps.push(op, inputs, whole);
            steps.push(QOp::Reshape, vec![whole], self.output());
        }
        Ok(steps)
    }
}
