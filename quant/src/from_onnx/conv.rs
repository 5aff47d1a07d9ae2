//! Conv, QLinearConv, ConvInteger and ConvTranspose, in one or two dimensions.

use macforge_model::onnx::{WindowSizes, window_sizes};

use super::operands::Weights;
use super::pending::{Layer, Pending};
use super::value::{Int, Value};
use super::{Node, Pass, place};
use crate::QuantError;
use crate::graph::{Conv2d, Window};

impl Pass<'_> {
    pub(super) fn qlinear_conv(&mut self, node: &Node) -> Result<(), QuantError> {
        let x = self.int_at(node, 0)?;
        let constant = self.constant_at(node, 3, 0)?;
        let weights = self.weights(node, &constant, 0)?;
        let bias = self.integer_bias(node, 8, weights.zero_points.len())?;
        let output = self.output_at(node, 6, 7)?;
        let pending = self.conv(node, x, weights, bias)?;
        self.settle(node, pending, output)
    }

    /// Between DequantizeLinear and QuantizeLinear.
    pub(super) fn float_conv(&mut self, node: &Node) -> Result<(), QuantError> {
        let x = self.plain_operand(node, 0)?;
        let weights = self.real_weights(node, 1, 0)?;
        let bias = self.real_bias(node, 2, x.params.scale, &weights.scales)?;
        let pending = self.conv(node, x, weights, bias)?;
        self.pend(node, pending)
    }

    /// int32 accumulators as a graph output.
    pub(super) fn conv_integer(&mut self, node: &Node) -> Result<(), QuantError> {
        let x = self.integer_operand(node, 0)?;
        let weights = self.integer_weights(node, 1, 3, 0)?;
        let bias = vec![0; weights.scales.len()];
        let pending = self.conv(node, x, weights, bias)?;
        self.pend(node, pending)
    }

    /// Between DequantizeLinear and QuantizeLinear.
    pub(super) fn float_conv_transpose(&mut self, node: &Node) -> Result<(), QuantError> {
        let x = self.plain_operand(node, 0)?;
        if node.op.int("group").unwrap_or(1) != 1 {
            return Err(self.unsupported(node, "groups", "one group"));
        }
        // [IC, OC, KH, KW]
        let weights = self.real_weights(node, 1, 1)?;
        let bias = self.real_bias(node, 2, x.params.scale, &weights.scales)?;
        let x = self.as_image(node, &x)?;
        let [ic, oc, kernel @ ..] = weights.shape.as_slice() else {
            return Err(node.parameter(format!("weights {:?}", weights.shape), "a kernel"));
        };
        let [kh, kw] = two(kernel).ok_or_else(|| node.dimensions(kernel.len()))?;
        let (ic, oc) = (*ic, *oc);
        let at = |o: usize, y: usize, c: usize, i: usize| ((i * oc + o) * kh + y) * kw + c;
        let rank = kernel.len();
        let list = |name: &str, default: i64| {
            let values = node
                .op
                .ints(name)
                .map_or(vec![default; rank], <[i64]>::to_vec);
            let sizes: Option<Vec<usize>> = values.iter().map(|&v| v.try_into().ok()).collect();
            sizes.and_then(|s| two(&s[..rank.min(s.len())]))
        };
        let pads = node
            .op
            .ints("pads")
            .map_or(vec![0; 2 * rank], <[i64]>::to_vec);
        let front: Option<Vec<usize>> = pads[..rank.min(pads.len())]
            .iter()
            .map(|&v| v.try_into().ok())
            .collect();
        let wrong = || {
            node.parameter(
                "strides, dilations or pads",
                "one positive value per dimension",
            )
        };
        let pad = match (front, rank) {
            (Some(p), 1) if p.len() == 1 => [0, p[0]],
            (Some(p), 2) if p.len() == 2 => [p[0], p[1]],
            _ => return Err(wrong()),
        };
        let conv = Conv2d {
            window: Window {
                kernel: [kh, kw],
                stride: list("strides", 1).ok_or_else(wrong)?,
                dilation: list("dilations", 1).ok_or_else(wrong)?,
                pad,
            },
            weights: reorder([oc, kh, kw, ic], |[o, y, c, i]| {
                weights.values[at(o, y, c, i)]
            }),
            weight_zero_points: weights.zero_points,
            groups: 1,
            out_channels: oc,
            in_channels: ic,
            bias,
            requant: Vec::new(),
            lower_is_activation: false,
        };
        let shape = self.output_shape(node)?;
        let layer = Layer::ConvTranspose(conv, weights.scales);
        let pending = Pending::new(node, vec![x], layer, shape);
        self.pend(node, pending.with_weights(weights.wide))
    }

    /// The convolution without its output scale.
    fn conv(
        &mut self,
        node: &Node,
        x: Int,
        weights: Weights,
        bias: Vec<i32>,
    ) -> Result<Pending, QuantError> {
        let shape = self.output_shape(node)?;
        let x = self.as_image(node, &x)?;
        let [oc, group_channels, kernel @ ..] = weights.shape.as_slice() else {
            return Err(node.parameter(format!("weights {:?}", weights.shape), "a kernel"));
        };
        let (oc, ic) = (*oc, *group_channels);
        let [kh, kw] = two(kernel).ok_or_else(|| node.dimensions(kernel.len()))?;
        let sizes = window_sizes(node.op, &x.shape[2..], kernel)
            .map_err(|found| node.parameter(found, "a window that fits"))?;
        // inference has checked groups and channels
        let groups = node.op.int("group").unwrap_or(1).max(1) as usize;
        let at = |o: usize, y: usize, c: usize, i: usize| ((o * ic + i) * kh + y) * kw + c;
        let conv = Conv2d {
            window: window(&sizes),
            weights: reorder([oc, kh, kw, ic], |[o, y, c, i]| {
                weights.values[at(o, y, c, i)]
            }),
            weight_zero_points: weights.zero_points,
            groups,
            out_channels: oc,
            in_channels: ic * groups,
            bias,
            requant: Vec::new(),
            lower_is_activation: false,
        };
        let layer = Layer::Conv(conv, weights.scales);
        Ok(Pending::new(node, vec![x], layer, shape).with_weights(weights.wide))
    }

    /// A value as pixels with their channels behind them; batch 1, one or two spatial dimensions.
    pub(super) fn as_image(&mut self, node: &Node, x: &Int) -> Result<Int, QuantError> {
        if !matches!(x.shape.len(), 3 | 4) {
            return Err(node.dimensions(x.shape.len().saturating_sub(2)));
        }
        if x.shape[0] != 1 {
            let found = format!("an input of shape {:?}", x.shape);
            return Err(node.parameter(found, "batch 1 as the first dimension"));
        }
        self.placed(node, x, place::image(&x.shape))
    }

    /// A layer waits for its QuantizeLinear.
    pub(super) fn pend(&mut self, node: &Node, pending: Pending) -> Result<(), QuantError> {
        let name = node.output(0)?.to_string();
        self.set(&name, Value::Pending(Box::new(pending)));
        Ok(())
    }

    /// Weights behind a DequantizeLinear, output channels along `axis`.
    pub(super) fn real_weights(
        &self,
        node: &Node,
        index: usize,
        axis: usize,
    ) -> Result<Weights, QuantError> {
        let name = node.op.input(index).unwrap_or("");
        match self.values.get(name) {
            Some(Value::Constant(constant)) => self.weights(node, &constant.clone(), axis),
            _ => Err(node.parameter(
                format!("weights `{name}` that are float32 or computed"),
                "weights behind DequantizeLinear (quantize a float model with `macforge quantize`)",
            )),
        }
    }
}

impl Node<'_> {
    fn dimensions(&self, found: usize) -> QuantError {
        self.parameter(format!("{found} spatial dimensions"), "one or two")
    }
}

/// Height and width; a single dimension is the width.
pub(super) fn two(sizes: &[usize]) -> Option<[usize; 2]> {
    match *sizes {
        [w] => Some([1, w]),
        [h, w] => Some([h, w]),
        _ => None,
    }
}

/// ONNX geometry of one or two dimensions as a window.
pub(super) fn window(sizes: &WindowSizes) -> Window {
    let pair = |list: &[usize], missing: usize| match *list {
        [w] => [missing, w],
        [h, w] => [h, w],
        _ => unreachable!("the caller has checked the dimensions"),
    };
    Window {
        kernel: pair(&sizes.kernel, 1),
        stride: pair(&sizes.stride, 1),
        dilation: pair(&sizes.dilation, 1),
        pad: pair(&sizes.pad_begin, 0),
    }
}

/// Values in row-major order of `shape`.
pub(super) fn reorder<const N: usize>(
    shape: [usize; N],
    at: impl Fn([usize; N]) -> i16,
) -> Vec<i16> {
    let count: usize = shape.iter().product();
    (0..count)
        .map(|mut flat| {
            let mut index = [0; N];
            for d in (0..N).rev() {
                index[d] = flat % shape[d];
                flat /= shape[d];
            }
            at(index)
        })
        .collect()
}
