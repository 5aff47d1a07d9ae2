//! The requantizer lane for accumulators of more than 25 bits and for int16 values, which it gives out
//! byte by byte.

use crate::common::{Random, assert_clean, bits, block, value};
use macforge_hdl::blocks::{RequantLane, requant_lane};
use macforge_numeric::{Clamp, LaneConstants, Requantizer, Semantics};
use macforge_sim::{Block, VectorInput};

const ACC: u32 = 40;

fn lane(semantics: Semantics) -> RequantLane {
    RequantLane {
        semantics,
        acc_bits: ACC,
        bias_bits: ACC,
        fraction_bits: 0,
        wraps: false,
        halves: true,
    }
}

/// What the values of a layer are, and which byte of them is given out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Output {
    Int8,
    High,
    Low,
}

/// Constants of one layer.
#[derive(Clone, Copy, Debug)]
struct Layer {
    /// The rule is that of int16 layers.
    wide: bool,
    output: Output,
    zero_point: i32,
    clamp: Clamp,
    lower_is_activation: bool,
}

const fn layer(wide: bool, output: Output, zero_point: i32, clamp: Clamp, relu: bool) -> Layer {
    Layer {
        wide,
        output,
        zero_point,
        clamp,
        lower_is_activation: relu,
    }
}

const RELU: Clamp = Clamp { lo: 0, hi: 32_767 };
/// Bounds that are limits of int8, in int16.
const BYTE: Clamp = Clamp { lo: -128, hi: 127 };

const LAYERS: [Layer; 9] = [
    layer(true, Output::High, 0, Clamp::INT16, false),
    layer(true, Output::Low, 0, Clamp::INT16, false),
    layer(true, Output::High, 0, RELU, true),
    layer(true, Output::Low, 0, RELU, true),
    layer(true, Output::High, 0, BYTE, false),
    layer(true, Output::Int8, -5, Clamp::INT8, false),
    layer(true, Output::Int8, 127, Clamp { lo: 127, hi: 127 }, true),
    layer(false, Output::Int8, 3, Clamp::INT8, false),
    layer(false, Output::Int8, -128, Clamp::INT8, true),
];

/// Constants of random channels of a layer.
fn channels(semantics: Semantics, layer: Layer, random: &mut Random) -> Vec<LaneConstants> {
    let mut channels = Vec::new();
    while channels.len() < 12 {
        let r = random.next();
        let fraction = 0.5 + (r >> 11) as f64 / (1u64 << 54) as f64;
        let real = match (layer.wide, semantics) {
            (false, Semantics::Pow2) => (-((r % 20) as f64)).exp2(),
            _ => fraction * (-((r % 30) as f64)).exp2(),
        };
        let rule = if layer.wide {
            Requantizer::wide(real, layer.zero_point, layer.clamp)
        } else {
            Requantizer::from_real(semantics, real, layer.zero_point, layer.clamp)
        };
        channels.extend(LaneConstants::from_requantizer(&rule.unwrap()));
    }
    channels
}

/// Sums of `bits` bits: random, the extremes, and some whose results lie around the layer's limits.
fn sums(constants: &LaneConstants, bits: u32, random: &mut Random) -> Vec<i64> {
    let limit = 1i64 << (bits - 1);
    let mut sums = vec![-limit, limit - 1, -1, 0, 1];
    sums.extend((0..100).map(|_| random.signed(bits)));
    for target in [
        -32_769, -32_768, -257, -256, -129, -128, -1, 1, 127, 128, 255, 32_767, 32_768,
    ] {
        let near = (target << constants.shift) / i64::from(constants.multiplier.max(1));
        sums.extend(
            (-3..=3)
                .map(|d| near + d)
                .filter(|s| (-limit..limit).contains(s)),
        );
    }
    sums
}

fn byte_of(value: i32, output: Output) -> i64 {
    match output {
        Output::Int8 => value.into(),
        Output::High => (value >> 8).into(),
        Output::Low => ((value & 255) - 128).into(),
    }
}

fn check(dut: &mut Block, semantics: Semantics, layer: Layer, random: &mut Random) {
    let half = match layer.output {
        Output::Int8 => 0,
        Output::High => 1,
        Output::Low => 2,
    };
    dut.poke("wide", layer.wide.into()).unwrap();
    dut.poke("half", half).unwrap();
    dut.poke_signed("zero_point", layer.zero_point.into())
        .unwrap();
    dut.poke_signed("clamp_lo", layer.clamp.lo.into()).unwrap();
    dut.poke_signed("clamp_hi", layer.clamp.hi.into()).unwrap();
    dut.poke("lower_is_activation", layer.lower_is_activation.into())
        .unwrap();
    let width = if layer.wide { ACC } else { 25 };
    let mut vectors = Vec::new();
    for constants in channels(semantics, layer, random) {
        for s in sums(&constants, width, random) {
            let bias = random.signed(width - 1) / 2;
            let (acc, bias) = if (s - bias).abs() < 1 << (width - 1) {
                (s - bias, bias)
            } else {
                (s, 0)
            };
            vectors.push((acc, bias, constants));
        }
    }
    vectors.sort_by_cached_key(|_| random.next());
    let column = |f: &dyn Fn(&(i64, i64, LaneConstants)) -> u64| -> Vec<u64> {
        vectors.iter().map(f).collect()
    };
    let special = |c: &LaneConstants| u64::from(c.double_round || c.tie_window.is_some());
    let columns = [
        ("acc", column(&|v| bits(v.0, ACC))),
        ("bias", column(&|v| bits(v.1, ACC))),
        ("multiplier", column(&|v| v.2.multiplier.into())),
        ("shift", column(&|v| v.2.shift.into())),
        ("double_round", column(&|v| special(&v.2))),
    ];
    let inputs: Vec<VectorInput> = columns
        .iter()
        .map(|(port, values)| VectorInput { port, values })
        .collect();
    let latency = requant_lane::latency(semantics);
    let found = dut
        .run_vectors(Some("clk"), latency, &inputs, &["q_q", "saturated_q"])
        .unwrap();
    let limits = match layer.output {
        Output::Int8 => Clamp::INT8,
        _ => Clamp::INT16,
    };
    for (k, &(acc, bias, constants)) in vectors.iter().enumerate() {
        let unclamped = constants.unclamped(acc + bias);
        let wanted = byte_of(layer.clamp.apply(unclamped), layer.output);
        let context = || format!("{} + {bias}, {constants:?}, {layer:?}: {unclamped}", acc);
        assert_eq!(value(found[0][k], 8), wanted, "{}", context());
        let saturates = layer
            .clamp
            .saturates_in(limits, unclamped, layer.lower_is_activation);
        let counts = saturates && layer.output != Output::Low;
        assert_eq!(found[1][k] == 1, counts, "saturation: {}", context());
    }
}

#[test]
fn every_layer_of_a_design_with_int16_values_has_its_rule() {
    for semantics in [Semantics::OrtX86, Semantics::TfliteDouble] {
        let mut random = Random(7);
        let mut dut = block(&[lane(semantics).build().unwrap()]);
        for layer in LAYERS {
            check(&mut dut, semantics, layer, &mut random);
        }
    }
}

#[test]
fn the_text_of_wide_lanes_is_clean() {
    for semantics in Semantics::ALL {
        for (acc_bits, halves, wraps) in [(25, true, false), (26, false, true), (42, true, true)] {
            let lane = RequantLane {
                acc_bits,
                bias_bits: acc_bits,
                halves,
                wraps,
                ..lane(semantics)
            };
            assert_clean(&[lane.build().unwrap()]);
        }
    }
}
