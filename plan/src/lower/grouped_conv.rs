//! CONV_2D in groups: dense convolutions of some groups each, side by side in the channels of the result.

use super::{MAX_PIECES, Pass};
use crate::convolution;
use crate::error::PlanError;
use crate::layout::gcd;
use macforge_quant::Conv2d;
use std::ops::Range;

/// Products that the array could do in the cycles between two layers; a layer that saves fewer is none.
const PRODUCTS_PER_LAYER: usize = 16_384;

impl Pass<'_> {
    /// The layers of a convolution whose groups are computed apart, as many together as fill a word of the
    /// result and of the input; `false` where that saves nothing.
    pub(super) fn grouped_conv(&mut self, index: usize, conv: &Conv2d) -> Result<bool, PlanError> {
        if conv.groups == 1 || conv.is_depthwise() || conv.requant.is_empty() {
            return Ok(false);
        }
        let node = &self.graph.nodes[index];
        let (source, tensor) = (&node.source, self.graph.tensor(node.output));
        let hwc = tensor.hwc();
        let together = together(conv, self.grain);
        let parts = conv.groups.div_ceil(together);
        let dense = (hwc.iter().product::<usize>() * conv.window.kernel.iter().product::<usize>())
            .saturating_mul(conv.in_channels);
        if parts < 2 || (dense - dense / parts) / parts < PRODUCTS_PER_LAYER {
            return Ok(false);
        }
        let input = self.operand(index, 0)?;
        let output = self.area(&tensor.name, hwc);
        for first in (0..conv.groups).step_by(together) {
            let part = of_groups(conv, first..conv.groups.min(first + together));
            let [from, to] = [conv.group_channels(), conv.out_channels / conv.groups];
            let [h, w, _] = input.hwc;
            let read = input.part([0, 0, first * from], [1, 1], [h, w, part.in_channels]);
            let [h, w, _] = hwc;
            let written = output.part([0, 0, first * to], [1, 1], [h, w, part.out_channels]);
            let kind = convolution::kind(&part, source)?;
            self.layer(index, read, kind, conv.lower_is_activation, written);
        }
        self.complete(index, output);
        Ok(true)
    }
}

/// How many groups a layer computes: the next one's results begin with a word, no word of the input is
/// read for few of its channels, and there are not too many layers.
fn together(conv: &Conv2d, grain: usize) -> usize {
    let outputs = conv.out_channels / conv.groups;
    let aligned = grain / gcd(grain, outputs);
    let wanted = grain
        .div_ceil(conv.group_channels())
        .max(conv.groups.div_ceil(MAX_PIECES));
    wanted.next_multiple_of(aligned)
}

/// The convolution of some groups.
fn of_groups(conv: &Conv2d, groups: Range<usize>) -> Conv2d {
    let each = conv.out_channels / conv.groups;
    let channels = groups.start * each..groups.end * each;
    let row = conv.weights.len() / conv.out_channels;
    let in_channels = groups.len() * conv.group_channels();
    Conv2d {
        in_channels,
        out_channels: channels.len(),
        groups: groups.len(),
        weights: conv.weights[channels.start * row..channels.end * row].to_vec(),
        weight_zero_points: conv.weight_zero_points[channels.clone()].to_vec(),
        bias: conv.bias[channels.clone()].to_vec(),
        requant: conv.requant[channels].to_vec(),
        ..conv.clone()
    }
}
