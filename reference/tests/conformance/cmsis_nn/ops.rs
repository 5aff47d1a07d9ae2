//! The operators of the cases.

use macforge_numeric::binary::{TfliteAdd, TfliteMul};
use macforge_numeric::lstm::Factor;
use macforge_numeric::{
    AveragePoolRule, BinaryFunction, BinaryRule, Clamp, LstmRule, RequantRule, Requantizer,
};
use macforge_quant::{Conv2d, FullyConnected, Lstm, LstmArithmetic, LstmGate, MatMul, QOp, Window};

use super::{Case, CaseFile, chain, int8, single, value};

/// How a convolution's weights lie and what it does with them.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// `[OC, KH, KW, IC / groups]`.
    Dense,
    /// `[KH, KW, OC]`.
    Depthwise,
    /// `[OC, KH, KW, IC]`, transposed.
    Transposed,
}

pub fn convolution(file: &mut CaseFile, kind: Kind) -> Case {
    let [ih, iw, ic] = file.sizes(["INPUT_H", "INPUT_W", "IN_CH"]);
    let [oh, ow, oc] = file.sizes(["OUTPUT_H", "OUTPUT_W", "OUT_CH"]);
    let [kh, kw] = file.sizes(["FILTER_Y", "FILTER_X"]);
    let stored = weights(file, &["weights", "input_weights"], |n| match kind {
        Kind::Depthwise => oc * kh * kw == n,
        _ => n.is_multiple_of(oc * kh * kw) && ic.is_multiple_of(n / (oc * kh * kw)),
    });
    let (groups, weights) = match kind {
        Kind::Depthwise => {
            let by_tap = &stored;
            let of = |oc_at: usize| by_tap.iter().skip(oc_at).step_by(oc).copied();
            (ic, (0..oc).flat_map(of).collect())
        }
        Kind::Transposed => (1, stored),
        Kind::Dense => (ic / (stored.len() / (oc * kh * kw)), stored),
    };
    let zero_point = file.int("OUTPUT_OFFSET");
    let multipliers: Vec<i32> = file.any(&["output_mult", "output_multiplier"]).unwrap();
    let shifts: Vec<i32> = file.array("output_shift");
    let clamp = clamp(file, "OUT_ACTIVATION");
    let conv = Conv2d {
        window: Window {
            kernel: [kh, kw],
            stride: file.sizes(["STRIDE_Y", "STRIDE_X"]),
            dilation: file.sizes(["DILATION_Y", "DILATION_X"]),
            pad: file.sizes(["PAD_Y", "PAD_X"]),
        },
        weights,
        weight_zero_points: vec![0; oc],
        groups,
        out_channels: oc,
        in_channels: ic,
        bias: file
            .any(&["biases", "input_bias", "bias"])
            .unwrap_or_else(|| vec![0; oc]),
        requant: requantizers(&multipliers, &shifts, zero_point, clamp),
        lower_is_activation: false,
    };
    let op = match kind {
        Kind::Transposed => QOp::ConvTranspose2d(conv),
        _ => QOp::Conv2d(conv),
    };
    let x = int8("x", &[ih, iw, ic], -file.int("INPUT_OFFSET"));
    let y = int8("y", &[oh, ow, oc], zero_point);
    let (input, wanted) = input_and_output(file);
    single(&file.name, op, x, y, &input, &wanted)
}

pub fn fully_connected(file: &mut CaseFile) -> Case {
    let [channels, features] = file.sizes(["OUT_CH", "ACCUMULATION_DEPTH"]);
    let zero_point = file.int("OUTPUT_OFFSET");
    let multipliers = file.any(&["output_multiplier"]);
    let multipliers = multipliers.unwrap_or_else(|| vec![file.int("OUTPUT_MULTIPLIER"); channels]);
    let shifts = file.any(&["output_shift"]);
    let shifts = shifts.unwrap_or_else(|| vec![file.int("OUTPUT_SHIFT"); channels]);
    let clamp = clamp(file, "OUT_ACTIVATION");
    let layer = FullyConnected {
        weights: weights(file, &["weights", "input_weights"], |n| {
            n == channels * features
        }),
        weight_zero_points: vec![-file.number("FILTER_OFFSET").unwrap_or(0); channels],
        out_channels: channels,
        in_features: features,
        bias: file
            .any(&["biases", "bias", "input_bias"])
            .unwrap_or_else(|| vec![0; channels]),
        requant: requantizers(&multipliers, &shifts, zero_point, clamp),
        lower_is_activation: false,
    };
    let x = int8("x", &[features], -file.int("INPUT_OFFSET"));
    let y = int8("y", &[channels], zero_point);
    let (input, wanted) = input_and_output(file);
    single(
        &file.name,
        QOp::FullyConnected(layer),
        x,
        y,
        &input,
        &wanted,
    )
}

pub fn pool(file: &mut CaseFile, average: bool) -> Case {
    let input = file.sizes(["INPUT_H", "INPUT_W", "INPUT_C"]);
    let output = file.sizes(["OUTPUT_H", "OUTPUT_W", "OUTPUT_C"]);
    let window = Window {
        kernel: file.sizes(["FILTER_H", "FILTER_W"]),
        stride: file.sizes(["STRIDE_H", "STRIDE_W"]),
        dilation: [1, 1],
        pad: file.sizes(["PADDING_H", "PADDING_W"]),
    };
    let clamp = clamp(file, "ACTIVATION");
    let op = if average {
        QOp::AveragePool(window, AveragePoolRule::tflite(clamp))
    } else {
        QOp::MaxPool(window, clamp)
    };
    let (x, y) = (int8("x", &input, 0), int8("y", &output, 0));
    let (input, wanted) = input_and_output(file);
    single(&file.name, op, x, y, &input, &wanted)
}

pub fn arithmetic(file: &mut CaseFile, add: bool) -> Case {
    let (input1_offset, input2_offset) = (file.int("INPUT1_OFFSET"), file.int("INPUT2_OFFSET"));
    let function = if add {
        BinaryFunction::TfliteAdd(TfliteAdd {
            input1_offset,
            input1_multiplier: file.int("INPUT1_MULT"),
            input1_shift: file.int("INPUT1_SHIFT"),
            input2_offset,
            input2_multiplier: file.int("INPUT2_MULT"),
            input2_shift: file.int("INPUT2_SHIFT"),
            output_multiplier: file.int("OUTPUT_MULT"),
            output_shift: file.int("OUTPUT_SHIFT"),
            left_shift: file.int("LEFT_SHIFT") as u32,
        })
    } else {
        BinaryFunction::TfliteMul(TfliteMul {
            input1_offset,
            input2_offset,
            multiplier: file.int("OUTPUT_MULT"),
            shift: file.int("OUTPUT_SHIFT"),
        })
    };
    let zero_point = file.int("OUTPUT_OFFSET");
    let rule = BinaryRule::new(function, zero_point);
    let rule = rule.clamped(clamp(file, "OUT_ACTIVATION"), false);
    let (a, b): (Vec<i8>, Vec<i8>) = (file.array("input1"), file.array("input2"));
    let shape = [a.len()];
    let tensors = [
        int8("a", &shape, -input1_offset),
        int8("b", &shape, -input2_offset),
    ];
    let y = int8("y", &shape, zero_point);
    let inputs = vec![value(&shape, &a), value(&shape, &b)];
    Case {
        graph: chain(&file.name, &tensors, vec![(QOp::Binary(rule), y)]),
        samples: vec![(inputs, file.array("output_ref"))],
    }
}

/// MAXIMUM or MINIMUM of `[N, H, W, C]`; an operand of one batch serves all of the other's.
pub fn extremum(file: &mut CaseFile, maximum: bool) -> Case {
    let shapes =
        [1, 2].map(|i| ["HEIGHT", "WIDTH", "CHANNEL"].map(|key| file.size(&format!("{key}_{i}"))));
    let output = file.sizes(["OUTPUT_HEIGHT", "OUTPUT_WIDTH", "OUTPUT_CHANNEL"]);
    let function = if maximum {
        BinaryFunction::Maximum
    } else {
        BinaryFunction::Minimum
    };
    let zero_point = file.int("OUTPUT_OFFSET");
    let rule = BinaryRule::new(function, zero_point).clamped(clamp(file, "ACTIVATION"), false);
    let tensors = [0, 1].map(|i| int8(["a", "b"][i], &shapes[i], zero_point));
    let operands: [Vec<i8>; 2] = [file.array("input_tensor_1"), file.array("input_tensor_2")];
    let wanted: Vec<i8> = file.array("output");
    let sample = |(batch, wanted): (usize, &[i8])| {
        let operand = |i: usize| {
            let size: usize = shapes[i].iter().product();
            let at = batch % (operands[i].len() / size) * size;
            value(&shapes[i], &operands[i][at..][..size])
        };
        (vec![operand(0), operand(1)], wanted.to_vec())
    };
    let size = output.iter().product();
    Case {
        samples: wanted.chunks(size).enumerate().map(sample).collect(),
        graph: chain(
            &file.name,
            &tensors,
            vec![(QOp::Binary(rule), int8("y", &output, zero_point))],
        ),
    }
}

/// One sample per matrix of the output; a side with fewer matrices repeats them.
pub fn matmul(file: &mut CaseFile) -> Case {
    let [[lb, lh, lr, lc], [rb, rh, rr, rc], [ob, oh, or, oc]] = ["LHS", "RHS", "OUTPUT"]
        .map(|side| ["BATCH", "HEIGHT", "ROWS", "COLS"].map(|k| file.size(&format!("{side}_{k}"))));
    let (adj_x, adj_y) = (file.int("ADJ_X") == 1, file.int("ADJ_Y") == 1);
    let zero_points = ["LHS_OFFSET", "RHS_OFFSET"].map(|key| -file.int(key));
    let zero_point = file.int("OUTPUT_OFFSET");
    let requant = requantizers(
        &[file.int("OUTPUT_MULTIPLIER")],
        &[file.int("OUTPUT_SHIFT")],
        zero_point,
        clamp(file, "ACTIVATION"),
    );
    let product = QOp::MatMul(MatMul {
        transpose_b: adj_y,
        requant: requant.first().cloned(),
    });
    let mut nodes = vec![(product, int8("y", &[or, oc], zero_point))];
    if adj_x {
        let turned = int8("turned", &[lc, lr], zero_points[0]);
        nodes.insert(0, (QOp::Transpose(vec![1, 0]), turned));
    }
    let tensors = [
        int8("a", &[lr, lc], zero_points[0]),
        int8("b", &[rr, rc], zero_points[1]),
    ];
    let (a, b): (Vec<i8>, Vec<i8>) = (
        file.array("lhs_input_tensor"),
        file.array("rhs_input_tensor"),
    );
    let wanted: Vec<i8> = file.array("output");
    let at = |batch: usize, height: usize, [batches, heights]: [usize; 2]| {
        batch % batches * heights + height % heights
    };
    let sample = |(index, wanted): (usize, &[i8])| {
        let (batch, height) = (index / oh, index % oh);
        let left = &a[at(batch, height, [lb, lh]) * lr * lc..][..lr * lc];
        let right = &b[at(batch, height, [rb, rh]) * rr * rc..][..rr * rc];
        let inputs = vec![value(&[lr, lc], left), value(&[rr, rc], right)];
        (inputs, wanted.to_vec())
    };
    assert_eq!(wanted.len(), ob * oh * or * oc);
    Case {
        samples: wanted.chunks(or * oc).enumerate().map(sample).collect(),
        graph: chain(&file.name, &tensors, nodes),
    }
}

pub fn pad(file: &mut CaseFile) -> Case {
    let input = file.sizes(["INPUT_H", "INPUT_W", "INPUT_C"]);
    let before = file.sizes(["PRE_PAD_H", "PRE_PAD_W", "PRE_PAD_C"]);
    let after = file.sizes(["POST_PAD_H", "POST_PAD_W", "POST_PAD_C"]);
    let output: Vec<usize> = (0..3).map(|d| before[d] + input[d] + after[d]).collect();
    let op = QOp::Pad {
        before: before.to_vec(),
        value: i8::try_from(file.int("PAD_VALUE")).unwrap(),
    };
    let (x, y) = (int8("x", &input, 0), int8("y", &output, 0));
    let (input, wanted) = input_and_output(file);
    single(&file.name, op, x, y, &input, &wanted)
}

/// Shapes and orders are those of the cases' sources; dimensions that stay together are one here, and
/// a batch that stays in front is left out.
pub fn transpose(file: &mut CaseFile) -> Case {
    let (shape, order): (&[usize], &[usize]) = match file.name.as_str() {
        "transpose_3dim" => (&[5, 4, 20], &[0, 2, 1]),
        "transpose_chwn" => (&[5, 4 * 12, 17], &[2, 1, 0]),
        "transpose_matrix" => (&[5, 20], &[1, 0]),
        "transpose_nchw" => (&[9, 3, 19], &[2, 0, 1]),
        "transpose_nhcw" => (&[1, 128, 128], &[0, 2, 1]),
        "transpose_nwhc" => (&[19, 3, 64], &[1, 0, 2]),
        other => panic!("unknown case {other}"),
    };
    let turned: Vec<usize> = order.iter().map(|&p| shape[p]).collect();
    let (x, y) = (int8("x", shape, 0), int8("y", &turned, 0));
    let (input, wanted) = input_and_output(file);
    single(
        &file.name,
        QOp::Transpose(order.to_vec()),
        x,
        y,
        &input,
        &wanted,
    )
}

/// CMSIS-NN's gates are interpolated tables, which can differ from gemmlowp's functions by a few units
/// of 2^-15; of its int8 cases `lstm_stateful_batch_major_multibatch` comes out the same in all 28
/// values, while `lstm_1` and `lstm_2` differ by one step in 2 of 110 and 1 of 63.
pub fn lstm(file: &mut CaseFile) -> Case {
    let [steps, inputs, units] = file.sizes(["TIME_STEPS", "INPUT_SIZE", "HIDDEN_SIZE"]);
    let zero_point = file.int("OUTPUT_ZERO_POINT");
    let factor = |file: &CaseFile, key: &str| Factor {
        multiplier: file.int(&format!("{key}_MULTIPLIER")),
        shift: file.int(&format!("{key}_SHIFT")),
        single_rounding: false,
    };
    let names = ["input", "forget", "cell", "output"];
    let gate_factors = |file: &CaseFile, operand: &str| {
        names.map(|gate| factor(file, &format!("{}_GATE_{operand}", gate.to_uppercase())))
    };
    let rule = LstmRule {
        input: gate_factors(file, "INPUT"),
        recurrent: gate_factors(file, "HIDDEN"),
        cell_integer_bits: u32::try_from(15 + file.int("CELL_SCALE_POWER")).unwrap(),
        cell_clip: Some(i16::try_from(file.int("CELL_CLIP")).unwrap()),
        output: factor(file, "OUTPUT"),
        output_zero_point: zero_point,
    };
    let gates = names.map(|gate| LstmGate {
        input_weights: file.array(&format!("{gate}_gate_input_weights")),
        recurrent_weights: file.array(&format!("{gate}_gate_hidden_weights")),
        bias: file.array(&format!("{gate}_gate_bias")),
    });
    let lstm = Lstm {
        inputs,
        units,
        gates,
        rule: LstmArithmetic::Integer(rule),
    };
    let x = int8("x", &[steps, inputs], -file.int("INPUT_ZERO_POINT"));
    let y = int8("y", &[steps, units], zero_point);
    let (input, wanted) = input_and_output(file);
    single(&file.name, QOp::Lstm(Box::new(lstm)), x, y, &input, &wanted)
}

fn input_and_output(file: &mut CaseFile) -> (Vec<i8>, Vec<i8>) {
    let input = file.any(&["input", "input_tensor"]);
    let output = file.any(&["output_ref", "output"]);
    (input.unwrap(), output.unwrap())
}

/// The weights under the first of the names; unpacked from int4 where `fits` refuses their number.
fn weights(file: &mut CaseFile, names: &[&str], fits: impl Fn(usize) -> bool) -> Vec<i16> {
    let stored: Vec<i8> = file.any(names).unwrap();
    let mut weights: Vec<i16> = if file.name.contains("int4") {
        let halves = stored.iter().flat_map(|&byte| [byte << 4 >> 4, byte >> 4]);
        halves.map(i16::from).collect()
    } else {
        stored.into_iter().map(i16::from).collect()
    };
    // an odd number of int4 leaves half a byte unused
    if file.name.contains("int4") && !fits(weights.len()) {
        weights.pop();
    }
    assert!(fits(weights.len()), "{}", file.name);
    weights
}

fn clamp(file: &CaseFile, key: &str) -> Clamp {
    let bound = |end: &str| file.int(&format!("{key}_{end}"));
    Clamp::new(bound("MIN"), bound("MAX")).unwrap()
}

fn requantizers(
    multipliers: &[i32],
    shifts: &[i32],
    zero_point: i32,
    clamp: Clamp,
) -> Vec<Requantizer> {
    let pairs = multipliers.iter().zip(shifts);
    pairs
        .map(|(&multiplier, &shift)| Requantizer {
            rule: RequantRule::TfliteDouble { multiplier, shift },
            zero_point,
            clamp,
        })
        .collect()
}
