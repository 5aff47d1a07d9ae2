//! onnxruntime's float32 functions, bit for bit (values from onnxruntime 1.32 on x86-64).

use macforge_numeric::float_functions::{hard_sigmoid, hard_swish, leaky_relu, sigmoid, tanh};

const X: [f32; 9] = [-20.0, -5.5, -1.0, -0.3, 1e-3, 0.7, 2.25, 8.0, 30.0];

#[test]
fn sigmoid_and_tanh_equal_onnxruntimes_bits() {
    assert_eq!(X.map(|x| sigmoid(x).to_bits()), SIGMOID);
    assert_eq!(X.map(|x| tanh(x).to_bits()), TANH);
}

#[test]
fn piecewise_linear_functions_by_hand() {
    assert_eq!(
        [-2.0, 0.0, 3.0].map(|x| leaky_relu(x, 0.5)),
        [-1.0, 0.0, 3.0]
    );
    let sigmoids = [-4.0, 0.0, 1.0, 4.0].map(|x| hard_sigmoid(x, 0.25, 0.5));
    assert_eq!(sigmoids, [0.0, 0.5, 0.75, 1.0]);
    assert_eq!([-4.0, 0.0, 3.0, 8.0].map(hard_swish), [0.0, 0.0, 3.0, 8.0]);
}

const SIGMOID: [u32; 9] = [
    0x0,
    0x3b85_5f00,
    0x3e89_b2b1,
    0x3ed9_e2ac,
    0x3f00_1062,
    0x3f2b_0e5a,
    0x3f67_972e,
    0x3f7f_ea04,
    0x3f80_0000,
];
const TANH: [u32; 9] = [
    0xbf80_0000,
    0xbf7f_fdd0,
    0xbf42_f7d6,
    0xbe95_26ed,
    0x3a83_126b,
    0x3f1a_b7d9,
    0x3f7a_5fec,
    0x3f7f_fffc,
    0x3f80_0000,
];
