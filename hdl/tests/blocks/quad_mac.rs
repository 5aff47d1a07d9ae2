//! Four products per DSP against `numeric::quad_packing`: cells, chains, and a column.

use crate::common::{Random, assert_clean, bits, block, value};
use macforge_hdl::VerilogModule;
use macforge_hdl::blocks::quad_mac;
use macforge_hdl::engine;
use macforge_hdl::typed::Evaluator;
use macforge_numeric::quad_packing::{
    ACTIVATIONS_BITS, FIELD_BITS, START, pack_activations, pack_weights, unpack,
};
use macforge_sim::VectorInput;

const P: u32 = 48;
const SUMS: [&str; 4] = ["w0a0", "w0a1", "w1a0", "w1a1"];

/// Operand, cell and split of a single product of each kind.
fn single() -> Vec<VerilogModule> {
    let text = format!(
        "\
module single (
    input  wire clk,
    input  wire signed [3:0] w1, w0, a1, a0,
    output wire signed [47:0] p,
    output wire signed [9:0] w0a0, w0a1, w1a0, w1a1
);
    wire signed [14:0] a;
    quad_operand u_operand (.a1(a1), .a0(a0), .a(a));
    quad_mac u_mac (.clk(clk), .w1(w1), .w0(w0), .a(a), .pcin(48'd{START}), .p_q(p));
    quad_split u_split (.p(p), .w0a0(w0a0), .w0a1(w0a1), .w1a0(w1a0), .w1a1(w1a1));
endmodule
"
    );
    let single = VerilogModule {
        name: "single".into(),
        text,
    };
    quad_mac::build().into_iter().chain([single]).collect()
}

#[test]
fn four_products_are_exact_for_all_operands() {
    let mut cell = block(&single());
    let mut operands: [Vec<u64>; 4] = Default::default();
    let mut expected = Vec::new();
    for code in 0..1u32 << 16 {
        let [w1, w0, a1, a0] = [12, 8, 4, 0].map(|at| value(u64::from(code >> at) & 15, 4));
        for (list, x) in operands.iter_mut().zip([w1, w0, a1, a0]) {
            list.push(bits(x, 4));
        }
        expected.push([w0 * a0, w0 * a1, w1 * a0, w1 * a1]);
    }
    let inputs = [("w1", 0), ("w0", 1), ("a1", 2), ("a0", 3)].map(|(port, i)| VectorInput {
        port,
        values: &operands[i],
    });
    let found = cell
        .run_vectors(Some("clk"), quad_mac::LATENCY, &inputs, &SUMS)
        .unwrap();
    for (k, expected) in expected.iter().enumerate() {
        let sums = [0, 1, 2, 3].map(|s| value(found[s][k], FIELD_BITS));
        assert_eq!(sums, *expected, "operands {k:#06x}");
    }
}

#[test]
fn the_operand_is_the_rule_of_numeric() {
    let [operand, _, _] = quad_mac::build();
    let mut cell = block(&[operand]);
    let pairs: Vec<(i8, i8)> = (-8..=7)
        .flat_map(|a1| (-8..=7).map(move |a0| (a1, a0)))
        .collect();
    let a1: Vec<u64> = pairs.iter().map(|p| bits(p.0.into(), 4)).collect();
    let a0: Vec<u64> = pairs.iter().map(|p| bits(p.1.into(), 4)).collect();
    let inputs = [("a1", &a1), ("a0", &a0)].map(|(port, values)| VectorInput { port, values });
    let found = cell.run_vectors(None, 0, &inputs, &["a"]).unwrap();
    for (&(a1, a0), &a) in pairs.iter().zip(&found[0]) {
        assert_eq!(value(a, ACTIVATIONS_BITS), pack_activations(a1, a0));
    }
}

#[test]
fn the_split_is_the_rule_of_numeric() {
    let [_, _, split] = quad_mac::build();
    let mut split = block(&[split]);
    let mut random = Random(17);
    let sums: Vec<i64> = (0..200_000).map(|_| random.signed(47)).collect();
    let p: Vec<u64> = sums.iter().map(|&sum| bits(sum, P)).collect();
    let inputs = [VectorInput {
        port: "p",
        values: &p,
    }];
    let found = split.run_vectors(None, 0, &inputs, &SUMS).unwrap();
    for (k, &sum) in sums.iter().enumerate() {
        let fields = [0, 1, 2, 3].map(|s| value(found[s][k], FIELD_BITS));
        assert_eq!(fields, unpack(sum), "{sum}");
    }
}

/// A column with the operands that the dot array makes for it.
fn column() -> Vec<VerilogModule> {
    let common = ["delay_line", "sum_tree"].map(|n| engine::common(n).unwrap());
    let array = VerilogModule {
        name: "array".into(),
        text: "\
module array #(
    parameter IC = 19, CHAIN = 8, LEVELS = 2
) (
    input  wire clk,
    input  wire [IC*4-1:0] w1, w0, a1, a0,
    input  wire clear, step_valid, step_last, step_high,
    output wire [99:0] acc,
    output wire done
);
    wire unused_tile, unused_layer;
    wire unused = &{1'b0, unused_tile, unused_layer};
    dot_array #(
        .P(2), .OC(2), .IC(IC), .CHAIN(CHAIN), .LEVELS(LEVELS), .PRODUCTS(4), .W(4), .UNIT(4)
    ) u_dot (
        .clk(clk), .act({a1, a0}), .weight({w1, w0}), .clear(clear), .step_valid(step_valid),
        .step_last(step_last), .step_shift({1'b0, step_high}), .tile_last(1'b0), .layer_last(1'b0), .acc(acc), .acc_done(done),
        .acc_tile_last(unused_tile), .acc_layer_last(unused_layer)
    );
endmodule
"
        .into(),
    };
    let cells = quad_mac::build().into_iter().chain(common);
    let rest = [
        engine::quad_column().unwrap(),
        engine::common("dot_array").unwrap(),
        array,
    ];
    cells.chain(rest).collect()
}

/// Nineteen channels: two chains of eight and one of three.
#[test]
fn an_array_adds_chains_and_steps_of_four_sums() {
    const IC: usize = 19;
    let mut dut = block(&column());
    let mut random = Random(5);
    let mut expected: Vec<[i64; 4]> = Vec::new();
    let mut found: Vec<[i64; 4]> = Vec::new();
    let look = |dut: &mut macforge_sim::Block, found: &mut Vec<[i64; 4]>| {
        if dut.peek("done").unwrap() == 1 {
            let words = dut.peek_chunks("acc").unwrap();
            let acc = u128::from(words[0]) | u128::from(words[1]) << 64;
            found.push([0, 25, 50, 75].map(|at| value((acc >> at) as u64 & 0x1ff_ffff, 25)));
        }
    };
    dut.poke("clear", 0).unwrap();
    for tile in 0..300 {
        let steps = 1 + random.next() % 4;
        let mut sums = [0; 4];
        for step in 0..steps {
            let mut operand =
                |least: i64| -> Vec<i64> { (0..IC).map(|_| random.signed(4).max(least)).collect() };
            // eight weights of -8 side by side would not fit their field
            let [w1, w0] = [operand(-7), operand(-7)];
            let [a1, a0] = [operand(-8), operand(-8)];
            let dot = |w: &[i64], a: &[i64]| w.iter().zip(a).map(|(w, a)| w * a).sum::<i64>();
            let terms = [dot(&w0, &a0), dot(&w1, &a0), dot(&w0, &a1), dot(&w1, &a1)];
            let high = random.next() & 1;
            sums = [0, 1, 2, 3].map(|i| sums[i] + (terms[i] << (4 * high)));
            dut.poke("step_high", high).unwrap();
            for (port, values) in [("w1", &w1), ("w0", &w0), ("a1", &a1), ("a0", &a0)] {
                let word = |part: &[i64]| {
                    (part.iter().enumerate()).fold(0, |word, (i, &v)| word | bits(v, 4) << (4 * i))
                };
                let words: Vec<u64> = values.chunks(16).map(word).collect();
                dut.poke_chunks(port, &words).unwrap();
            }
            dut.poke("step_valid", 1).unwrap();
            dut.poke("step_last", u64::from(step + 1 == steps)).unwrap();
            dut.tick("clk").unwrap();
            look(&mut dut, &mut found);
        }
        expected.push(sums);
        // now and then nothing for a while
        for _ in 0..(if tile % 7 == 0 { 5 } else { 0 }) {
            dut.poke("step_valid", 0).unwrap();
            dut.tick("clk").unwrap();
            look(&mut dut, &mut found);
        }
    }
    dut.poke("step_valid", 0).unwrap();
    for _ in 0..30 {
        dut.tick("clk").unwrap();
        look(&mut dut, &mut found);
    }
    assert_eq!(found, expected);
}

#[test]
fn the_description_runs_in_rust_as_well() {
    let module = quad_mac::mac();
    let mut cell = Evaluator::new(&module);
    for (w1, w0, a1, a0, pcin) in [
        (-8, -8, -8, -8, START),
        (7, -8, -8, 7, 0),
        (-1, 1, 7, -1, 5),
    ] {
        let a = pack_activations(a1, a0);
        for (name, v) in [
            ("w1", w1.into()),
            ("w0", w0.into()),
            ("a", a),
            ("pcin", pcin),
        ] {
            cell.set(name, v.into());
        }
        (0..quad_mac::LATENCY).for_each(|_| cell.tick());
        assert_eq!(cell.get("p_q"), i128::from(pcin + pack_weights(w1, w0) * a));
    }
}

#[test]
fn the_text_is_clean() {
    for module in quad_mac::build() {
        assert_clean(&[module]);
    }
    assert_clean(&single());
    assert_clean(&column());
}
