//! The channel array's multiplier against the integers.

use crate::common::{assert_clean, bits, block, value};
use macforge_hdl::blocks::channel_mul;
use macforge_sim::VectorInput;

#[test]
fn product_and_carry_are_the_product_of_all_pairs() {
    let mut cell = block(&[channel_mul::build()]);
    let pairs: Vec<(i64, i64)> = (-128..=127)
        .flat_map(|x| (-128..=127).map(move |w| (x, w)))
        .collect();
    let x: Vec<u64> = pairs.iter().map(|p| bits(p.0, 8)).collect();
    let w: Vec<u64> = pairs.iter().map(|p| bits(p.1, 8)).collect();
    let inputs = [("x", &x), ("w", &w)].map(|(port, values)| VectorInput { port, values });
    let found = cell
        .run_vectors(
            Some("clk"),
            channel_mul::LATENCY,
            &inputs,
            &["product_q", "carry_q"],
        )
        .unwrap();
    for (k, &(x, w)) in pairs.iter().enumerate() {
        let sum = value(found[0][k], 16) + found[1][k].cast_signed();
        assert_eq!(sum, x * w, "{x} * {w}");
    }
}

#[test]
fn the_text_is_clean() {
    assert_clean(&[channel_mul::build()]);
}
