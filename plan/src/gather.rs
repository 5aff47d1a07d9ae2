//! Layers of the gather unit, which reads one element after the other from anywhere: transposed tensors,
//! and computed operands of matrix products on their way into the weight memory.

use crate::layers::HwLayer;
use crate::program::Context;
use crate::region::{Distance, Region};
use crate::shape::Shape;

/// What a layer of the gather unit makes of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gather {
    /// A tensor with its dimensions in another order: output dimension `i` is input dimension `order[i]`.
    Transposed([usize; 3]),
    /// Weights of a [`crate::layers::ComputedDot`].
    Weights(ComputedWeights),
}

/// One kernel position of a product's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComputedWeights {
    /// The product.
    pub slot: usize,
    /// Dimensions of the operand that are the product's output channels and its input channels.
    pub dims: [usize; 2],
    /// Zero point of the operand, which is subtracted.
    pub zero_point: i32,
    /// Row of the kernel; in the second one the weights are negated.
    pub row: usize,
    /// Column of the kernel: which part of the value.
    pub part: usize,
}

/// Where the weights of a product lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightPlace {
    /// The product.
    pub slot: usize,
    /// First word.
    pub base: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
}

/// A distance in a buffer: pixels, and channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Pixels of the storage.
    pub pixels: usize,
    /// Channels.
    pub channels: usize,
}

/// The unit's loops, the innermost one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Rounds.
    pub counts: [usize; 4],
    /// Rounds of loops 0 and 1 that count in the last round of loops 2 and 3.
    pub tails: [usize; 2],
    /// How far a round goes on in the input.
    pub steps: [Step; 4],
    /// How far a round of loops 1 to 3 goes on in the target: pixels and bank words, or weight words.
    pub to_steps: [[usize; 2]; 3],
    /// First weight word, for weights.
    pub weights: Option<usize>,
}

/// Rounds of the loops of a layer of the unit; one each for other layers.
fn counts(shape: &Shape, layer: &HwLayer) -> [usize; 4] {
    match layer.gather() {
        Some(Gather::Transposed(_)) => {
            let [h, w, channels] = layer.output.hwc;
            [shape.word, w, channels.div_ceil(shape.word), h]
        }
        Some(Gather::Weights(weights)) => {
            let [outputs, inputs] = weights.dims.map(|d| layer.input.hwc[d]);
            let (oc, ic) = (shape.oc, shape.ic);
            [ic, oc, inputs.div_ceil(ic), outputs.div_ceil(oc)]
        }
        None => [1; 4],
    }
}

/// Elements that a layer of the unit reads, those that do not count included.
pub fn elements(shape: &Shape, layer: &HwLayer) -> u64 {
    counts(shape, layer).iter().map(|&c| c as u64).product()
}

/// The walk of a layer of the gather unit; `None` for other layers.
pub fn walk(cx: &Context, layer: &HwLayer) -> Option<Walk> {
    let input = &layer.input;
    let flat = |region: &Region, d: Distance| d.flat(cx.layout.storage(region.storage).pitch);
    let step = |axis: usize, count: usize| match axis {
        0 => Step {
            pixels: count * flat(input, input.row),
            channels: 0,
        },
        1 => Step {
            pixels: count * flat(input, input.column),
            channels: 0,
        },
        _ => Step {
            pixels: 0,
            channels: count,
        },
    };
    let last = |all: usize, each: usize| all - (all.div_ceil(each) - 1) * each;
    let counts = counts(cx.shape, layer);
    Some(match *layer.gather()? {
        Gather::Transposed([y, x, c]) => {
            let word = cx.shape.word;
            let output = &layer.output;
            let [_, w, channels] = output.hwc;
            let plane = cx.layout.storage(output.storage).plane;
            Walk {
                counts,
                tails: [last(channels, word), w],
                steps: [step(c, 1), step(x, 1), step(c, word), step(y, 1)],
                to_steps: [
                    [flat(output, output.column), 0],
                    [0, plane],
                    [flat(output, output.row), 0],
                ],
                weights: None,
            }
        }
        Gather::Weights(weights) => {
            let [n, k] = weights.dims;
            let [outputs, inputs] = weights.dims.map(|d| input.hwc[d]);
            let (oc, ic) = (cx.shape.oc, cx.shape.ic);
            let chunks = inputs.div_ceil(ic);
            let place = (cx.computed.iter()).find(|p| p.slot == weights.slot)?;
            let [rows, columns] = place.kernel;
            let position = weights.row * columns + weights.part;
            Walk {
                counts,
                tails: [last(inputs, ic), last(outputs, oc)],
                steps: [step(k, 1), step(n, 1), step(k, ic), step(n, oc)],
                to_steps: [[0, 0], [0, 1], [0, rows * columns * chunks]],
                weights: Some(place.base + position * chunks),
            }
        }
    })
}
