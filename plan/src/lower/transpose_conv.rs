//! TRANSPOSE_CONV: the outputs that lie `stride` apart see the same kernel elements, so each such phase is
//! an ordinary convolution that writes every `stride`-th row and column.

use super::{MAX_PIECES, Pass, unsupported};
use crate::convolution;
use crate::error::PlanError;
use crate::layers::LayerKind;
use crate::layout::gcd;
use macforge_quant::{Conv2d, Window};

/// One phase along one axis: output `phase + stride * n` is the sum over `taps` of input
/// `n + from + i * dilation - pad`.
struct Phase {
    outputs: usize,
    /// Kernel elements in the order of their inputs; none where no input reaches the phase.
    taps: Vec<usize>,
    dilation: usize,
    from: usize,
    pad: usize,
}

impl Pass<'_> {
    pub(super) fn transpose_conv(&mut self, index: usize, conv: &Conv2d) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let [h, w, _] = self.graph.tensor(node.inputs[0]).hwc();
        let output_hwc = self.graph.tensor(node.output).hwc();
        let [sy, sx] = conv.window.stride;
        let phases = sy.min(output_hwc[0]).saturating_mul(sx.min(output_hwc[1]));
        if phases > MAX_PIECES {
            let found = format!("a transposed convolution with stride {sy}x{sx}");
            let remedy = "the engine computes at most 64 phases, one layer each";
            return Err(unsupported(&node.source, found, remedy));
        }
        // depthwise kernels read whole words
        let input = match convolution::kind(conv, &node.source)? {
            LayerKind::Dot { .. } => self.operand(index, 0)?,
            _ => self.aligned_operand(index, 0)?,
        };
        let output = self.area(
            &self.graph.tensor(self.graph.nodes[index].output).name,
            output_hwc,
        );
        let [rows, columns] = [(0, h), (1, w)].map(|(axis, inputs)| -> Vec<Phase> {
            (0..conv.window.stride[axis].min(output_hwc[axis]))
                .map(|phase| Phase::new(&conv.window, axis, phase, [inputs, output_hwc[axis]]))
                .collect()
        });
        for (y, row) in rows.iter().enumerate() {
            for (x, column) in columns.iter().enumerate() {
                let source = &self.graph.nodes[index].source;
                let kind = convolution::kind(&of_phase(conv, row, column), source)?;
                let [_, _, c] = input.hwc;
                let from = [row.from, column.from, 0];
                let from = input.part(from, [1, 1], [h - row.from, w - column.from, c]);
                let hwc = [row.outputs, column.outputs, output_hwc[2]];
                let to = output.part([y, x, 0], [sy, sx], hwc);
                self.layer(index, from, kind, conv.lower_is_activation, to);
            }
        }
        self.complete(index, output);
        Ok(())
    }
}

impl Phase {
    fn new(window: &Window, axis: usize, phase: usize, [inputs, outputs]: [usize; 2]) -> Self {
        let [kernel, stride, dilation, pad] =
            [window.kernel, window.stride, window.dilation, window.pad].map(|v| v[axis]);
        // later kernel elements meet earlier inputs
        let taps: Vec<usize> = (0..kernel)
            .rev()
            .filter(|k| (phase + pad) % stride == k * dilation % stride)
            .collect();
        let first = taps.first().map_or(0, |k| {
            ((phase + pad) as i64 - (k * dilation) as i64) / stride as i64
        });
        let from = (first.max(0) as usize).min(inputs - 1);
        // an input that begins too early moves the phase beyond its end
        let beyond = first > from as i64;
        Phase {
            outputs: (outputs - phase).div_ceil(stride),
            taps: if beyond { Vec::new() } else { taps },
            dilation: dilation / gcd(dilation, stride),
            from,
            pad: first.min(0).unsigned_abs() as usize,
        }
    }

    /// Kernel size, dilation and padding; a phase without inputs has a kernel of one zero.
    fn geometry(&self) -> [usize; 3] {
        match self.taps.len() {
            0 => [1, 1, 0],
            size => [size, self.dilation, self.pad],
        }
    }
}

/// The convolution of a pair of phases.
fn of_phase(conv: &Conv2d, row: &Phase, column: &Phase) -> Conv2d {
    let [height, dilation_y, pad_y] = row.geometry();
    let [width, dilation_x, pad_x] = column.geometry();
    let [kernel_h, kernel_w] = conv.window.kernel;
    let channels = conv.group_channels();
    let mut weights = Vec::with_capacity(conv.out_channels * height * width * channels);
    for oc in 0..conv.out_channels {
        for (i, j) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))) {
            match (row.taps.get(i), column.taps.get(j)) {
                (Some(ky), Some(kx)) => {
                    let at = ((oc * kernel_h + ky) * kernel_w + kx) * channels;
                    weights.extend_from_slice(&conv.weights[at..at + channels]);
                }
                // the zero point is a weight of zero
                _ => weights.extend(vec![conv.weight_zero_points[oc] as i16; channels]),
            }
        }
    }
    Conv2d {
        window: Window {
            kernel: [height, width],
            stride: [1, 1],
            dilation: [dilation_y, dilation_x],
            pad: [pad_y, pad_x],
        },
        weights,
        ..conv.clone()
    }
}
