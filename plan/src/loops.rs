//! Loop bounds: how many tiles, pixel groups and steps a layer takes on a shape.

use crate::layers::HwLayer;
use crate::layout::Layout;
use crate::shape::Shape;
use crate::turns::Turns;

/// Loop bounds of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loops {
    /// Output-channel tiles (activation words in channel mode).
    pub tiles: usize,
    /// Pixel groups per tile.
    pub groups: usize,
    /// Kernel rows and columns.
    pub kernel: [usize; 2],
    /// Walks over the channels per kernel position.
    pub passes: usize,
    /// Channel chunks per kernel position and pass.
    pub chunks: usize,
    /// Groups of lanes per pixel in the drain.
    pub drain_groups: usize,
    /// Which pixels the drain writes together.
    pub turns: Turns,
}

impl Loops {
    /// Bounds of layer `index`.
    pub fn new(shape: &Shape, layer: &HwLayer, layout: &Layout, index: usize) -> Self {
        let view = &layout.views[index];
        let [rows, _, channels] = layer.output.hwc;
        let dot = layer.is_dot();
        Loops {
            tiles: channels.div_ceil(shape.tile(layer)),
            groups: (rows * view.enum_cols).div_ceil(shape.p),
            kernel: view.window.kernel,
            passes: layer.passes(shape.packing),
            chunks: if dot {
                view.channels[1].div_ceil(shape.ic)
            } else {
                1
            },
            drain_groups: Self::drain_groups(shape, layer, channels),
            turns: Turns::new(
                shape,
                layer,
                view,
                layout.storage(layer.output.storage).pitch,
            ),
        }
    }

    /// Groups of lanes per pixel in the drain; a single tile ends with its last channel.
    pub fn drain_groups(shape: &Shape, layer: &HwLayer, channels: usize) -> usize {
        shape.tile(layer).min(channels).div_ceil(shape.lanes)
    }

    /// Cycles that the drain needs for a pixel group.
    pub fn drain_cycles(&self, shape: &Shape) -> usize {
        shape.p / shape.drained * self.turns.passes() * self.drain_groups
    }

    /// Steps per pixel group.
    pub fn steps(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.passes * self.chunks
    }
}
