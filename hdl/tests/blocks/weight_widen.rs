//! Narrow weights on chip: every part of every byte against the integers.

use crate::common::{assert_clean, bits, shipped, value};
use macforge_hdl::engine;
use macforge_sim::{BlockSource, VectorInput};

/// Gives the byte of every word and the part of every step, and compares the weights.
fn assert_widens(part_bits: usize) {
    let parts = 1usize << part_bits;
    let mut source = BlockSource::new("weight_widen");
    for module in [
        engine::common("delay_line").unwrap(),
        engine::weight_widen(),
    ] {
        source = source.text(format!("{}.v", module.name), shipped(&module));
    }
    let source = source.parameter("BYTES", 1).parameter("PW", part_bits);
    let mut block = source.build().unwrap();
    for step in (0..=part_bits).map(|b| 1usize << b) {
        let width = 8 * step / parts;
        // the part comes two cycles before its word
        let steps: Vec<(u64, u64)> = (0..parts as u64)
            .step_by(step)
            .flat_map(|part| (0..256).map(move |byte| (part, byte)))
            .collect();
        let mut part: Vec<u64> = steps.iter().map(|s| s.0).collect();
        part.extend([0; 2]);
        let mut word = vec![0; 2];
        word.extend(steps.iter().map(|s| s.1));
        let of_layer = vec![step as u64; part.len()];
        let inputs = [("step", &of_layer), ("part", &part), ("word", &word)];
        let inputs = inputs.map(|(port, values)| VectorInput { port, values });
        let found = block
            .run_vectors(Some("clk"), 1, &inputs, &["weight_q"])
            .unwrap();
        for (&(part, byte), &found) in steps.iter().zip(&found[0][2..]) {
            let wanted = value(byte >> (8 / parts as u64 * part), width as u32);
            assert_eq!(
                value(found, 8),
                wanted,
                "part {part} of {byte:02x}, {width} bits"
            );
            assert_eq!(bits(wanted, 8), found);
        }
    }
}

#[test]
fn every_part_of_every_byte_keeps_its_value() {
    assert_widens(1);
    assert_widens(2);
}

#[test]
fn the_text_is_clean() {
    assert_clean(&[
        engine::common("delay_line").unwrap(),
        engine::weight_widen(),
    ]);
}
