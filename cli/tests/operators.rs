//! Operators that the engine makes of several layers, or with units of their own, over random shapes:
//! every stored tensor equals the reference model's.

#[allow(dead_code)]
#[path = "../src/cosim/mod.rs"]
mod cosim;
#[allow(dead_code)]
mod graphs_support;
#[allow(dead_code)]
mod layers_support;
#[allow(dead_code)]
#[path = "../src/project.rs"]
mod project;

use graphs_support::{Graph, assert_exact, window};
use layers_support::Rng;
use macforge_numeric::pool::Mean;
use macforge_numeric::{
    AffineParams, AveragePoolRule, BinaryFunction, BinaryRule, Clamp, FloatOperation, Semantics,
};
use macforge_quant::Window;

const UNIT: Window = Window {
    kernel: [1, 1],
    stride: [1, 1],
    dilation: [1, 1],
    pad: [0, 0],
};

fn mean(mean: Mean) -> AveragePoolRule {
    let clamp = Clamp { lo: -128, hi: 127 };
    AveragePoolRule { mean, clamp }
}

/// onnxruntime's mean, from one scale to another.
fn ort(input: AffineParams, zero_point: i32, divisor: Option<u32>) -> AveragePoolRule {
    let output = AffineParams {
        scale: input.scale * 0.83,
        zero_point,
    };
    let clamp = Clamp { lo: -128, hi: 127 };
    AveragePoolRule::ort(input, output, divisor, clamp).expect("plain scales")
}

#[test]
fn averages_divide_by_the_values_inside_of_the_image() {
    let mut g = Graph::new(31);
    let x = g.input(&[5, 7, 6]);
    let a = g.average_to(
        x,
        window([3, 3], [1, 1], [1, 1]),
        [5, 7],
        mean(Mean::Tflite),
    );
    let b = g.average_to(
        a,
        window([2, 5], [2, 1], [0, 2]),
        [3, 7],
        mean(Mean::Tflite),
    );
    // larger than the image
    let c = g.average_to(
        b,
        window([5, 9], [1, 1], [2, 4]),
        [3, 7],
        mean(Mean::Tflite),
    );
    let d = g.conv(c, 9, window([1, 1], [1, 1], [0, 0]));
    let y = g.average_to(
        d,
        window([3, 7], [1, 1], [1, 3]),
        [3, 7],
        mean(Mean::Tflite),
    );
    assert_exact("signed", &["3x8x4", "2x4x8"], &g.finish(&[y]));

    let mut g = Graph::new(32);
    let x = g.input(&[6, 4, 5]);
    let unsigned = mean(Mean::TfliteUnsigned);
    let a = g.average_to(x, window([2, 3], [1, 1], [0, 1]), [6, 4], unsigned);
    let y = g.average_to(a, window([3, 4], [1, 1], [1, 1]), [6, 4], unsigned);
    assert_exact("unsigned", &["5x6x3"], &g.finish(&[y]));

    let mut g = Graph::new(33);
    g.semantics(Semantics::OrtX86);
    let x = g.input(&[5, 6, 5]);
    let dilated = Window {
        dilation: [2, 1],
        ..window([2, 3], [1, 1], [1, 1])
    };
    let rule = ort(g.params_of(x), -11, None);
    let a = g.average_to(x, dilated, [5, 6], rule);
    let counted = ort(g.params_of(a), 19, Some(9));
    let y = g.average_to(a, window([3, 3], [1, 1], [1, 1]), [5, 6], counted);
    assert_exact("onnxruntime", &["3x8x4"], &g.finish(&[y]));
}

#[test]
fn the_smaller_and_the_larger_of_two_tensors() {
    let int8 = Clamp { lo: -128, hi: 127 };
    for (case, minimum) in [("minimum", true), ("maximum", false)] {
        let mut g = Graph::new(35);
        let x = g.input(&[4, 5, 6]);
        let a = g.conv(x, 9, UNIT);
        let b = g.conv(x, 9, window([3, 3], [1, 1], [1, 1]));
        let function = match minimum {
            true => BinaryFunction::Minimum,
            false => BinaryFunction::Maximum,
        };
        let raw = |a: AffineParams, _, _| BinaryRule::new(function, a.zero_point);
        let y = g.binary([a, b], &[4, 5, 9], raw);
        let y = g.binary([y, y], &[4, 5, 9], |a, _, _| {
            raw(a, a, a).clamped(int8, true)
        });
        assert_exact(case, &["3x8x4"], &g.finish(&[y]));

        let mut g = Graph::new(36);
        let x = g.input(&[4, 5, 6]);
        let operation = match minimum {
            true => FloatOperation::Min,
            false => FloatOperation::Max,
        };
        let real = |a, b, y| BinaryRule::float(operation, a, b, y).expect("plain scales");
        let a = g.conv(x, 6, UNIT);
        let row = g.conv(x, 6, window([4, 1], [1, 1], [0, 0]));
        let y = g.binary([row, a], &[4, 5, 6], real);
        let single = g.conv(x, 1, UNIT);
        let y = g.binary([y, single], &[4, 5, 6], real);
        assert_exact("float", &["5x6x3"], &g.finish(&[y]));
    }
}

/// Zero points of all kinds: of int8's ends, 0, and others.
#[test]
fn products_of_two_tensors() {
    let tflite = |a, b, y| BinaryRule::tflite_mul(a, b, y).expect("plain scales");
    let mut g = Graph::new(38);
    let x = g.input(&[4, 5, 6]);
    let a = g.conv(x, 9, UNIT);
    let b = g.conv(x, 9, window([3, 3], [1, 1], [1, 1]));
    let y = g.binary([a, b], &[4, 5, 9], tflite);
    let square = g.binary([y, y], &[4, 5, 9], |a, b, y| {
        let relu = Clamp {
            lo: y.zero_point,
            hi: 127,
        };
        tflite(a, b, y).clamped(relu, true)
    });
    let lowest = g.average(square, window([1, 1], [1, 1], [0, 0]));
    let row = g.conv(x, 9, window([4, 1], [1, 1], [0, 0]));
    let y = g.binary([row, lowest], &[4, 5, 9], tflite);
    let pixel = g.average(a, window([4, 5], [1, 1], [0, 0]));
    let y = g.binary([y, pixel], &[4, 5, 9], tflite);
    let single = g.conv(x, 1, UNIT);
    let y = g.binary([y, single], &[4, 5, 9], tflite);
    let t = g.table(y);
    assert_exact("tflite", &["3x8x4", "2x4x8"], &g.finish(&[t]));

    let mut g = Graph::new(39);
    g.semantics(Semantics::OrtX86);
    let x = g.input(&[4, 5, 6]);
    let y = g.binary([x, x], &[4, 5, 6], |a, b, y| {
        BinaryRule::qlinear_mul(a, b, y, true).expect("plain scales")
    });
    let z = g.binary([y, x], &[4, 5, 6], |a, b, y| {
        BinaryRule::float(FloatOperation::Mul, a, b, y).expect("plain scales")
    });
    assert_exact("onnxruntime", &["5x6x3"], &g.finish(&[z]));
}

/// Zero points that need one to three parts of a weight, and a second row or none.
#[test]
fn products_of_two_matrices() {
    let mut g = Graph::new(40);
    let a = g.input_with(&[5, 7], -128);
    let b = g.input_with(&[7, 9], -128);
    let plain = g.matmul([a, b], false);
    let c = g.input_with(&[11, 9], 0);
    let wide = g.matmul([plain, c], true);
    let d = g.input_with(&[3, 5, 6], 0);
    let e = g.input_with(&[3, 6, 13], 0);
    let batched = g.matmul([d, e], false);
    let f = g.input_with(&[13, 4], 127);
    let shared = g.matmul([batched, f], false);
    let scores = g.matmul([d, d], true);
    let y = g.table(scores);
    let out = [wide, shared, y];
    assert_exact("matrices", &["3x8x4", "2x4x8"], &g.finish(&out));
}

#[test]
fn accumulators_leave_as_int32() {
    for (seed, semantics) in [(42, Semantics::TfliteDouble), (43, Semantics::OrtX86)] {
        let mut g = Graph::new(seed);
        g.semantics(semantics);
        let x = g.input(&[4, 5, 6]);
        let a = g.conv(x, 9, window([3, 3], [1, 1], [1, 1]));
        let image = g.accumulators(a);
        let a = g.depthwise(x, window([3, 3], [1, 1], [1, 1]));
        let grouped = g.accumulators(a);
        let a = g.fully_connected(x, 5);
        let vector = g.accumulators(a);
        let y = g.max_pool(x, window([2, 2], [1, 1], [0, 0]));
        let out = [image, grouped, y, vector];
        assert_exact("int32", &["3x8x4"], &g.finish(&out));
    }
}

#[test]
fn differences_are_sums() {
    let mut g = Graph::new(37);
    let x = g.input(&[4, 5, 6]);
    let a = g.conv(x, 6, UNIT);
    let sub = |a, b, y| BinaryRule::tflite_sub(a, b, y).expect("plain scales");
    let y = g.binary([x, a], &[4, 5, 6], sub);
    let y = g.binary([y, x], &[4, 5, 6], sub);
    assert_exact("sub", &["3x8x4"], &g.finish(&[y]));
}

#[test]
fn transposed_convolutions_of_any_stride_write_every_phase() {
    let mut rng = Rng::new(34);
    for case in 0..8 {
        let mut g = Graph::new(340 + case);
        let [h, w] = [0, 1].map(|_| rng.within(1, 5) as usize);
        let x = g.input(&[h, w, rng.within(1, 9) as usize]);
        let pair = |rng: &mut Rng, hi| [0, 1].map(|_| rng.within(1, hi) as usize);
        let (kernel, stride, dilation) = (pair(&mut rng, 4), pair(&mut rng, 3), pair(&mut rng, 2));
        let mut size = [0; 2];
        let mut pad = [0; 2];
        for (axis, input) in [h, w].into_iter().enumerate() {
            let whole = (input - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1;
            pad[axis] = rng.within(0, (whole as i64 - 1).min(2)) as usize;
            // rows behind what any input reaches, or fewer
            size[axis] = rng.within(1, (whole - pad[axis]) as i64 + 1) as usize;
        }
        let window = Window {
            kernel,
            stride,
            dilation,
            pad,
        };
        let channels = rng.within(1, 9) as usize;
        let depthwise = case % 4 == 3;
        let a = g.transpose_conv(x, channels, window, size, depthwise);
        let y = g.table(a);
        let shape = ["3x8x4", "4x8x2", "1x12x12", "5x6x3"][case as usize % 4];
        assert_exact("transposed", &[shape], &g.finish(&[y]));
    }
}
