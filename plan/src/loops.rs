//! Loop bounds: how many tiles, pixel groups and steps a layer takes on a shape.

use crate::layers::HwLayer;
use crate::shape::Shape;

/// Loop bounds of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loops {
    /// Output-channel tiles (channel chunks in channel mode).
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
}

impl Loops {
    /// Bounds of a layer that reads `in_channels` stored channels and enumerates `pixels`.
    pub fn new(
        shape: &Shape,
        layer: &HwLayer,
        kernel: [usize; 2],
        in_channels: usize,
        pixels: usize,
        channels: usize,
    ) -> Self {
        let dot = layer.is_dot();
        Loops {
            tiles: channels.div_ceil(if dot { shape.oc } else { shape.ic }),
            groups: pixels.div_ceil(shape.p),
            kernel,
            passes: layer.passes(),
            chunks: if dot {
                in_channels.div_ceil(shape.ic)
            } else {
                1
            },
            drain_groups: if dot {
                shape.oc / shape.lanes
            } else {
                (shape.ic / shape.lanes).max(1)
            },
        }
    }

    /// Steps per pixel group.
    pub fn steps(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.passes * self.chunks
    }
}
