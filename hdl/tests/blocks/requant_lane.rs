//! The requantizer lane against `LaneConstants` and, through it, against the rules themselves.

use crate::common::{Random, assert_clean, bits, block, value};
use macforge_hdl::blocks::{RequantLane, requant_lane};
use macforge_hdl::typed::Evaluator;
use macforge_numeric::{
    Clamp, FRACTION_BITS, FRACTION_PLACES, LaneConstants, RequantRule, Requantizer, Semantics,
};
use macforge_sim::{Block, VectorInput};

const ACC: u32 = 25;

fn lane(semantics: Semantics) -> RequantLane {
    RequantLane {
        semantics,
        acc_bits: ACC,
        bias_bits: ACC,
        fraction_bits: 0,
        wraps: false,
        halves: false,
    }
}

/// Constants of one layer.
#[derive(Clone, Copy)]
struct Layer {
    zero_point: i32,
    clamp: Clamp,
    lower_is_activation: bool,
}

const LAYERS: [Layer; 6] = [
    Layer {
        zero_point: 0,
        clamp: Clamp { lo: -128, hi: 127 },
        lower_is_activation: false,
    },
    Layer {
        zero_point: -128,
        clamp: Clamp { lo: -128, hi: 127 },
        lower_is_activation: true,
    },
    Layer {
        zero_point: 127,
        clamp: Clamp { lo: -128, hi: 127 },
        lower_is_activation: false,
    },
    Layer {
        zero_point: -128,
        clamp: Clamp { lo: -128, hi: 127 },
        lower_is_activation: false,
    },
    Layer {
        zero_point: -5,
        clamp: Clamp { lo: -5, hi: 90 },
        lower_is_activation: true,
    },
    Layer {
        zero_point: 3,
        clamp: Clamp { lo: 3, hi: 3 },
        lower_is_activation: false,
    },
];

/// One vector: accumulator, bias, constants of its channel.
type Vector = (i64, i64, LaneConstants);

/// Splits `s` into an accumulator and a bias whose sum it is.
fn split(random: &mut Random, s: i64) -> (i64, i64) {
    let limit = 1i64 << (ACC - 1);
    let bias = random.signed(ACC);
    let acc = s - bias;
    if (-limit..limit).contains(&acc) {
        (acc, bias)
    } else {
        (s, 0)
    }
}

/// Feeds all vectors through the lane and compares value and saturation flag.
fn check(dut: &mut Block, semantics: Semantics, vectors: &[Vector], layer: Layer) {
    check_with_fraction(dut, semantics, 0, vectors, layer);
}

/// The same for a lane with `fraction` bits below the bias.
fn check_with_fraction(
    dut: &mut Block,
    semantics: Semantics,
    fraction: u32,
    vectors: &[Vector],
    layer: Layer,
) {
    dut.poke_signed("zero_point", layer.zero_point.into())
        .unwrap();
    dut.poke_signed("clamp_lo", layer.clamp.lo.into()).unwrap();
    dut.poke_signed("clamp_hi", layer.clamp.hi.into()).unwrap();
    dut.poke("lower_is_activation", layer.lower_is_activation.into())
        .unwrap();
    let column = |f: &dyn Fn(&Vector) -> u64| vectors.iter().map(f).collect::<Vec<u64>>();
    let special = |c: &LaneConstants| u64::from(c.double_round || c.tie_window.is_some());
    let columns = [
        ("acc", column(&|v| bits(v.0, ACC))),
        (
            "bias",
            column(&|v| {
                let rest = i64::from(v.2.constant >> FRACTION_PLACES);
                bits((v.1 << fraction) | rest, ACC + fraction)
            }),
        ),
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
    for (k, &(acc, bias, constants)) in vectors.iter().enumerate() {
        let constants = LaneConstants {
            zero_point: layer.zero_point,
            clamp: layer.clamp,
            ..constants
        };
        let s = acc + bias;
        let unclamped = constants.unclamped(s);
        let context = || format!("s = {s} = {acc} + {bias}, {constants:?}, unclamped {unclamped}");
        assert_eq!(
            value(found[0][k], 8),
            i64::from(constants.apply(s)),
            "{}",
            context()
        );
        let saturates = layer.clamp.saturates(unclamped, layer.lower_is_activation);
        assert_eq!(
            found[1][k] == 1,
            saturates,
            "saturation flag: {}",
            context()
        );
    }
}

/// Sums near every step of the lane's staircase, and the extremes.
fn sums_near_steps(constants: &LaneConstants) -> Vec<i64> {
    let limit = 1i64 << (ACC - 1);
    let range = macforge_numeric::Interval {
        lo: -limit,
        hi: limit - 1,
    };
    let mut sums = vec![-limit, 1 - limit, -1, 0, 1, limit - 2, limit - 1];
    for (at, _) in macforge_numeric::thresholds(|s| constants.apply(s), range) {
        sums.extend(
            [at - 1, at, at + 1]
                .into_iter()
                .filter(|&s| range.contains(s)),
        );
    }
    sums
}

/// Constants of random channels of one semantics.
fn channels(semantics: Semantics, random: &mut Random, count: usize) -> Vec<LaneConstants> {
    let clamp = Clamp::INT8;
    let mut channels = Vec::new();
    while channels.len() < count {
        let r = random.next();
        let fraction = 0.5 + (r >> 11) as f64 / (1u64 << 54) as f64;
        let exponent = -((r % 31) as i32);
        let real = match semantics {
            Semantics::Pow2 => f64::from(exponent).exp2(),
            _ => fraction * f64::from(exponent).exp2(),
        };
        let rule = Requantizer::from_real(semantics, real, 0, clamp).unwrap();
        channels.extend(LaneConstants::from_requantizer(&rule));
    }
    channels
}

fn co_simulate(semantics: Semantics, count: usize) {
    let mut random = Random(semantics as u64 + 1);
    let mut dut = block(&[lane(semantics).build().unwrap()]);
    let channels = channels(semantics, &mut random, count);
    check_channels(&mut dut, (semantics, 0), &channels, &mut random, 200);
}

/// Every channel in every layer, at sums near its steps and at `others` random ones.
fn check_channels(
    dut: &mut Block,
    (semantics, fraction_bits): (Semantics, u32),
    channels: &[LaneConstants],
    random: &mut Random,
    others: usize,
) {
    for layer in LAYERS {
        let mut vectors = Vec::new();
        for constants in channels {
            let constants = LaneConstants {
                zero_point: layer.zero_point,
                clamp: layer.clamp,
                ..*constants
            };
            let mut sums = sums_near_steps(&constants);
            sums.extend((0..others).map(|_| random.signed(ACC)));
            vectors.extend(sums.into_iter().map(|s| {
                let (acc, bias) = split(random, s);
                (acc, bias, constants)
            }));
        }
        // another channel every cycle, as the drain does it
        vectors.sort_by_cached_key(|_| random.next());
        check_with_fraction(dut, semantics, fraction_bits, &vectors, layer);
    }
}

#[test]
fn lanes_with_a_constant_at_product_scale_equal_the_constants_at_every_step() {
    let semantics = Semantics::OrtX86;
    let lane = RequantLane {
        fraction_bits: FRACTION_BITS,
        ..lane(semantics)
    };
    let mut random = Random(23);
    let mut dut = block(&[lane.build().unwrap()]);
    let mut channels = channels(semantics, &mut random, 20);
    channels.extend((0..80).map(|i| LaneConstants {
        multiplier: (1 << 30) | (random.next() >> 34) as u32,
        shift: 33 + (i % 20),
        constant: match i {
            0 => (1 << 31) - (1 << FRACTION_PLACES),
            _ => ((random.next() >> 48) as u32) << FRACTION_PLACES,
        },
        double_round: false,
        tie_window: None,
        zero_point: 0,
        clamp: Clamp::INT8,
    }));
    check_channels(
        &mut dut,
        (semantics, FRACTION_BITS),
        &channels,
        &mut random,
        0,
    );
}

#[test]
fn tflite_double_lanes_equal_the_constants_at_every_step() {
    co_simulate(Semantics::TfliteDouble, 200);
}

#[test]
fn tflite_single_lanes_equal_the_constants_at_every_step() {
    co_simulate(Semantics::TfliteSingle, 100);
}

#[test]
fn pow2_lanes_equal_the_constants_at_every_step() {
    co_simulate(Semantics::Pow2, 31);
}

#[test]
fn ort_lanes_equal_the_constants_at_every_step() {
    co_simulate(Semantics::OrtX86, 200);
}

/// Sums whose product with the mantissa lies within a few float32 ulps of a tie.
fn sums_near_ties(constants: &LaneConstants) -> Vec<i64> {
    let limit = 1i128 << (ACC - 1);
    let multiplier = i128::from(constants.multiplier.max(1));
    let ties = (-258..=258).map(|y| ((2 * y - 1) << constants.shift) / (2 * multiplier));
    let near = ties.flat_map(|s| (s - 2)..=(s + 2));
    near.filter(|s| (-limit..limit).contains(s))
        .map(|s| s as i64)
        .collect()
}

#[test]
fn ort_lanes_take_the_even_neighbour_of_a_tie_and_only_there() {
    let mut random = Random(17);
    let mut dut = block(&[lane(Semantics::OrtX86).build().unwrap()]);
    let mut corrected = 0;
    // mantissas with few bits make exact ties and products that are an odd ulp away from one
    for bits in [1u32, 2, 3, 5, 8, 12, 20, 24] {
        for exponent in -25..=-1 {
            let mantissa = (1 << 23) | ((random.next() as u32 >> (32 - bits)) << (24 - bits) >> 1);
            let scale = mantissa as f32 * f64::from(exponent - 23).exp2() as f32;
            let rule = RequantRule::OrtX86 { scale };
            let requantizer = Requantizer {
                rule,
                zero_point: 3,
                clamp: Clamp::INT8,
            };
            let constants = LaneConstants::from_requantizer(&requantizer).unwrap();
            let plain = LaneConstants {
                tie_window: None,
                ..constants
            };
            let sums = sums_near_ties(&constants);
            corrected += sums
                .iter()
                .filter(|&&s| constants.apply(s) != plain.apply(s))
                .count();
            let layer = Layer {
                zero_point: 3,
                ..LAYERS[0]
            };
            // a channel without the window takes every other cycle
            let vectors: Vec<Vector> = (sums.iter())
                .flat_map(|&s| [(s, 0, constants), (s, 0, plain)])
                .collect();
            if !vectors.is_empty() {
                check(&mut dut, Semantics::OrtX86, &vectors, layer);
            }
        }
    }
    assert!(corrected > 500, "only {corrected} ties among the vectors");
}

#[test]
fn every_shift_works_with_the_smallest_and_the_largest_multiplier() {
    let mut random = Random(5);
    let mut dut = block(&[lane(Semantics::TfliteDouble).build().unwrap()]);
    let mut vectors = Vec::new();
    for shift in 1..=62 {
        for multiplier in [0, 1, 2, (1 << 17) - 1, 1 << 17, 1 << 30, (1 << 31) - 1] {
            for double_round in [false, true] {
                let constants = LaneConstants {
                    multiplier,
                    shift,
                    constant: 0,
                    double_round,
                    tie_window: None,
                    zero_point: 0,
                    clamp: Clamp::INT8,
                };
                let extremes = [-(1 << 24), (1 << 24) - 1, -1, 0, 1];
                let sums = extremes
                    .into_iter()
                    .chain((0..40).map(|_| random.signed(ACC)));
                vectors.extend(
                    sums.collect::<Vec<_>>()
                        .into_iter()
                        .map(|s| (s, 0, constants)),
                );
            }
        }
    }
    for layer in LAYERS {
        check(&mut dut, Semantics::TfliteDouble, &vectors, layer);
    }
}

#[test]
fn pooled_sums_are_averaged_exactly() {
    let mut dut = block(&[lane(Semantics::TfliteDouble).build().unwrap()]);
    for count in [1u32, 2, 3, 9, 16, 25, 49, 64] {
        let rule = macforge_numeric::AveragePoolRule::tflite(Clamp::INT8);
        let reach = i64::from(count) * 128;
        let range = macforge_numeric::Interval {
            lo: -reach,
            hi: reach,
        };
        let constants = rule.lane(count, range).unwrap();
        let vectors: Vec<Vector> = (-reach..=reach).map(|sum| (sum, 0, constants)).collect();
        check(&mut dut, Semantics::TfliteDouble, &vectors, LAYERS[0]);
    }
}

#[test]
fn the_description_runs_in_rust_as_well() {
    let module = lane(Semantics::TfliteDouble).module().unwrap();
    let mut dut = Evaluator::new(&module);
    let rule = RequantRule::TfliteDouble {
        multiplier: 1_340_095_521,
        shift: -7,
    };
    let requantizer = Requantizer {
        rule,
        zero_point: -9,
        clamp: Clamp::INT8,
    };
    let constants = LaneConstants::from_requantizer(&requantizer).unwrap();
    for (name, v) in [("zero_point", -9), ("clamp_lo", -128), ("clamp_hi", 127)] {
        dut.set(name, v);
    }
    dut.set("multiplier", constants.multiplier.into());
    dut.set("shift", constants.shift.into());
    dut.set("double_round", constants.double_round.into());
    for s in (-30_000..30_000)
        .step_by(61)
        .chain([-(1 << 24), (1 << 24) - 1])
    {
        dut.set("acc", s);
        (0..requant_lane::LATENCY).for_each(|_| dut.tick());
        assert_eq!(
            dut.get("q_q"),
            requantizer.apply(s as i64).into(),
            "s = {s}"
        );
    }
}

#[test]
fn impossible_widths_are_refused() {
    for (acc_bits, bias_bits, fraction_bits) in [
        (19, 19, 0),
        (43, 25, 0),
        (25, 26, 0),
        (25, 0, 0),
        // not with double rounding
        (25, 25, FRACTION_BITS),
    ] {
        let lane = RequantLane {
            semantics: Semantics::TfliteDouble,
            acc_bits,
            bias_bits,
            fraction_bits,
            wraps: false,
            halves: false,
        };
        assert!(
            lane.build().is_err(),
            "accumulator {acc_bits}, bias {bias_bits}, fraction {fraction_bits}"
        );
    }
}

#[test]
fn the_text_is_clean_for_every_semantics_and_width() {
    for semantics in Semantics::ALL {
        let fractions = match semantics {
            Semantics::OrtX86 => vec![0, FRACTION_BITS],
            _ => vec![0],
        };
        for (acc_bits, bias_bits) in [(25, 25), (25, 20), (20, 1)] {
            for &fraction_bits in &fractions {
                let lane = RequantLane {
                    semantics,
                    acc_bits,
                    bias_bits,
                    fraction_bits,
                    wraps: acc_bits == 25,
                    halves: false,
                };
                assert_clean(&[lane.build().unwrap()]);
            }
        }
    }
}
