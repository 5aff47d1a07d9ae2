//! int8 to float32, in every bit as [`AffineParams::dequantize`]: a table of all 256 results.

use crate::VerilogModule;
use crate::typed::{Header, Module, signed, unsigned};
use macforge_numeric::AffineParams;

/// Cycles from `q` to `x_q`.
pub const LATENCY: usize = 1;

/// The block `dequantize_f32` for one tensor's parameters: `x_q` are float32 bits.
pub fn module(params: AffineParams) -> Module {
    let AffineParams { scale, zero_point } = params;
    let mut m = Module::new(
        "dequantize_f32",
        Header {
            purpose: "int8 to float32, by a table".into(),
            equation: format!("x = {scale:e} * (q - {zero_point}), rounded to nearest even"),
            latency: format!("{LATENCY}; initiation interval 1; never stalls"),
        },
    );
    let q = m.input("q", signed(8));
    let words: Vec<i128> = (0..=255u8)
        .map(|q| params.dequantize(q as i8).to_bits().into())
        .collect();
    let x = m.table("x", &q.as_unsigned(), unsigned(32), &words);
    let x = m.register("x", &x);
    m.output(&x);
    m
}

/// The printed block.
pub fn build(params: AffineParams) -> VerilogModule {
    module(params).build()
}
