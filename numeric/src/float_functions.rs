//! onnxruntime's float32 element-wise functions, with the operations and the order of its x86-64
//! kernels (FMA). Tables of 256 entries are made from them at compile time; the hardware never
//! sees a float of them.

/// Rational approximation with odd numerator and even denominator, evaluated by Horner's rule in
/// fused multiply-adds.
fn rational(x: f32, numerator: &[f32], denominator: &[f32]) -> f32 {
    let square = x * x;
    let horner = |c: &[f32]| c[1..].iter().fold(c[0], |p, &k| p.mul_add(square, k));
    horner(numerator) * x / horner(denominator)
}

/// Logistic function (`MlasComputeLogistic`): a rational function of the argument held inside
/// -18..=18, plus one half, held inside 0..=1.
pub fn sigmoid(x: f32) -> f32 {
    const NUMERATOR: [f32; 5] = [
        4.370_310_2e-11,
        1.156_273_2e-7,
        6.085_748_6e-5,
        8.513_771e-3,
        2.482_879_5e-1,
    ];
    const DENOMINATOR: [f32; 6] = [
        6.102_474e-13,
        5.761_021_4e-9,
        6.291_068e-6,
        1.701_988_2e-3,
        1.168_176_6e-1,
        9.931_519e-1,
    ];
    let x = x.clamp(-18.0, 18.0);
    (rational(x, &NUMERATOR, &DENOMINATOR) + 0.5).clamp(0.0, 1.0)
}

/// Hyperbolic tangent (`MlasComputeTanh`): a rational function of the argument held inside -9..=9.
pub fn tanh(x: f32) -> f32 {
    const NUMERATOR: [f32; 7] = [
        -2.760_768_5e-16,
        2.000_188e-13,
        -8.604_672e-11,
        5.122_297e-8,
        1.485_722_4e-5,
        6.372_619e-4,
        4.893_524_6e-3,
    ];
    const DENOMINATOR: [f32; 4] = [1.198_258_4e-6, 1.185_347e-4, 2.268_434_6e-3, 4.893_525e-3];
    let x = x.clamp(-9.0, 9.0);
    rational(x, &NUMERATOR, &DENOMINATOR)
}

/// `x` where it is at least 0, `alpha * x` below.
pub fn leaky_relu(x: f32, alpha: f32) -> f32 {
    if x >= 0.0 { x } else { alpha * x }
}

/// `max(0, min(1, alpha * x + beta))`.
pub fn hard_sigmoid(x: f32, alpha: f32, beta: f32) -> f32 {
    (alpha * x + beta).clamp(0.0, 1.0)
}

/// `x * max(0, min(1, x / 6 + 0.5))`.
pub fn hard_swish(x: f32) -> f32 {
    x * hard_sigmoid(x, 1.0 / 6.0, 0.5)
}
