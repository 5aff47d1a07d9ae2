//! `TRANSPOSE_CONV`.

use macforge_model::Conv2dOptions;

use super::node::{Node, Operand, Steps, bounds_below};
use crate::QuantError;
use crate::graph::{Conv2d, QOp};

/// Operands: output shape, weights, activation, bias.
const ACTIVATION: usize = 2;
const BIAS: usize = 3;

impl Node<'_> {
    pub(super) fn transpose_conv(&self, options: Conv2dOptions) -> Result<Steps, QuantError> {
        let &[out_channels, kh, kw, in_channels] = self.input_tensor(1).shape.as_slice() else {
            unreachable!("the importer requires rank 4");
        };
        let scaled = self.conv_scales(ACTIVATION, 0, out_channels, options.activation)?;
        let conv = Conv2d {
            // the padding is that of the convolution from the output to the input
            window: self.window(
                &self.output_tensor().shape,
                [kh, kw],
                options.stride,
                options.dilation,
                options.padding,
            ),
            weights: self.weights(),
            weight_zero_points: scaled.weight_zero_points,
            groups: 1,
            out_channels,
            in_channels,
            bias: self.bias(BIAS, out_channels),
            requant: scaled.requant,
            lower_is_activation: bounds_below(options.activation),
        };
        let mut steps = Steps::default();
        let input = Operand::Model(self.input(ACTIVATION));
        steps.push(QOp::ConvTranspose2d(conv), vec![input], self.output());
        Ok(steps)
    }
}
