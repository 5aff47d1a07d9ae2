//! The residual adder and the float boundary blocks against `numeric`.

use crate::common::{Random, assert_clean, bits, block, value};
use macforge_hdl::blocks::{add_lane, dequantize_f32, quantize_f32};
use macforge_hdl::typed::Evaluator;
use macforge_numeric::{AffineParams, BinaryRule, Clamp, MulAdd, Semantics};
use macforge_sim::{Block, VectorInput};

fn params(scale: f32, zero_point: i32) -> AffineParams {
    AffineParams { scale, zero_point }
}

/// All 65,536 pairs through the adder with one layer's constants.
fn check_add(dut: &mut Block, rule: &MulAdd, lower_is_activation: bool) {
    for (port, v) in [
        ("mul_a", rule.a.into()),
        ("mul_b", rule.b.into()),
        ("offset", rule.c),
        ("clamp_lo", rule.clamp.lo.into()),
        ("clamp_hi", rule.clamp.hi.into()),
    ] {
        dut.poke_signed(port, v).unwrap();
    }
    dut.poke("shift", rule.shift.into()).unwrap();
    dut.poke("lower_is_activation", lower_is_activation.into())
        .unwrap();
    dut.tick("clk").unwrap();
    let pairs: Vec<(i8, i8)> = (-128..=127)
        .flat_map(|a| (-128..=127).map(move |b| (a, b)))
        .collect();
    let a: Vec<u64> = pairs.iter().map(|p| bits(p.0.into(), 8)).collect();
    let b: Vec<u64> = pairs.iter().map(|p| bits(p.1.into(), 8)).collect();
    let inputs = [
        VectorInput {
            port: "a",
            values: &a,
        },
        VectorInput {
            port: "b",
            values: &b,
        },
    ];
    let outputs = ["q_q", "saturated_q"];
    let found = dut
        .run_vectors(Some("clk"), add_lane::LATENCY, &inputs, &outputs)
        .unwrap();
    for (k, &(a, b)) in pairs.iter().enumerate() {
        assert_eq!(
            value(found[0][k], 8),
            i64::from(rule.apply(a, b)),
            "{a}, {b}: {rule:?}"
        );
        let sum = i64::from(rule.a) * i64::from(a) + i64::from(rule.b) * i64::from(b) + rule.c;
        let saturates = rule.clamp.saturates(sum >> rule.shift, lower_is_activation);
        assert_eq!(
            found[1][k] == 1,
            saturates,
            "saturation flag of {a}, {b}: {rule:?}"
        );
    }
}

#[test]
fn residual_additions_equal_tflite_on_all_pairs() {
    let mut dut = block(&[add_lane::build()]);
    for (a, b, out, lower) in [
        (
            params(0.023, -128),
            params(0.031, 4),
            params(0.045, -128),
            true,
        ),
        (params(0.5, 0), params(0.25, 127), params(0.51, -3), false),
        (params(0.0007, 12), params(0.9, -100), params(1.1, 5), false),
    ] {
        let clamp = if lower {
            Clamp { lo: -128, hi: 127 }
        } else {
            Clamp { lo: -100, hi: 127 }
        };
        let rule = BinaryRule::tflite_add(a, b, out)
            .unwrap()
            .clamped(clamp, lower);
        let solved = MulAdd::solve(&rule).unwrap();
        assert!(solved.proves(&rule));
        check_add(&mut dut, &solved, lower);
    }
}

#[test]
fn the_adder_is_exact_at_the_extremes_of_its_constants() {
    let mut dut = block(&[add_lane::build()]);
    let factor = (1i32 << 24) - 1;
    for (a, b) in [
        (factor, factor),
        (-factor - 1, -factor - 1),
        (-factor - 1, factor),
        (1, 0),
    ] {
        for c in [-(1i64 << 35), (1 << 35) - 1, 0, -1] {
            for shift in [0, 1, 7, 8, 23, 24, 31] {
                let rule = MulAdd {
                    a,
                    b,
                    c,
                    shift,
                    clamp: Clamp::INT8,
                };
                check_add(&mut dut, &rule, false);
            }
        }
    }
    let rule = MulAdd {
        a: 77,
        b: -91,
        c: 1234,
        shift: 6,
        clamp: Clamp { lo: 9, hi: 9 },
    };
    check_add(&mut dut, &rule, true);
}

/// float32 bits that matter for some parameters: all near a step, special values, random ones.
fn floats(params: AffineParams, random: &mut Random) -> Vec<u32> {
    let mut xs = vec![
        0,
        0x8000_0000,
        1,
        0x8000_0001,
        f32::INFINITY.to_bits(),
        f32::NEG_INFINITY.to_bits(),
        f32::MAX.to_bits(),
        f32::MIN.to_bits(),
        f32::MIN_POSITIVE.to_bits(),
        0x7fc0_0000,
        0xffc0_0000,
        0x7f80_0001,
        0xff80_0001,
        0x7fff_ffff,
        0xffff_ffff,
    ];
    for q in -300..=300 {
        let tie = (q as f32 + 0.5) * params.scale;
        xs.extend((-3..=3).map(|d| tie.to_bits().wrapping_add_signed(d)));
    }
    xs.extend((0..200_000).map(|_| random.next() as u32));
    xs.extend((0..200_000).map(|_| {
        let unit = (random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0;
        (unit * 200.0 * params.scale).to_bits()
    }));
    xs
}

const BOUNDARIES: [AffineParams; 6] = [
    AffineParams {
        scale: 0.003_921_569,
        zero_point: -128,
    },
    AffineParams {
        scale: 1.0,
        zero_point: 0,
    },
    AffineParams {
        scale: 0.0173,
        zero_point: -7,
    },
    AffineParams {
        scale: 123.456,
        zero_point: 127,
    },
    AffineParams {
        scale: 3.0e38,
        zero_point: 5,
    },
    AffineParams {
        scale: f32::MIN_POSITIVE,
        zero_point: -1,
    },
];

#[test]
fn quantization_is_exact_around_every_step_and_for_special_values() {
    // the power of two has quotients that lie exactly half-way
    let even = (BOUNDARIES[1], Semantics::OrtX86);
    let away = BOUNDARIES.map(|params| (params, Semantics::TfliteDouble));
    for (params, semantics) in away.into_iter().chain([even]) {
        let mut dut = block(&[quantize_f32::build(params, semantics)]);
        let xs = floats(params, &mut Random(1));
        let x: Vec<u64> = xs.iter().map(|&x| x.into()).collect();
        let inputs = [VectorInput {
            port: "x",
            values: &x,
        }];
        let found = dut
            .run_vectors(Some("clk"), quantize_f32::LATENCY, &inputs, &["q_q"])
            .unwrap();
        for (&x, &q) in xs.iter().zip(&found[0]) {
            let x = f32::from_bits(x);
            assert_eq!(
                value(q, 8),
                i64::from(Clamp::INT8.apply(params.quantize_as(semantics, x))),
                "{x:e} with {params:?} under {semantics}"
            );
        }
    }
}

#[test]
fn dequantization_is_exact_for_all_values() {
    for params in BOUNDARIES {
        let mut dut = block(&[dequantize_f32::build(params)]);
        let q: Vec<u64> = (0..256).collect();
        let inputs = [VectorInput {
            port: "q",
            values: &q,
        }];
        let found = dut
            .run_vectors(Some("clk"), dequantize_f32::LATENCY, &inputs, &["x_q"])
            .unwrap();
        for (q, &x) in (0..=255u8).zip(&found[0]) {
            let expected = params.dequantize(q as i8).to_bits();
            assert_eq!(x, u64::from(expected), "{} with {params:?}", q as i8);
        }
    }
}

#[test]
fn the_descriptions_run_in_rust_as_well() {
    let params = BOUNDARIES[2];
    let quantize = quantize_f32::module(params, Semantics::TfliteDouble);
    let mut dut = Evaluator::new(&quantize);
    for x in floats(params, &mut Random(2))
        .into_iter()
        .take(4000)
        .step_by(7)
    {
        dut.set("x", x.into());
        (0..quantize_f32::LATENCY).for_each(|_| dut.tick());
        assert_eq!(dut.get("q_q"), params.quantize(f32::from_bits(x)).into());
    }
    let dequantize = dequantize_f32::module(params);
    let mut dut = Evaluator::new(&dequantize);
    for q in -128..=127i8 {
        dut.set("q", q.into());
        dut.tick();
        assert_eq!(dut.get("x_q"), params.dequantize(q).to_bits().into());
    }
}

#[test]
fn the_text_is_clean() {
    assert_clean(&[add_lane::build()]);
    for params in BOUNDARIES {
        assert_clean(&[quantize_f32::build(params, Semantics::OrtX86)]);
        assert_clean(&[dequantize_f32::build(params)]);
    }
}
