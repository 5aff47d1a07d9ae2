//! Small TFLite models for the tests of this crate.

use macforge_model::tflite::writer::{Fused, ModelWriter, Options};

/// SAME convolution, stride 2.
pub fn conv_options(fused: Fused) -> Options {
    Options::Conv2d {
        stride: [2, 2],
        dilation: [1, 1],
        same: true,
        fused,
    }
}

/// Deterministic weights over the whole of int8.
pub fn weights(count: usize) -> Vec<i8> {
    (0..count).map(|i| (i * 89 + 40) as u8 as i8).collect()
}

/// A chain with every supported operator, float32 at both ends.
pub fn every_operator() -> Vec<u8> {
    let mut w = ModelWriter::new();
    let input = w.float("input", &[1, 9, 8, 3]);
    let x = w.int8("x", &[1, 9, 8, 3], 0.05, -7);
    w.operator("QUANTIZE", &[input], &[x], Options::None);
    let k = w.weights("k", &[4, 3, 3, 3], &[0.01, 0.02, 0.03, 0.04], &weights(108));
    let b = w.int32("b", &[5e-4, 1e-3, 1.5e-3, 2e-3], &[100, -200, 300, -400]);
    let c = w.int8("conv", &[1, 5, 4, 4], 0.04, -128);
    w.operator("CONV_2D", &[x, k, b], &[c], conv_options(Fused::Relu6));
    let r = w.int8("relu", &[1, 5, 4, 4], 0.03, 3);
    w.operator("RELU", &[c], &[r], Options::None);
    let s = w.int8("sum", &[1, 5, 4, 4], 0.06, -11);
    w.operator("ADD", &[c, r], &[s], Options::Add(Fused::None));
    let pool = |kernel, stride, same| Options::Pool {
        kernel,
        stride,
        same,
        fused: Fused::None,
    };
    let m = w.int8("max", &[1, 4, 3, 4], 0.06, -11);
    w.operator("MAX_POOL_2D", &[s], &[m], pool([2, 2], [1, 1], false));
    let a = w.int8("mean", &[1, 2, 2, 4], 0.06, -11);
    w.operator("AVERAGE_POOL_2D", &[m], &[a], pool([3, 3], [2, 2], true));
    let q = w.int8("rescaled", &[1, 2, 2, 4], 0.02, 5);
    w.operator("QUANTIZE", &[a], &[q], Options::None);
    let f = w.int8("flat", &[1, 16], 0.02, 5);
    let shape = w.int32("shape", &[], &[1, 16]);
    w.operator("RESHAPE", &[q, shape], &[f], Options::None);
    let wf = w.weights("wf", &[5, 16], &[0.01], &weights(80));
    let bf = w.int32("bf", &[0.0002], &[1, 2, 3, 4, 5]);
    let d = w.int8("logits", &[1, 5], 0.1, 9);
    w.operator(
        "FULLY_CONNECTED",
        &[f, wf, bf],
        &[d],
        Options::FullyConnected(Fused::None),
    );
    let p = w.int8("softmax", &[1, 5], 1.0 / 256.0, -128);
    w.operator("SOFTMAX", &[d], &[p], Options::Softmax(1.0));
    let o = w.float("output", &[1, 5]);
    w.operator("DEQUANTIZE", &[p], &[o], Options::None);
    w.finish(&[input], &[o])
}
