//! Single operators against CMSIS-NN's unit tests, whose results come from TFLite.
//!
//! Geometry is the files' `config` entry; every file's batches are run one by one.

mod common;

use std::fs::File;
use std::path::Path;

use common::{eval, graph, i8s, int8};
use macforge_numeric::binary::TfliteAdd;
use macforge_numeric::lstm::Factor;
use macforge_numeric::{
    AveragePoolRule, BinaryFunction, BinaryRule, Clamp, LstmRule, RequantRule, Requantizer,
};
use macforge_quant::{Conv2d, FullyConnected, Lstm, LstmGate, QOp, QTensor, Window};
use ndarray::ArrayD;
use ndarray_npy::{NpzReader, ReadableElement};

struct Npz {
    reader: NpzReader<File>,
    prefix: &'static str,
}

impl Npz {
    fn open(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../shared/models/conformance/cmsis_nn/A")
            .join(format!("{name}.npz"));
        Self {
            reader: NpzReader::new(File::open(path).unwrap()).unwrap(),
            prefix: name,
        }
    }

    fn array<T: ReadableElement>(&mut self, name: &str) -> Vec<T> {
        let name = format!("{}_{name}", self.prefix);
        let array: ArrayD<T> = self.reader.by_name(&name).unwrap();
        array.into_iter().collect()
    }
}

/// Runs `op` on every batch of `input`; all of `wanted` must be equal.
fn check(name: &str, op: QOp, x: QTensor, y: QTensor, input: &[i8], wanted: &[i8]) {
    let (x_shape, batch) = (x.shape.clone(), x.elements());
    let graph = graph(op, &[x], y);
    let found: Vec<i8> = input
        .chunks(batch)
        .flat_map(|x| eval(&graph, &[i8s(&x_shape, x)]).0)
        .collect();
    assert_eq!(found, wanted, "{name}");
}

fn requantizers(
    multipliers: &[i32],
    shifts: &[i32],
    zero_point: i32,
    clamp: Clamp,
) -> Vec<Requantizer> {
    let rule = |(&multiplier, &shift)| RequantRule::TfliteDouble { multiplier, shift };
    multipliers
        .iter()
        .zip(shifts)
        .map(|pair| Requantizer {
            rule: rule(pair),
            zero_point,
            clamp,
        })
        .collect()
}

struct Conv {
    name: &'static str,
    input: [usize; 3],
    output: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    pad: [usize; 2],
    zero_point: i32,
    clamp: [i32; 2],
}

const CONVOLUTIONS: [Conv; 8] = [
    conv("basic", [8, 5, 1], [5, 4, 1], [4, 2], 127, [-128, 127]),
    Conv {
        pad: [1, 1],
        ..conv("conv_2", [3, 6, 2], [3, 6, 4], [3, 3], -3, [-101, 127])
    },
    Conv {
        stride: [4, 4],
        pad: [1, 0],
        ..conv("conv_5", [1, 128, 128], [1, 32, 1], [3, 3], 127, [-88, 127])
    },
    Conv {
        dilation: [2, 2],
        pad: [2, 2],
        ..conv(
            "conv_2x3_dilation",
            [3, 3, 2],
            [3, 3, 2],
            [3, 3],
            -68,
            [-61, 107],
        )
    },
    Conv {
        dilation: [2, 3],
        pad: [2, 3],
        ..conv(
            "conv_3x2_dilation",
            [3, 3, 2],
            [3, 3, 2],
            [3, 3],
            -7,
            [-61, 107],
        )
    },
    Conv {
        dilation: [2, 3],
        pad: [1, 1],
        ..conv(
            "conv_dilation_golden",
            [4, 6, 1],
            [4, 6, 3],
            [2, 2],
            -18,
            [-128, 127],
        )
    },
    Conv {
        stride: [2, 2],
        ..conv(
            "kernel1x1_stride_x_y",
            [6, 7, 23],
            [3, 4, 15],
            [1, 1],
            61,
            [-6, 127],
        )
    },
    Conv {
        stride: [1, 3],
        ..conv(
            "conv_1_x_n_5",
            [1, 17, 4],
            [1, 6, 1],
            [1, 3],
            -128,
            [-88, 127],
        )
    },
];

const fn conv(
    name: &'static str,
    input: [usize; 3],
    output: [usize; 3],
    kernel: [usize; 2],
    zero_point: i32,
    clamp: [i32; 2],
) -> Conv {
    Conv {
        name,
        input,
        output,
        kernel,
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 0],
        zero_point,
        clamp,
    }
}

#[test]
#[ignore = "needs ../shared/models"]
fn convolutions_equal_cmsis_nn() {
    for case in CONVOLUTIONS {
        let mut npz = Npz::open(case.name);
        let (multipliers, shifts) = (npz.array("output_mult"), npz.array("output_shift"));
        let clamp = Clamp::new(case.clamp[0], case.clamp[1]).unwrap();
        let op = Conv2d {
            window: Window {
                kernel: case.kernel,
                stride: case.stride,
                dilation: case.dilation,
                pad: case.pad,
            },
            weights: npz.array("weights"),
            weight_zero_points: vec![0; case.output[2]],
            groups: 1,
            out_channels: case.output[2],
            in_channels: case.input[2],
            bias: npz.array("biases"),
            requant: requantizers(&multipliers, &shifts, case.zero_point, clamp),
            lower_is_activation: false,
        };
        let (x, y) = (
            int8("x", &case.input, -128),
            int8("y", &case.output, case.zero_point),
        );
        let (input, wanted) = (npz.array("input"), npz.array("output_ref"));
        check(case.name, QOp::Conv2d(op), x, y, &input, &wanted);
    }
}

#[test]
#[ignore = "needs ../shared/models"]
fn fully_connected_layers_equal_cmsis_nn() {
    let layer = |mut npz: Npz, features, channels, zero_point, names: [&str; 2], requant| {
        let op = FullyConnected {
            weights: npz.array("weights"),
            weight_zero_points: vec![0; channels],
            out_channels: channels,
            in_features: features,
            bias: npz.array(names[0]),
            requant,
            lower_is_activation: false,
        };
        let (input, wanted) = (npz.array("input"), npz.array(names[1]));
        let (x, y) = (
            int8("x", &[features], -128),
            int8("y", &[channels], zero_point),
        );
        check(npz.prefix, QOp::FullyConnected(op), x, y, &input, &wanted);
    };

    let mut npz = Npz::open("fc_per_ch");
    let (multipliers, shifts) = (npz.array("output_multiplier"), npz.array("output_shift"));
    let requant = requantizers(&multipliers, &shifts, 11, Clamp::INT8);
    layer(npz, 89, 22, 11, ["bias", "output"], requant);

    let npz = Npz::open("fully_connected_null_bias_0");
    let requant = requantizers(&[1_390_052_584; 5], &[-9; 5], 24, Clamp::INT8);
    layer(npz, 33, 5, 24, ["biases", "output_ref"], requant);
}

#[test]
#[ignore = "needs ../shared/models"]
fn pools_equal_cmsis_nn() {
    type Pool = (&'static str, [usize; 3], [usize; 3], [[usize; 2]; 3]);
    // Name, input, output, then kernel, stride and padding.
    let cases: [Pool; 7] = [
        (
            "avgpooling",
            [12, 22, 20],
            [3, 3, 20],
            [[5, 6], [5, 9], [1, 1]],
        ),
        (
            "avgpooling_1",
            [5, 9, 3],
            [1, 1, 3],
            [[5, 9], [2, 1], [0, 0]],
        ),
        (
            "avgpooling_3",
            [1, 9, 2],
            [1, 5, 2],
            [[1, 1], [1, 2], [0, 0]],
        ),
        (
            "avgpooling_4",
            [20, 1, 2],
            [7, 1, 2],
            [[3, 1], [3, 1], [0, 0]],
        ),
        (
            "maxpooling",
            [12, 22, 8],
            [3, 3, 8],
            [[5, 6], [5, 9], [1, 1]],
        ),
        (
            "maxpooling_2",
            [1, 12, 5],
            [1, 12, 5],
            [[1, 3], [2, 1], [0, 1]],
        ),
        (
            "maxpooling_3",
            [1, 9, 2],
            [1, 5, 2],
            [[1, 1], [1, 2], [0, 0]],
        ),
    ];
    for (name, input, output, [kernel, stride, pad]) in cases {
        let window = Window {
            kernel,
            stride,
            dilation: [1, 1],
            pad,
        };
        let op = if name.starts_with("avg") {
            QOp::AveragePool(window, AveragePoolRule::tflite(Clamp::INT8))
        } else {
            QOp::MaxPool(window, Clamp::INT8)
        };
        let mut npz = Npz::open(name);
        let (x, wanted) = (npz.array("input_tensor"), npz.array("output"));
        let tensors = (int8("x", &input, 0), int8("y", &output, 0));
        check(name, op, tensors.0, tensors.1, &x, &wanted);
    }
}

/// CMSIS-NN's gates are interpolated tables, which can differ from gemmlowp's functions by a few units
/// of 2^-15; of its int8 cases this one comes out the same in all 28 values, while `lstm_1` and
/// `lstm_2` differ by one step in 2 of 110 and 1 of 63.
#[test]
#[ignore = "needs ../shared/models"]
fn an_lstm_equals_cmsis_nn() {
    let (inputs, units, zero_point) = (6, 7, 4);
    let mut npz = Npz::open("lstm_stateful_batch_major_multibatch");
    let factor = |multiplier, shift| Factor {
        multiplier,
        shift,
        single_rounding: false,
    };
    let gates = ["input", "forget", "cell", "output"].map(|gate| LstmGate {
        input_weights: npz.array(&format!("{gate}_gate_input_weights")),
        recurrent_weights: npz.array(&format!("{gate}_gate_hidden_weights")),
        bias: npz.array(&format!("{gate}_gate_bias")),
    });
    let lstm = Lstm {
        inputs,
        units,
        gates,
        rule: LstmRule {
            input: [
                factor(2_146_124_928, -3),
                factor(2_025_295_488, -3),
                factor(2_096_726_656, -3),
                factor(2_130_456_576, -3),
            ],
            recurrent: [
                factor(2_044_599_040, -4),
                factor(1_134_438_656, -3),
                factor(1_164_696_448, -3),
                factor(1_143_723_136, -3),
            ],
            cell_integer_bits: 0,
            cell_clip: Some(32767),
            output: factor(1_993_694_592, -21),
            output_zero_point: zero_point,
        },
    };
    let tensors = (
        int8("x", &[2, inputs], -128),
        int8("y", &[2, units], zero_point),
    );
    let (input, wanted) = (npz.array("input_tensor"), npz.array("output"));
    check(
        npz.prefix,
        QOp::Lstm(Box::new(lstm)),
        tensors.0,
        tensors.1,
        &input,
        &wanted,
    );
}

#[test]
#[ignore = "needs ../shared/models"]
fn addition_equals_cmsis_nn() {
    let mut npz = Npz::open("add");
    let sum = TfliteAdd {
        input1_offset: 128,
        input1_multiplier: 1 << 30,
        input1_shift: 0,
        input2_offset: 128,
        input2_multiplier: 1 << 30,
        input2_shift: 0,
        output_multiplier: 1 << 30,
        output_shift: -19,
        left_shift: 20,
    };
    let rule = BinaryRule::new(BinaryFunction::TfliteAdd(sum), -128);
    let (a, b): (Vec<i8>, Vec<i8>) = (npz.array("input1"), npz.array("input2"));
    let wanted: Vec<i8> = npz.array("output_ref");
    let n = a.len();
    let graph = graph(
        QOp::Binary(rule),
        &[int8("a", &[n], -128), int8("b", &[n], -128)],
        int8("y", &[n], -128),
    );
    assert_eq!(eval(&graph, &[i8s(&[n], &a), i8s(&[n], &b)]).0, wanted);
}
