//! `CONV_2D`, `DEPTHWISE_CONV_2D` and `FULLY_CONNECTED`: weights, bias, and one requantizer per
//! output channel.

use macforge_model::{Activation, Conv2dOptions, Padding};
use macforge_numeric::{AffineParams, Requantizer, Semantics};

use super::node::{Node, bounds_below};
use super::{affine, affine::WeightScales};
use crate::QuantError;
use crate::graph::{Conv2d, FullyConnected, QOp, Window};

/// Operand with the bias of the operators of this file.
const BIAS: usize = 2;

/// What a convolution's scales become.
pub(super) struct ConvScales {
    pub weight_zero_points: Vec<i32>,
    pub requant: Vec<Requantizer>,
}

impl Node<'_> {
    pub(super) fn conv2d(&self, options: Conv2dOptions) -> Result<QOp, QuantError> {
        let &[out_channels, kh, kw, group_channels] = self.input_tensor(1).shape.as_slice() else {
            unreachable!("the importer requires rank 4");
        };
        let in_channels = self.input_tensor(0).shape[3];
        let groups = in_channels / group_channels;
        self.convolution([kh, kw], groups, 0, out_channels, self.weights(), options)
    }

    /// A convolution with as many groups as input channels; the weights `[1, KH, KW, OC]` become
    /// `[OC, KH, KW, 1]`.
    pub(super) fn depthwise_conv2d(&self, options: Conv2dOptions) -> Result<QOp, QuantError> {
        let &[1, kh, kw, out_channels] = self.input_tensor(1).shape.as_slice() else {
            unreachable!("the importer requires this shape");
        };
        let groups = self.input_tensor(0).shape[3];
        let by_tap = self.weights();
        let weights = (0..out_channels)
            .flat_map(|oc| by_tap.iter().skip(oc).step_by(out_channels).copied())
            .collect();
        self.convolution([kh, kw], groups, 3, out_channels, weights, options)
    }

    /// `dimension`: where the weights' tensor has the output channels.
    fn convolution(
        &self,
        kernel: [usize; 2],
        groups: usize,
        dimension: usize,
        out_channels: usize,
        weights: Vec<i16>,
        options: Conv2dOptions,
    ) -> Result<QOp, QuantError> {
        let input = &self.input_tensor(0).shape;
        let scaled = self.conv_scales(0, dimension, out_channels, options.activation)?;
        let (stride, dilation, padding) = (options.stride, options.dilation, options.padding);
        Ok(QOp::Conv2d(Conv2d {
            window: self.window(input, kernel, stride, dilation, padding),
            weights,
            weight_zero_points: scaled.weight_zero_points,
            groups,
            out_channels,
            in_channels: input[3],
            bias: self.bias(BIAS, out_channels),
            requant: scaled.requant,
            lower_is_activation: bounds_below(options.activation),
        }))
    }

    /// Weight zero points and requantizers of a convolution of operand `activation` whose output
    /// channels are dimension `dimension` of its weights, operand 1.
    pub(super) fn conv_scales(
        &self,
        activation: usize,
        dimension: usize,
        channels: usize,
        function: Activation,
    ) -> Result<ConvScales, QuantError> {
        let weights = self.input_tensor(1);
        let w = affine::weight_scales(&self.source, weights, dimension, channels)?;
        let (x, y) = (self.input_params(activation)?, self.output_params()?);
        // TFLite takes int8 weights of convolutions as symmetric, without a look.
        if !self.unsigned() && w.zero_points.iter().any(|&z| z != 0) {
            let found = format!("weights `{}` with a zero point", weights.name);
            return Err(self.parameter(found, "zero point 0"));
        }
        if self.unsigned() {
            self.check_bias_scale(activation + BIAS, x.scale, w.scales[0], y.scale)?;
        }
        let multipliers = w.scales.iter().map(|&w| match self.semantics {
            Semantics::TfliteDouble | Semantics::TfliteSingle if self.unsigned() => {
                float_product_multiplier(x.scale, w, y.scale)
            }
            semantics => conv_multiplier(semantics, x.scale, w, y.scale),
        });
        Ok(ConvScales {
            requant: self.requantizers(multipliers, y, function)?,
            weight_zero_points: w.zero_points,
        })
    }

    pub(super) fn fully_connected(&self, activation: Activation) -> Result<QOp, QuantError> {
        let &[out_channels, in_features] = self.input_tensor(1).shape.as_slice() else {
            unreachable!("the importer requires rank 2");
        };
        let WeightScales {
            per_channel,
            scales,
            zero_points,
        } = affine::weight_scales(&self.source, self.input_tensor(1), 0, out_channels)?;
        let (x, y) = (self.input_params(0)?, self.output_params()?);
        if !per_channel {
            self.check_bias_scale(BIAS, x.scale, scales[0], y.scale)?;
        }
        let multipliers = scales.iter().map(|&w| match self.semantics {
            Semantics::TfliteDouble | Semantics::TfliteSingle if !per_channel => {
                float_product_multiplier(x.scale, w, y.scale)
            }
            semantics => conv_multiplier(semantics, x.scale, w, y.scale),
        });
        let rows = self.output_tensor().elements() / out_channels;
        let layer = FullyConnected {
            weights: self.weights(),
            weight_zero_points: zero_points,
            out_channels,
            in_features,
            bias: self.bias(BIAS, out_channels),
            requant: self.requantizers(multipliers, y, activation)?,
            lower_is_activation: bounds_below(activation),
        };
        Ok(rows_times_weights(rows, layer))
    }

    pub(super) fn weights(&self) -> Vec<i16> {
        let weights = self.input_tensor(1).as_i8();
        let weights = weights.expect("the importer requires constant weights of up to 8 bits");
        weights.into_iter().map(i16::from).collect()
    }

    pub(super) fn bias(&self, position: usize, channels: usize) -> Vec<i32> {
        match self.operator.inputs.get(position) {
            Some(Some(_)) => self
                .input_tensor(position)
                .as_i32()
                .expect("the importer requires a constant int32 bias"),
            _ => vec![0; channels],
        }
    }

    /// TFLite's demand on the bias scale of layers with one scale: it equals input scale times
    /// weight scale, up to 2 % of an output step.
    fn check_bias_scale(&self, position: usize, x: f32, w: f32, y: f32) -> Result<(), QuantError> {
        let Some(Some(_)) = self.operator.inputs.get(position) else {
            return Ok(());
        };
        let bias = self.input_tensor(position);
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

    /// Kernel geometry; padding in front follows from the input's size `[1, H, W, C]`.
    pub(super) fn window(
        &self,
        input: &[usize],
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        padding: Padding,
    ) -> Window {
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

/// The layer over `rows` rows: several are the pixels of a 1x1 convolution.
pub(super) fn rows_times_weights(rows: usize, layer: FullyConnected) -> QOp {
    if rows == 1 {
        return QOp::FullyConnected(layer);
    }
    QOp::Conv2d(Conv2d {
        window: Window {
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            pad: [0, 0],
        },
        weights: layer.weights,
        weight_zero_points: layer.weight_zero_points,
        groups: 1,
        out_channels: layer.out_channels,
        in_channels: layer.in_features,
        bias: layer.bias,
        requant: layer.requant,
        lower_is_activation: layer.lower_is_activation,
    })
}

/// TFLite's `GetQuantizedConvolutionMultipler`, used by fully connected layers and products of
/// matrices, and by uint8 convolutions: the product of the two scales is rounded to float32.
pub(super) fn float_product_multiplier(x: f32, w: f32, y: f32) -> f64 {
    f64::from(x * w) / f64::from(y)
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
