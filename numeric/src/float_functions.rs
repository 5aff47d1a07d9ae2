//! onnxruntime's float32 element-wise functions, with the operations and the order of its x86-64
//! kernels (FMA). Tables of 256 entries are made from them at compile time; the hardware never
//! sees a float of them.

/// Rational approximation with odd numerator and even denominator, evaluated by Horner's rule in
/// fused multiply-adds.
fn rational(x: f32, numerator: &[f64], denominator: &[f64]) -> f32 {
    let square = x * x;
    // coefficients as their source states them, narrowed to float32; leading zeros change nothing
    let horner = |c: &[f64]| c.iter().fold(0.0f32, |p, &k| p.mul_add(square, k as f32));
    horner(numerator) * x / horner(denominator)
}

/// Logistic function (`MlasComputeLogistic`): a rational function of the argument held inside
/// -18..=18, plus one half, held inside 0..=1.
pub fn sigmoid(x: f32) -> f32 {
    const NUMERATOR: [f64; 5] = [
        4.370_310_125_798_01e-11,
        1.156_273_244_599_42e-7,
        6.085_748_646_001_43e-5,
        8.513_771_333_047_01e-3,
        2.482_879_470_615_29e-1,
    ];
    const DENOMINATOR: [f64; 6] = [
        6.102_473_897_556_81e-13,
        5.761_021_369_934_27e-9,
        6.291_067_850_170_40e-6,
        1.701_988_173_740_94e-3,
        1.168_176_569_044_53e-1,
        9.931_519_210_231_80e-1,
    ];
    let x = x.clamp(-18.0, 18.0);
    (rational(x, &NUMERATOR, &DENOMINATOR) + 0.5).clamp(0.0, 1.0)
}

/// Hyperbolic tangent (`MlasComputeTanh`): a rational function of the argument held inside -9..=9.
pub fn tanh(x: f32) -> f32 {
    const NUMERATOR: [f64; 7] = [
        -2.760_768_477_423_55e-16,
        2.000_187_904_824_77e-13,
        -8.604_671_522_137_35e-11,
        5.122_297_090_371_14e-8,
        1.485_722_357_179_79e-5,
        6.372_619_288_754_36e-4,
        4.893_524_558_917_86e-3,
    ];
    const DENOMINATOR: [f64; 4] = [
        1.198_258_394_667_02e-6,
        1.185_347_056_866_54e-4,
        2.268_434_632_439_00e-3,
        4.893_525_185_543_85e-3,
    ];
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
