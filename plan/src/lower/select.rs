//! Layers of the dot array that move channels: a 1x1 convolution whose weights are 0 and 1.

use crate::layers::{LayerKind, unit_window};
use macforge_numeric::{Clamp, RequantRule, Requantizer};

/// Output channel `c` is input channel `from(c)`, or the zero point where there is none.
pub fn channels(
    inputs: usize,
    outputs: usize,
    zero_point: i32,
    from: impl Fn(usize) -> Option<usize>,
) -> LayerKind {
    filled(inputs, outputs, zero_point, zero_point, from)
}

/// The same with `fill` where there is none.
pub fn filled(
    inputs: usize,
    outputs: usize,
    zero_point: i32,
    fill: i32,
    from: impl Fn(usize) -> Option<usize>,
) -> LayerKind {
    let mut weights = vec![0; inputs * outputs];
    let mut bias = vec![0; outputs];
    for c in 0..outputs {
        match from(c) {
            Some(input) => weights[c * inputs + input] = 1,
            None => bias[c] = fill - zero_point,
        }
    }
    LayerKind::Dot {
        window: unit_window(),
        weights,
        bias,
        requant: vec![identity(zero_point); outputs],
    }
}

/// `x - zero_point` back to `x`.
pub fn identity(zero_point: i32) -> Requantizer {
    Requantizer {
        rule: RequantRule::Pow2 { shift: 0 },
        zero_point,
        clamp: Clamp { lo: -128, hi: 127 },
    }
}
