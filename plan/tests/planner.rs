//! Properties of the planner on small graphs that are built here.

use macforge_numeric::{AffineParams, Clamp, RequantRule, Requantizer, Semantics};
use macforge_plan::{
    BlockLatencies, Budget, HwPlan, MemoryRates, Options, Packing, PlanError, Shape, WeightOptions,
    build,
};
use macforge_quant::{Conv2d, DType, QGraph, QNode, QOp, QTensor, TensorId, Window};
use proptest::prelude::*;

const ROOMY: Budget = Budget {
    dsp: 2020,
    bram36: 755,
    lut: 277_400,
    ff: 554_800,
};

fn options(shape: Shape) -> Options {
    Options {
        budget: ROOMY,
        shape: Some(shape),
        choice: None,
        weights: WeightOptions {
            source: None,
            ports: None,
            bus: 64,
            rates: MemoryRates {
                total: 19_000,
                port: 14_200,
            },
        },
        latencies: BlockLatencies {
            requant: 10,
            add: 9,
            pair_exceptions: 1,
            softmax_fixed: 100,
            lstm_step: 57,
            fp16_lstm_step: 108,
            lstm_ring: 4,
            attention_row: 58,
            attention_fixed: 23,
        },
    }
}

fn tensor(name: &str, shape: [usize; 3]) -> QTensor {
    QTensor {
        name: name.into(),
        shape: shape.to_vec(),
        dtype: DType::I8,
        quant: Some(AffineParams {
            scale: 0.05,
            zero_point: -7,
        }),
        unsigned: false,
        channels_first: false,
    }
}

/// Geometry of a test convolution.
#[derive(Clone, Copy, Debug)]
struct Conv {
    hw: [usize; 2],
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    pad: usize,
}

impl Conv {
    fn out(&self, axis: usize) -> usize {
        (self.hw[axis] + 2 * self.pad - self.kernel) / self.stride + 1
    }

    fn weight(index: usize) -> i16 {
        (((index * 37 + 11) % 255) as i8 ^ 0x55).into()
    }

    fn graph(&self) -> QGraph {
        let [ic, oc] = self.channels;
        let count = oc * self.kernel * self.kernel * ic;
        let requant = Requantizer {
            rule: RequantRule::TfliteDouble {
                multiplier: 1 << 30,
                shift: -9,
            },
            zero_point: 3,
            clamp: Clamp { lo: -128, hi: 127 },
        };
        let conv = Conv2d {
            window: Window {
                kernel: [self.kernel; 2],
                stride: [self.stride; 2],
                dilation: [1, 1],
                pad: [self.pad; 2],
            },
            weights: (0..count).map(|i| Self::weight(i).max(-127)).collect(),
            weight_zero_points: vec![0; oc],
            groups: 1,
            out_channels: oc,
            in_channels: ic,
            bias: (0..oc as i32).map(|c| 100 * c - 50).collect(),
            requant: vec![requant; oc],
            lower_is_activation: false,
        };
        QGraph {
            name: "conv".into(),
            semantics: Semantics::TfliteDouble,
            tensors: vec![
                tensor("in", [self.hw[0], self.hw[1], ic]),
                tensor("out", [self.out(0), self.out(1), oc]),
            ],
            nodes: vec![QNode {
                name: "conv_0".into(),
                source: "CONV_2D #0".into(),
                inputs: vec![TensorId(0)],
                output: TensorId(1),
                op: QOp::Conv2d(conv),
            }],
            inputs: vec![TensorId(0)],
            outputs: vec![TensorId(1)],
            states: Vec::new(),
            input_ranges: Vec::new(),
        }
    }
}

fn plan(conv: Conv, shape: Shape) -> Result<HwPlan, PlanError> {
    build(&conv.graph(), &options(shape))
}

fn convs() -> impl Strategy<Value = Conv> {
    (
        (3usize..12, 3usize..12),
        (1usize..20, 1usize..20),
        1usize..4,
        1usize..3,
        0usize..2,
    )
        .prop_map(|((h, w), (ic, oc), kernel, stride, pad)| Conv {
            hw: [h, w],
            channels: [ic, oc],
            kernel,
            stride,
            pad: pad.min(kernel - 1),
        })
}

fn shapes() -> impl Strategy<Value = Shape> {
    (
        1usize..8,
        1usize..5,
        prop::sample::select(vec![1usize, 2, 4, 8]),
    )
        .prop_map(|(p, pairs, ic)| Shape {
            p,
            oc: 8 * pairs,
            ic,
            drained: 1,
            lanes: 1,
            word: ic,
            fabric: 0,
            packing: Packing::Two,
        })
}

proptest! {
    // `build` walks every pixel group and checks that no two lanes meet in a bank
    #[test]
    fn every_legal_geometry_has_a_conflict_free_plan(conv in convs(), shape in shapes()) {
        match plan(conv, shape) {
            Ok(plan) => {
                let program = &plan.program[0];
                let slots = program.loops.tiles * program.loops.groups * program.loops.steps();
                prop_assert!(slots as u64 * plan.shape.macs_per_cycle() >= plan.macs[0]);
            }
            // an even number of lanes cannot step by two
            Err(PlanError::Shape { .. }) => prop_assert!(conv.stride == 2 && shape.p % 2 == 0),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn every_weight_lies_once_in_the_words(conv in convs(), shape in shapes()) {
        let Ok(plan) = plan(conv, shape) else { return Ok(()) };
        let QOp::Conv2d(source) = &conv.graph().nodes[0].op else { unreachable!() };
        let mut expected: Vec<i16> = source.weights.iter().copied().filter(|&w| w != 0).collect();
        let mut found: Vec<i16> = plan
            .weights
            .iter()
            .flat_map(|word| bytes(&word.hex()))
            .filter(|&w| w != 0)
            .collect();
        expected.sort_unstable();
        found.sort_unstable();
        prop_assert_eq!(found, expected);
    }
}

fn bytes(hex: &str) -> Vec<i16> {
    let digits: Vec<u8> = hex.bytes().collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .map(|byte| i16::from(byte as i8))
        .collect()
}

const SMALL: Conv = Conv {
    hw: [8, 8],
    channels: [16, 16],
    kernel: 3,
    stride: 1,
    pad: 1,
};
const SHAPE: Shape = Shape {
    p: 3,
    oc: 16,
    ic: 8,
    drained: 1,
    lanes: 1,
    word: 8,
    fabric: 0,
    packing: Packing::Two,
};

#[test]
fn weights_beyond_seven_bits_and_sign_take_two_passes() {
    let mut graph = SMALL.graph();
    let once = build(&graph, &options(SHAPE)).unwrap();
    let QOp::Conv2d(conv) = &mut graph.nodes[0].op else {
        unreachable!()
    };
    conv.weights.iter_mut().take(9 * 16).for_each(|w| *w = -128);
    let twice = build(&graph, &options(SHAPE)).unwrap();
    assert_eq!(once.program[0].value("two_passes"), 0);
    assert_eq!(twice.program[0].value("two_passes"), 1);
    assert_eq!(twice.weights.len(), 2 * once.weights.len());
    let chain = twice.proofs[0].channels[0].low_lane.unwrap();
    assert!(chain.lo >= -4 * 127 * 128 && chain.hi <= 4 * 127 * 128);
}

#[test]
fn weights_too_far_from_their_zero_point_are_refused() {
    let mut graph = SMALL.graph();
    let QOp::Conv2d(conv) = &mut graph.nodes[0].op else {
        unreachable!()
    };
    conv.weights[0] = -128;
    conv.weight_zero_points[0] = 127;
    let error = build(&graph, &options(SHAPE)).unwrap_err();
    assert!(error.to_string().contains("a weight of -255"), "{error}");
}

#[test]
fn an_accumulator_beyond_25_bits_is_refused() {
    let mut graph = SMALL.graph();
    let QOp::Conv2d(conv) = &mut graph.nodes[0].op else {
        unreachable!()
    };
    conv.bias[5] = 1 << 24;
    conv.requant[5].rule = RequantRule::TfliteDouble {
        multiplier: 1 << 30,
        shift: -19,
    };
    let error = build(&graph, &options(SHAPE)).unwrap_err();
    assert!(
        matches!(&error, PlanError::Unproved { channel: 5, .. }),
        "{error}"
    );
}

#[test]
fn a_shape_that_cannot_work_says_why() {
    for (shape, word) in [
        (
            Shape {
                p: 2,
                oc: 7,
                ic: 4,
                drained: 1,
                lanes: 1,
                word: 4,
                fabric: 0,
                packing: Packing::Two,
            },
            "odd",
        ),
        (
            Shape {
                p: 0,
                oc: 8,
                ic: 4,
                drained: 1,
                lanes: 1,
                word: 4,
                fabric: 0,
                packing: Packing::Two,
            },
            "at least 1",
        ),
        (
            Shape {
                p: 65,
                oc: 8,
                ic: 4,
                drained: 1,
                lanes: 1,
                word: 4,
                fabric: 0,
                packing: Packing::Two,
            },
            "larger",
        ),
    ] {
        let error = plan(SMALL, shape).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!("3x16".parse::<Shape>().is_err() && "axbxc".parse::<Shape>().is_err());
}

#[test]
fn a_device_that_is_too_small_is_an_error() {
    let tiny = Budget {
        dsp: 3,
        bram36: 1,
        lut: 500,
        ff: 500,
    };
    let options = Options {
        budget: tiny,
        shape: None,
        ..options(SHAPE)
    };
    let error = build(&SMALL.graph(), &options).unwrap_err();
    assert!(matches!(error, PlanError::NoFit(_)), "{error}");
}

#[test]
fn activations_that_are_too_large_are_an_error_that_says_how_large() {
    let large = Conv {
        hw: [64, 64],
        channels: [64, 64],
        kernel: 1,
        stride: 1,
        pad: 0,
    };
    let options = Options {
        budget: Budget {
            bram36: 60,
            ..ROOMY
        },
        shape: None,
        ..options(SHAPE)
    };
    let error = build(&large.graph(), &options).unwrap_err().to_string();
    let [needs, of] = ["activations and parameters of", "BRAM36 of 60"];
    assert!(error.contains(needs) && error.contains(of), "{error}");
}

#[test]
fn the_plan_prints_the_same_text_each_time() {
    let [a, b] = [0, 1].map(|_| plan(SMALL, SHAPE).unwrap().to_string());
    assert_eq!(a, b);
}

/// The small graph, its first channel with these weights, bias and multiplier.
fn nearly_dead(weight: i8, bias: i32, multiplier: i32, shift: i32) -> QGraph {
    let mut graph = SMALL.graph();
    let QOp::Conv2d(conv) = &mut graph.nodes[0].op else {
        unreachable!()
    };
    let each = conv.weights.len() / conv.out_channels;
    conv.weights[..each].fill(weight.into());
    conv.bias[0] = bias;
    conv.requant[0].rule = RequantRule::TfliteDouble { multiplier, shift };
    graph
}

#[test]
fn a_channel_with_a_bias_beyond_the_accumulator_is_built_if_it_has_one_value_or_two() {
    let dead = nearly_dead(0, 1 << 30, 1_500_000_000, -24);
    let plan = build(&dead, &options(SHAPE)).unwrap();
    // 2^30 * 1.5e9 / 2^31 / 2^24 = 44.7
    let reach = plan.proofs[0].channels[0].reach;
    assert_eq!((reach.lo, reach.hi), (45, 45));

    // (3 * 2^24) * 2^30 / 2^31 / 2^24 = 1.5: the sums decide between 1 and 2
    let stepping = nearly_dead(1, 3 << 24, 1 << 30, -24);
    let plan = build(&stepping, &options(SHAPE)).unwrap();
    assert_eq!(plan.proofs[0].channels[0].steps, 1);

    let steep = nearly_dead(1, 3 << 24, 1 << 30, -8);
    let constant = build(&steep, &options(SHAPE)).unwrap();
    let reach = constant.proofs[0].channels[0].reach;
    assert!(reach.lo == reach.hi && reach.lo > 255, "saturated: {reach}");

    let several = nearly_dead(127, 1 << 25, 1 << 30, -19);
    let error = build(&several, &options(SHAPE)).unwrap_err();
    assert!(error.to_string().contains("more than 25 bits"), "{error}");
}

/// The small convolution with an int16 input, and an int16 result where `wide` says.
fn int16_graph(wide: bool) -> QGraph {
    let mut graph = SMALL.graph();
    let of = |tensor: &mut macforge_quant::QTensor| {
        tensor.dtype = DType::I16;
        tensor.quant = tensor.quant.map(|q| AffineParams { zero_point: 0, ..q });
    };
    of(&mut graph.tensors[0]);
    let clamp = if wide { Clamp::INT16 } else { Clamp::INT8 };
    if wide {
        of(&mut graph.tensors[1]);
    }
    let zero_point = graph.tensors[1].quant.unwrap().zero_point;
    let QOp::Conv2d(conv) = &mut graph.nodes[0].op else {
        unreachable!()
    };
    for requant in &mut conv.requant {
        *requant = Requantizer::wide(1e-5, zero_point, clamp).unwrap();
    }
    graph
}

#[test]
fn int16_inputs_are_two_rows_for_one_and_widen_the_accumulators() {
    let plan = build(&int16_graph(false), &options(SHAPE)).unwrap();
    let layer = &plan.layers.layers[0];
    assert_eq!(layer.input.hwc, [16, 8, 16]);
    assert_eq!(plan.program[0].vector("row_pairs"), [1]);
    assert_eq!(plan.program[0].value("kernel_h_m1"), 5);
    let most = plan.proofs[0]
        .channels
        .iter()
        .map(|c| c.reach.bits_signed());
    let most = most.max().unwrap();
    assert!(most > 25, "{most}");
    assert_eq!(plan.features.acc_bits, most);
    // the same weights for both rows
    let narrow = build(&SMALL.graph(), &options(SHAPE)).unwrap();
    assert_eq!(plan.weights.len(), 2 * narrow.weights.len());
    assert!(
        narrow.program[0]
            .fields
            .iter()
            .all(|f| f.name != "row_pairs")
    );
    assert_eq!(narrow.features.acc_bits, 25);
}

#[test]
fn int16_results_are_two_layers_with_the_same_weights_and_parameters() {
    let plan = build(&int16_graph(true), &options(SHAPE)).unwrap();
    let one = build(&int16_graph(false), &options(SHAPE)).unwrap();
    assert_eq!(plan.layers.layers.len(), 2);
    assert_eq!(plan.weights.len(), one.weights.len());
    assert_eq!(plan.params.len(), one.params.len());
    for name in ["weight_base", "param_base"] {
        assert_eq!(plan.program[0].value(name), plan.program[1].value(name));
    }
    assert_eq!([0, 1].map(|i| plan.program[i].value("half")), [1, 2]);
    let [high, low] = [0, 1].map(|i| &plan.layers.layers[i].output);
    assert_eq!((high.start.rows, low.start.rows), (0, 1));
    assert_eq!(high.row.rows, 2);
    assert_eq!(plan.macs.iter().sum::<u64>(), one.macs[0]);
}
