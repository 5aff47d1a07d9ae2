//! Operators that sum: convolutions, products, means, pools.

use macforge_model::tflite::writer::{Fused, Options, TensorSpec, element};

use super::{Maker, Params, int32};

pub(super) fn add_all(m: &mut Maker) {
    mean(m);
    pools(m);
    convolutions(m);
    transposed_convolution(m);
    rows(m);
    if !m.unsigned {
        products(m);
        four_bits(m);
    }
}

fn mean(m: &mut Maker) {
    for (axes, keep) in [
        (&[1, 2][..], true),
        (&[1, 2], false),
        (&[2], true),
        (&[3], false),
    ] {
        let (x, y) = (m.params(0.01, 0.3), m.params(0.005, 0.1));
        let shape = [1, 3 + m.below(5), 3 + m.below(5), 3];
        let left = (0..4).filter(|d| keep || !axes.contains(d));
        let output: Vec<i32> = left
            .map(|d| {
                if axes.contains(&d) {
                    1
                } else {
                    shape[d as usize]
                }
            })
            .collect();
        let constant = int32(&[axes.len() as i32], axes);
        let options = Options::Reducer(keep);
        m.operator(
            "MEAN",
            &[(&shape, x)],
            vec![constant],
            (&output, y),
            options,
        );
    }
}

fn pools(m: &mut Maker) {
    for name in ["AVERAGE_POOL_2D", "MAX_POOL_2D"] {
        for same in [true, false] {
            let p = m.params(0.01, 0.1);
            let (size, kernel) = (4 + m.below(6), 2 + m.below(2));
            let stride = 1 + m.below(2);
            let out = output_size(size, kernel, stride, same);
            let options = Options::Pool {
                kernel: [kernel; 2],
                stride: [stride; 2],
                same,
                fused: Fused::None,
            };
            let input = (&[1, size, size, 2][..], p);
            m.operator(name, &[input], vec![], (&[1, out, out, 2], p), options);
        }
    }
}

fn output_size(size: i32, kernel: i32, stride: i32, same: bool) -> i32 {
    if same {
        (size + stride - 1) / stride
    } else {
        (size - kernel) / stride + 1
    }
}

/// Weights' parameters: int8 ones are symmetric.
fn weight_params(m: &mut Maker) -> Params {
    let (scale, zero_point) = m.params(0.002, 0.02);
    (scale, if m.unsigned { zero_point } else { 0 })
}

fn weights(m: &mut Maker, shape: &[i32], params: Params) -> TensorSpec {
    let data = m.bytes(shape.iter().product::<i32>() as usize);
    m.spec("weights", shape, params, data)
}

fn bias(m: &mut Maker, channels: i32, scale: f32) -> TensorSpec {
    let data: Vec<i32> = (0..channels).map(|_| m.below(4000) - 2000).collect();
    TensorSpec {
        scale: vec![scale],
        zero_point: vec![0],
        ..int32(&[channels], &data)
    }
}

/// Dense, grouped (which TFLite has for int8 only) and depthwise with depth multiplier 2.
fn convolutions(m: &mut Maker) {
    let (inputs, outputs) = (4, 6);
    for (name, weight_shape) in [
        ("CONV_2D", [outputs, 3, 3, inputs]),
        ("CONV_2D", [outputs, 3, 3, inputs / 2]),
        ("DEPTHWISE_CONV_2D", [1, 3, 3, 2 * inputs]),
    ] {
        if m.unsigned && weight_shape[3] < inputs {
            continue;
        }
        let (x, y, w) = (m.params(0.01, 0.1), m.params(0.1, 0.5), weight_params(m));
        let (size, same, stride) = (3 + m.below(5), m.below(2) == 0, 1 + m.below(2));
        let out = output_size(size, 3, stride, same);
        let depthwise = name == "DEPTHWISE_CONV_2D";
        let channels = if depthwise { 2 * inputs } else { outputs };
        let (stride, dilation, fused) = ([stride; 2], [1, 1], Fused::Relu);
        let options = match depthwise {
            true => Options::DepthwiseConv2d {
                stride,
                dilation,
                same,
                fused,
            },
            false => Options::Conv2d {
                stride,
                dilation,
                same,
                fused,
            },
        };
        let constants = vec![weights(m, &weight_shape, w), bias(m, channels, x.0 * w.0)];
        let input = (&[1, size, size, inputs][..], x);
        m.operator(
            name,
            &[input],
            constants,
            (&[1, out, out, channels], y),
            options,
        );
    }
}

fn transposed_convolution(m: &mut Maker) {
    let (x, y, w) = (m.params(0.01, 0.1), m.params(0.1, 0.5), weight_params(m));
    let (size, same, stride) = (2 + m.below(4), m.below(2) == 0, 1 + m.below(2));
    let out = if same {
        size * stride
    } else {
        (size - 1) * stride + 3
    };
    let constants = vec![int32(&[4], &[1, out, out, 5]), weights(m, &[5, 3, 3, 3], w)];
    let options = Options::TransposeConv {
        stride: [stride; 2],
        same,
        fused: Fused::None,
    };
    let input = (&[1, size, size, 3][..], x);
    m.operator(
        "TRANSPOSE_CONV",
        &[input],
        constants,
        (&[1, out, out, 5], y),
        options,
    );
}

/// A fully connected layer over several rows; int8 weights with a zero point are allowed here.
fn rows(m: &mut Maker) {
    let (x, y, w) = (
        m.params(0.01, 0.1),
        m.params(0.1, 0.5),
        m.params(0.002, 0.02),
    );
    let constants = vec![weights(m, &[6, 8], w)];
    let options = Options::FullyConnected(Fused::None);
    let input = (&[1, 5, 8][..], x);
    m.operator(
        "FULLY_CONNECTED",
        &[input],
        constants,
        (&[1, 5, 6], y),
        options,
    );
}

fn products(m: &mut Maker) {
    for (transposed, constant) in [
        ([false, false], false),
        ([true, false], false),
        ([false, true], false),
        ([true, true], false),
        ([false, false], true),
        ([false, true], true),
    ] {
        let (a, b, y) = (m.params(0.01, 0.1), m.params(0.01, 0.1), m.params(0.1, 0.5));
        let first = if transposed[0] {
            [1, 2, 6, 5]
        } else {
            [1, 2, 5, 6]
        };
        let second = if transposed[1] {
            [1, 2, 7, 6]
        } else {
            [1, 2, 6, 7]
        };
        let output = (&[1, 2, 5, 7][..], y);
        let options = Options::BatchMatMul(transposed);
        if constant {
            let matrix = weights(m, &second[2..], b);
            m.operator(
                "BATCH_MATMUL",
                &[(&first, a)],
                vec![matrix],
                output,
                options,
            );
        } else {
            let inputs = [(&first[..], a), (&second[..], b)];
            m.operator("BATCH_MATMUL", &inputs, vec![], output, options);
        }
    }
}

/// int4 weights, two to a byte.
fn four_bits(m: &mut Maker) {
    let (x, y, w) = (m.params(0.01, 0.1), m.params(0.1, 0.5), weight_params(m));
    let data = m.bytes(24);
    let packed = TensorSpec {
        element_type: element::I4,
        ..m.spec("weights", &[6, 8], w, data)
    };
    let options = Options::FullyConnected(Fused::None);
    m.operator(
        "FULLY_CONNECTED",
        &[(&[1, 8], x)],
        vec![packed],
        (&[1, 6], y),
        options,
    );
}
