//! The softmax unit against `SoftmaxRule`.

use crate::common::{Random, assert_clean, block};
use macforge_hdl::blocks::softmax_unit;
use macforge_numeric::SoftmaxRule;
use macforge_sim::Block;

/// Runs one vector; the outputs and the cycles from `start` to `done_q`.
fn run(unit: &mut Block, row: &[i8], read_latency: usize) -> (Vec<i8>, usize) {
    let mut output = vec![None; row.len()];
    let mut in_flight = vec![0i8; read_latency + 1];
    unit.poke("length", row.len() as u64).unwrap();
    unit.poke("start", 1).unwrap();
    for cycle in 1..=3 * row.len() + 1000 {
        unit.tick("clk").unwrap();
        unit.poke("start", 0).unwrap();
        in_flight.rotate_right(1);
        let reading = unit.peek("rd_en_q").unwrap() == 1;
        // what is not asked for is noise
        in_flight[0] = if reading {
            row[unit.peek("rd_index_q").unwrap() as usize]
        } else {
            cycle as i8
        };
        unit.poke_signed("rd_data", in_flight[read_latency].into())
            .unwrap();
        if unit.peek("wr_en_q").unwrap() == 1 {
            let index = unit.peek("wr_index_q").unwrap() as usize;
            let previous = output[index].replace(unit.peek_signed("wr_data_q").unwrap() as i8);
            assert_eq!(previous, None, "element {index} is written twice");
        }
        if unit.peek("done_q").unwrap() == 1 {
            let output = output
                .into_iter()
                .map(|y| y.expect("every element is written"));
            return (output.collect(), cycle);
        }
    }
    panic!("the unit does not finish");
}

fn unit(rules: &[SoftmaxRule], read_latency: usize) -> Block {
    let mut unit = block(&softmax_unit::build(rules, read_latency).unwrap());
    unit.poke("rst", 1).unwrap();
    unit.tick("clk").unwrap();
    unit.poke("rst", 0).unwrap();
    unit
}

fn rows(random: &mut Random) -> Vec<Vec<i8>> {
    let mut rows: Vec<Vec<i8>> = vec![
        vec![-128],
        vec![127],
        vec![-128, 127],
        vec![127; 1024],
        vec![-128; 1024],
        (-128..=127).collect(),
        (0..1024)
            .map(|i| if i == 1023 { 127 } else { -128 })
            .collect(),
    ];
    for _ in 0..400 {
        let length = 1 + random.next() as usize % 40;
        rows.push((0..length).map(|_| random.signed(8) as i8).collect());
    }
    rows
}

#[test]
fn every_vector_equals_the_rule_and_takes_the_stated_time() {
    for (scale, read_latency) in [(0.17f32, 5), (1.0 / 512.0, 1), (2.0, 3)] {
        let rule = SoftmaxRule::tflite(scale, 1.0).unwrap();
        let mut unit = unit(&[rule], read_latency);
        for row in rows(&mut Random(7)) {
            let (found, cycles) = run(&mut unit, &row, read_latency);
            assert_eq!(found, rule.apply(&row), "scale {scale}, row {row:?}");
            let limit = 3 * row.len() + softmax_unit::overhead(read_latency);
            assert!(
                cycles <= limit,
                "{cycles} cycles for {} elements, limit {limit}",
                row.len()
            );
        }
    }
}

#[test]
fn each_vector_has_the_scale_of_its_number() {
    let rules = [0.17f32, 0.02, 1.3].map(|scale| SoftmaxRule::tflite(scale, 1.0).unwrap());
    assert_clean(&softmax_unit::build(&rules, 5).unwrap());
    let mut unit = unit(&rules, 5);
    for (i, row) in rows(&mut Random(8)).into_iter().take(60).enumerate() {
        let number = i % rules.len();
        unit.poke("constants", number as u64).unwrap();
        let (found, _) = run(&mut unit, &row, 5);
        assert_eq!(
            found,
            rules[number].apply(&row),
            "number {number}, row {row:?}"
        );
    }
}

#[test]
fn the_fixed_part_is_below_120_cycles() {
    assert!(softmax_unit::overhead(macforge_hdl::engine::SOFTMAX_READ_LATENCY) < 120);
}

#[test]
fn the_text_is_clean() {
    let rule = SoftmaxRule::tflite(0.05, 1.0).unwrap();
    assert_clean(&softmax_unit::build(&[rule], 5).unwrap());
}
