//! `CONV_2D`, `DEPTHWISE_CONV_2D` and `FULLY_CONNECTED`: weights, bias, and one requantizer per output channel.

use macforge_model::{Activation, Conv2dOptions, ElementType};
use macforge_numeric::{AffineParams, Requantizer, Semantics};

use super::{Node, affine};
use crate::QuantError;
use crate::graph::{Conv2d, FullyConnected, QOp, Window};

impl Node<'_> {
    pub(super) fn conv2d(&self, options: Conv2dOptions) -> Result<QOp, QuantError> {
        let &[out_channels, kh, kw, in_channels] = self.input_tensor(1).shape.as_slice() else {
            unreachable!("the importer requires rank 4");
        };
        let conv = Conv2d {
            window: self.window([kh, kw], options.stride, options.dilation, options.padding),
            weights: self.weights(),
            weight_zero_points: vec![0; out_channels],
            groups: 1,
            out_channels,
            in_channels,
            bias: self.bias(out_channels),
            requant: self.conv_requantizers(0, out_channels, options.activation)?,
            lower_is_activation: options.activation != Activation::None,
        };
        Ok(QOp::Conv2d(conv))
    }

    /// A convolution with as many groups as input channels; the weights `[1, KH, KW, OC]` become
    /// `[OC, KH, KW, 1]`.
    pub(super) fn depthwise_conv2d(&self, options: Conv2dOptions) -> Result<QOp, QuantError> {
        let &[1, kh, kw, out_channels] = self.input_tensor(1).shape.as_slice() else {
            unreachable!("the importer requires this shape");
        };
        let in_channels = self.input_tensor(0).shape[3];
        let by_tap = self.weights();
        let weights = (0..out_channels)
            .flat_map(|oc| by_tap.iter().skip(oc).step_by(out_channels).copied())
            .collect();
        Ok(QOp::Conv2d(Conv2d {
            window: self.window([kh, kw], options.stride, options.dilation, options.padding),
            weights,
            weight_zero_points: vec![0; out_channels],
            groups: in_channels,
            out_channels,
            in_channels,
            bias: self.bias(out_channels),
            requant: self.conv_requantizers(3, out_channels, options.activation)?,
            lower_is_activation: options.activation != Activation::None,
        }))
    }

    /// Requantizers of a convolution whose output channels are dimension `dimension` of its weights.
    fn conv_requantizers(
        &self,
        dimension: usize,
        channels: usize,
        activation: Activation,
    ) -> Result<Vec<Requantizer>, QuantError> {
        let weights = self.input_tensor(1);
        let scales = affine::weight_scales(&self.source, weights, dimension, channels)?;
        let (x, y) = (self.input_params(0)?, self.output_params()?);
        let multipliers = broadcast(scales, channels)
            .map(|w| conv_multiplier(self.semantics, x.scale, w, y.scale));
        self.requantizers(multipliers, y, activation)
    }

    pub(super) fn fully_connected(&self, activation: Activation) -> Result<QOp, QuantError> {
        let &[out_channels, in_features] = self.input_tensor(1).shape.as_slice() else {
            unreachable!("the importer requires rank 2");
        };
        let scales = affine::weight_scales(&self.source, self.input_tensor(1), 0, out_channels)?;
        let (x, y) = (self.input_params(0)?, self.output_params()?);
        let per_channel = scales.len() > 1;
        if !per_channel {
            self.check_bias_scale(x.scale, scales[0], y.scale)?;
        }
        let multipliers = broadcast(scales, out_channels).map(|w| match self.semantics {
            // TFLite `GetQuantizedConvolutionMultipler`, which fully connected layers use with
            // and without a bias, rounds the product of the two scales to float32.
            Semantics::TfliteDouble | Semantics::TfliteSingle if !per_channel => {
                f64::from(x.scale * w) / f64::from(y.scale)
            }
            semantics => conv_multiplier(semantics, x.scale, w, y.scale),
        });
        Ok(QOp::FullyConnected(FullyConnected {
            weights: self.weights(),
            weight_zero_points: vec![0; out_channels],
            out_channels,
            in_features,
            bias: self.bias(out_channels),
            requant: self.requantizers(multipliers, y, activation)?,
            lower_is_activation: activation != Activation::None,
        }))
    }

    fn weights(&self) -> Vec<i8> {
        let weights = self.input_tensor(1).as_i8();
        weights.expect("the importer requires constant int8 weights")
    }

    fn has_bias(&self) -> bool {
        matches!(self.operator.inputs.get(2), Some(Some(_)))
    }

    fn bias(&self, channels: usize) -> Vec<i32> {
        if !self.has_bias() {
            return vec![0; channels];
        }
        let bias = self.input_tensor(2);
        debug_assert_eq!(bias.dtype, ElementType::I32);
        bias.as_i32()
            .expect("the importer requires a constant int32 bias")
    }

    /// TFLite's demand on a fully connected layer's bias scale: it equals input scale times
    /// weight scale, up to 2 % of an output step.
    fn check_bias_scale(&self, x: f32, w: f32, y: f32) -> Result<(), QuantError> {
        if !self.has_bias() {
            return Ok(());
        }
        let bias = self.input_tensor(2);
        let stated = bias.quantization.as_ref().and_then(|q| q.scale.first());
        let stated = f64::from(stated.copied().unwrap_or(0.0));
        let product = f64::from(x) * f64::from(w);
        if (product - stated).abs() / f64::from(y) <= 0.02 {
            return Ok(());
        }
        Err(self.parameter(
            format!("bias `{}` with scale {stated}", bias.name),
            format!("input scale times weight scale, {product}"),
        ))
    }

    fn requantizers(
        &self,
        multipliers: impl Iterator<Item = f64>,
        y: AffineParams,
        activation: Activation,
    ) -> Result<Vec<Requantizer>, QuantError> {
        let clamp = self.clamp(activation, y)?;
        multipliers
            .enumerate()
            .map(|(channel, real)| {
                Requantizer::from_real(self.semantics, real, y.zero_point, clamp)
                    .map_err(self.rule(format!("output channel {channel}")))
            })
            .collect()
    }

    /// Kernel geometry; padding in front follows from the input's size.
    pub(super) fn window(
        &self,
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        padding: macforge_model::Padding,
    ) -> Window {
        let input = &self.input_tensor(0).shape;
        let pad = [0, 1].map(|i| {
            let size = padding.output(input[i + 1], kernel[i], stride[i], dilation[i]);
            size.expect("the importer has checked the output size").1
        });
        Window {
            kernel,
            stride,
            dilation,
            pad,
        }
    }
}

/// One scale per channel from one or as many.
fn broadcast(scales: &[f32], channels: usize) -> impl Iterator<Item = f32> {
    scales.iter().copied().cycle().take(channels)
}

/// Real multiplier from accumulator to output.
///
/// TFLite (`PopulateConvolutionQuantizationParams`) computes in float64, input times weight over
/// output; ONNX Runtime in float32, left to right.
fn conv_multiplier(semantics: Semantics, x: f32, w: f32, y: f32) -> f64 {
    match semantics {
        Semantics::OrtX86 => f64::from(x * w / y),
        Semantics::TfliteDouble | Semantics::TfliteSingle | Semantics::Pow2 => {
            f64::from(x) * f64::from(w) / f64::from(y)
        }
    }
}
