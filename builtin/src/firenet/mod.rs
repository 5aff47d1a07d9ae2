//! The forest-fire network: an image branch (residual network), the weather now (fully connected), the
//! weather of the last 24 hours (LSTM), fused by multi-head attention among their three tokens, and a
//! head of four classes. One builder makes it in any size.
//!
//! | input | shape | holds |
//! | --- | --- | --- |
//! | `image` | `[1, 4, N, N]` | pixels 0 to 255: red, green, blue, infrared |
//! | `environment` | `[1, 5]` | temperature, humidity, wind, latitude, longitude, about -1 to 1 |
//! | `history` | `[1, 24, 5]` | hourly temperature, humidity, wind, rain, pressure, about -1 to 1 |
//!
//! Batch normalization is part of the convolutions. `head.fc1` gives the four classes' logits.

mod branches;
mod calibration;
mod parameters;
mod writer;

use macforge_model::onnx::{OnnxGraph, OnnxType};

use parameters::{Parameters, Seeded, Trained};
use writer::Writer;

pub use calibration::{full as full_calibration, observations, small as small_calibration};

/// Inputs: channels of the image, values of the weather, hours, values per hour; classes.
const CHANNELS: usize = 4;
const NOW: usize = 5;
const HOURS: usize = 24;
const HOURLY: usize = 5;
const CLASSES: usize = 4;

/// What the two networks differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Rows and columns of the image.
    pub side: usize,
    /// The first convolution.
    pub stem: Stem,
    /// Channels and residual blocks of each stage; the first block of all but the first halves rows
    /// and columns.
    pub stages: &'static [(usize, usize)],
    /// Units of the layers behind the weather.
    pub weather: &'static [usize],
    /// Units of the LSTM.
    pub hidden: usize,
    /// Length of a token.
    pub width: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Units in front of the classes.
    pub head: usize,
}

/// The first convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stem {
    /// Rows and columns of its kernel.
    pub kernel: usize,
    /// Its stride.
    pub stride: usize,
    /// Whether 3x3 maximum pooling with stride 2 follows.
    pub pooled: bool,
}

/// The full size: ResNet-34 for 224x224 images, 24.5 million parameters.
pub const FULL: Sizes = Sizes {
    side: 224,
    stem: Stem {
        kernel: 7,
        stride: 2,
        pooled: true,
    },
    stages: &[(64, 3), (128, 4), (256, 6), (512, 3)],
    weather: &[64, 128, 256],
    hidden: 128,
    width: 512,
    heads: 8,
    head: 1024,
};

/// The trained sibling: 97,860 parameters (`testdata/firenet-small`).
pub const SMALL: Sizes = Sizes {
    side: 32,
    stem: Stem {
        kernel: 3,
        stride: 1,
        pooled: false,
    },
    stages: &[(16, 1), (32, 1), (64, 1)],
    weather: &[16, 16, 32],
    hidden: 32,
    width: 32,
    heads: 4,
    head: 64,
};

/// `firenet`: the full size with seeded weights.
pub fn full() -> OnnxGraph {
    build("firenet", &FULL, &mut Seeded { seed: 1 })
}

/// `firenet-small`: the small size with trained weights.
pub fn small() -> OnnxGraph {
    build("firenet-small", &SMALL, &mut Trained::small())
}

/// A network of any size with seeded weights.
pub fn seeded(name: &str, sizes: &Sizes, seed: u64) -> OnnxGraph {
    build(name, sizes, &mut Seeded { seed })
}

fn build(name: &str, sizes: &Sizes, parameters: &mut dyn Parameters) -> OnnxGraph {
    let mut w = Writer::new(name, parameters);
    let side = sizes.side;
    w.input("image", &[1, CHANNELS, side, side]);
    w.input("environment", &[1, NOW]);
    w.input("history", &[1, HOURS, HOURLY]);
    let tokens = [
        branches::image(&mut w, sizes),
        branches::environment(&mut w, sizes),
        branches::history(&mut w, sizes),
    ];
    let tokens = branches::stacked(&mut w, &tokens);
    let fused = branches::fusion(&mut w, sizes, &tokens);
    branches::head(&mut w, sizes, &fused);
    w.finish("head.fc1", OnnxType::F32, &[1, CLASSES])
}
