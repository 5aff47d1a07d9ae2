//! Networks whose weights are streamed from memory.

use crate::layers_support::{Net, Tensor, Weighted, Weights, k, pool};
use macforge_model::tflite::writer::Fused;

fn with(weights: Weights) -> Weighted {
    Weighted {
        weights,
        ..Weighted::default()
    }
}

/// A network whose weights are streamed in tests: weights of 8, 4 and 2 bits, a depthwise layer, tiles
/// that are walked once and more often, and tiles of few words.
pub fn stream_model() -> Vec<u8> {
    let weights = [Weights::Any, Weights::FourBits, Weights::Units];
    stream_network(21, weights, &[-3, 5, -20])
}

/// The same network quantized in another way: other bits in every layer, other scales and zero points.
pub fn stream_variant() -> Vec<u8> {
    let weights = [Weights::FourBits, Weights::Units, Weights::Any];
    stream_network(23, weights, &[7, -11])
}

fn stream_network(seed: u64, weights: [Weights; 3], zero_points: &[i64]) -> Vec<u8> {
    let [first, second, third] = weights.map(with);
    let (mut net, x) = Net::with_zero_points(seed, [9, 7, 5], zero_points);
    let x = net.conv(x, 24, k(3, 3).with(first));
    let x = net.depthwise(x, 1, k(3, 3));
    let x = net.conv(x, 96, k(3, 3).with(second));
    let x = net.conv(x, 33, k(1, 1).with(third));
    let x = net.max_pool(x, pool(4, 4), Fused::None);
    let x = net.fully_connected(x, 8, Weighted::default());
    let x = net.fully_connected(x, 7, Weighted::default());
    let y = net.fully_connected(x, 40, Weighted::default());
    net.finish(y)
}

/// A network whose weights take less block RAM on chip when narrow ones share words: `narrow` are the
/// weights of the layers that have 4 and 2 bits. On an array with 4 input channels tiles have odd numbers
/// of steps, and most are walked more than once; a depthwise layer is among the narrow ones.
pub fn narrow_model(narrow: [Weights; 2]) -> Vec<u8> {
    let [four, two] = narrow.map(with);
    let (mut net, x) = Net::with_zero_points(22, [9, 7, 5], &[-3, 5, -20]);
    let x = net.conv(x, 20, k(3, 3));
    let x = net.conv(x, 44, k(3, 3).with(four));
    let x = net.depthwise(x, 1, k(3, 3).with(four));
    let x = net.conv(x, 36, k(1, 1).with(two));
    let x = net.conv(x, 88, k(3, 3).with(two));
    let x = net.max_pool(x, pool(4, 4), Fused::None);
    let y = net.fully_connected(x, 10, Weighted::default());
    net.finish(y)
}

/// A network whose first result does not fit a small device: 7x7 convolution to 64x64x64, pooling, and a
/// residual block with a convolution on its shortcut.
pub fn strip_model() -> Vec<u8> {
    strip_network(77, Weights::Any)
}

/// The same network with 4-bit weights in its residual block, and other scales.
pub fn strip_variant() -> Vec<u8> {
    strip_network(78, Weights::FourBits)
}

fn strip_network(seed: u64, block: Weights) -> Vec<u8> {
    let (mut net, x) = Net::new(seed, [128, 128, 4]);
    let block = with(block);
    let x = net.conv(x, 64, k(7, 7).stride(2, 2));
    let x = net.max_pool(x, pool(3, 2).same(), Fused::None);
    let skip = net.conv(x, 32, k(1, 1).stride(2, 2).with(block));
    let y = net.conv(x, 32, k(3, 3).stride(2, 2).with(block));
    let y = net.conv(y, 32, k(3, 3).with(block));
    let x = net.add(y, skip, Fused::Relu);
    let x = net.global_average(x);
    let y = net.fully_connected(x, 4, Weighted::default());
    net.finish(y)
}

/// A ResNet-34 for images of 224 x 224 x 4: 7x7 convolution and pooling, 3, 4, 6 and 3 residual blocks
/// of 64, 128, 256 and 512 channels, global average, `classes` outputs. The weights of its convolutions
/// are bell-shaped, 8 bits wide.
pub fn resnet34(classes: usize) -> Vec<u8> {
    let bell = Weighted {
        fused: Fused::Relu,
        ..with(Weights::Bell)
    };
    let linear = with(Weights::Bell);
    let (mut net, x) = Net::new(34, [224, 224, 4]);
    let x = net.conv(x, 64, k(7, 7).stride(2, 2).with(bell));
    let mut x = net.max_pool(x, pool(3, 2).same(), Fused::None);
    for (blocks, channels) in [(3, 64), (4, 128), (6, 256), (3, 512)] {
        for block in 0..blocks {
            let stride = if block == 0 && channels > 64 { 2 } else { 1 };
            let skip: Tensor = if stride == 2 {
                net.conv(x, channels, k(1, 1).stride(2, 2).with(linear))
            } else {
                x
            };
            let y = net.conv(x, channels, k(3, 3).stride(stride, stride).with(bell));
            let y = net.conv(y, channels, k(3, 3).with(linear));
            x = net.add(y, skip, Fused::Relu);
        }
    }
    let x = net.global_average(x);
    let y = net.fully_connected(x, classes, linear);
    net.finish(y)
}

/// A network whose activations do not fit a small device: a residual block of 16 channels and a depthwise layer
/// on 96 x 96 pixels, then strides of two.
pub fn large_model() -> Vec<u8> {
    let (mut net, x) = Net::with_zero_points(91, [96, 96, 4], &[-3, 5, -20]);
    let x = net.conv(x, 16, k(3, 3));
    let y = net.conv(x, 16, k(3, 3));
    let y = net.conv(y, 16, k(3, 3));
    let x = net.add(y, x, Fused::Relu);
    let x = net.depthwise(x, 1, k(3, 3));
    let skip = net.conv(x, 24, k(1, 1).stride(2, 2));
    let y = net.conv(x, 24, k(3, 3).stride(2, 2));
    let x = net.add(y, skip, Fused::None);
    let x = net.max_pool(x, pool(3, 2).same(), Fused::None);
    let x = net.global_average(x);
    let y = net.fully_connected(x, 4, Weighted::default());
    net.finish(y)
}

/// A network whose input does not fit a small device.
pub fn large_input_model() -> Vec<u8> {
    let (mut net, x) = Net::with_zero_points(92, [250, 250, 4], &[7, -11]);
    let x = net.conv(x, 12, k(5, 5).stride(2, 2));
    let x = net.conv(x, 16, k(3, 3).stride(2, 2));
    let x = net.max_pool(x, pool(3, 2).same(), Fused::None);
    let x = net.global_average(x);
    let y = net.fully_connected(x, 4, Weighted::default());
    net.finish(y)
}
