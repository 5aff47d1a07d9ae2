//! The packed MAC and the lane split against `numeric::packing`.

use crate::common::{Random, assert_clean, bits, block, value};
use macforge_hdl::VerilogModule;
use macforge_hdl::blocks::packed_mac;
use macforge_hdl::cells;
use macforge_hdl::typed::Evaluator;
use macforge_numeric::packing::{fits_operand, pack, unpack};
use macforge_sim::VectorInput;

const P: u32 = 48;

/// A chain of four cells with the lane split behind it, skewed as the array skews it.
fn chain() -> Vec<VerilogModule> {
    let text = "\
module chain (
    input  wire clk,
    input  wire [31:0] w1,
    input  wire [31:0] w0,
    input  wire [31:0] a,
    output wire [47:0] p,
    output wire signed [16:0] lo,
    output wire signed [17:0] hi
);
    wire [48*5-1:0] cascade;
    assign cascade[47:0] = 48'd0;
    assign p = cascade[48*4 +: 48];
    genvar j;
    generate
        for (j = 0; j < 4; j = j + 1) begin : gen_mac
            packed_mac u_mac (
                .clk(clk),
                .w1(w1[8*j +: 8]),
                .w0(w0[8*j +: 8]),
                .a(a[8*j +: 8]),
                .pcin(cascade[48*j +: 48]),
                .p_q(cascade[48*(j+1) +: 48])
            );
        end
    endgenerate
    lane_split u_split (.p(p), .lo(lo), .hi(hi));
endmodule
";
    let chain = VerilogModule {
        name: "chain".into(),
        text: text.into(),
    };
    vec![packed_mac::build(), cells::lane_split(), chain]
}

#[test]
fn one_cell_multiplies_every_activation_by_every_pair_of_interesting_weights() {
    let mut cell = block(&[packed_mac::build()]);
    let interesting = [
        -128i64, -127, -126, -65, -64, -2, -1, 0, 1, 2, 63, 64, 126, 127,
    ];
    let (mut w1, mut w0, mut a, mut expected) = (vec![], vec![], vec![], vec![]);
    for x1 in interesting {
        for x0 in interesting
            .into_iter()
            .filter(|&x0| fits_operand(x1 as i8, x0 as i8))
        {
            for activation in -128..=127i64 {
                w1.push(bits(x1, 8));
                w0.push(bits(x0, 8));
                a.push(bits(activation, 8));
                expected.push(pack(x1 as i8, x0 as i8) * activation);
            }
        }
    }
    let inputs =
        [("w1", &w1), ("w0", &w0), ("a", &a)].map(|(port, values)| VectorInput { port, values });
    let found = cell
        .run_vectors(Some("clk"), packed_mac::LATENCY, &inputs, &["p_q"])
        .unwrap();
    for (k, (&found, &expected)) in found[0].iter().zip(&expected).enumerate() {
        assert_eq!(value(found, P), expected, "vector {k}");
    }
}

#[test]
fn a_chain_of_four_keeps_both_sums_apart_for_weights_above_minus_128() {
    let mut random = Random(3);
    // four products; the extremes of both lanes are among them
    let mut cases = vec![
        ([[-127i64; 4], [-127; 4]], [-128i64; 4]),
        ([[127; 4], [-127; 4]], [-128; 4]),
    ];
    cases.push(([[-127; 4], [127; 4]], [-128; 4]));
    cases.push(([[0; 4], [-127; 4]], [127; 4]));
    for _ in 0..100_000 {
        let mut weights = || [0; 4].map(|_| random.signed(8).max(-127));
        let (w1, w0) = (weights(), weights());
        cases.push(([w1, w0], [0; 4].map(|_| random.signed(8))));
    }
    let mut dut = block(&chain());
    let settle = packed_mac::LATENCY + 3;
    // each case is held until the chain has settled on it: a new one every cycle would need the
    // skew registers of the array
    for ([w1, w0], a) in cases.iter().take(3000) {
        let packed = |x: &[i64; 4]| {
            x.iter()
                .enumerate()
                .fold(0, |word, (j, &v)| word | bits(v, 8) << (8 * j))
        };
        dut.poke("w1", packed(w1)).unwrap();
        dut.poke("w0", packed(w0)).unwrap();
        dut.poke("a", packed(a)).unwrap();
        for _ in 0..settle {
            dut.tick("clk").unwrap();
        }
        let sum = |w: &[i64; 4]| -> i64 { w.iter().zip(a).map(|(w, a)| w * a).sum() };
        assert_eq!(
            dut.peek_signed("lo").unwrap(),
            sum(w0),
            "{w1:?} {w0:?} {a:?}"
        );
        assert_eq!(
            dut.peek_signed("hi").unwrap(),
            sum(w1),
            "{w1:?} {w0:?} {a:?}"
        );
    }
}

#[test]
fn the_lane_split_is_the_rule_of_numeric() {
    let mut split = block(&[cells::lane_split()]);
    let mut random = Random(11);
    let mut sums: Vec<i64> = (0..200_000).map(|_| random.signed(35)).collect();
    // every low lane under a few high ones, and every high one over a few low ones
    for high in [-(1 << 17), -1, 0, 1, (1 << 17) - 1] {
        sums.extend((0..1 << 17).map(|low| (high << 17) | low));
    }
    for low in [0, 0xffff, 0x1_0000, 0x1_ffff] {
        sums.extend((-(1 << 17)..1 << 17).map(|high: i64| (high << 17) | low));
    }
    let p: Vec<u64> = sums.iter().map(|&sum| bits(sum, P)).collect();
    let inputs = [VectorInput {
        port: "p",
        values: &p,
    }];
    let found = split.run_vectors(None, 0, &inputs, &["lo", "hi"]).unwrap();
    for (k, &sum) in sums.iter().enumerate() {
        let (lo, hi) = unpack(sum);
        assert_eq!(value(found[0][k], 17), lo, "low lane of {sum}");
        // hi of the largest positive sum leaves 18 bits only when the low lane borrows from it
        assert_eq!(
            value(found[1][k], 18),
            value(bits(hi, 18), 18),
            "high lane of {sum}"
        );
    }
}

#[test]
fn the_largest_of_two_is_right_for_all_pairs() {
    let mut cell = block(&[cells::pool_max()]);
    let pairs: Vec<(i64, i64)> = (-128..=127)
        .flat_map(|a| (-128..=127).map(move |b| (a, b)))
        .collect();
    let a: Vec<u64> = pairs.iter().map(|p| bits(p.0, 8)).collect();
    let b: Vec<u64> = pairs.iter().map(|p| bits(p.1, 8)).collect();
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
    let found = cell.run_vectors(None, 0, &inputs, &["y"]).unwrap();
    for (&(a, b), &y) in pairs.iter().zip(&found[0]) {
        assert_eq!(value(y, 8), a.max(b), "max({a}, {b})");
    }
}

#[test]
fn the_description_runs_in_rust_as_well() {
    let module = packed_mac::module();
    let mut cell = Evaluator::new(&module);
    for (w1, w0, a, pcin) in [
        (-127, -128, -128, 0),
        (127, 127, 127, -(1 << 47)),
        (-1, 1, -1, 5),
    ] {
        for (name, v) in [("w1", w1), ("w0", w0), ("a", a), ("pcin", pcin)] {
            cell.set(name, v.into());
        }
        (0..packed_mac::LATENCY).for_each(|_| cell.tick());
        let expected = pcin + pack(w1 as i8, w0 as i8) * a;
        assert_eq!(cell.get("p_q"), i128::from(expected));
    }
}

#[test]
fn the_text_is_clean() {
    assert_clean(&[packed_mac::build()]);
    assert_clean(&[cells::lane_split()]);
    assert_clean(&[cells::pool_max()]);
    assert_clean(&chain());
}
