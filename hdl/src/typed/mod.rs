//! A small typed layer: fixed-latency datapaths described in Rust, printed as Verilog-2001.
//!
//! Every expression carries its width and signedness, and every operator checks them: operands
//! have equal types, nothing is extended or truncated silently. So the meaning of the printed
//! text never depends on Verilog's context rules, and `verilator -Wall` has nothing to say about
//! widths. Registers are explicit, end in `_q` and have no reset.
//!
//! The same description can be run in Rust ([`Evaluator`]), so that a block's arithmetic is
//! compared with `macforge-numeric` wherever the tests run. The proof is the co-simulation of the
//! printed text.

mod eval;
mod expr;
mod module;
mod print;

pub use eval::Evaluator;
pub use expr::{Expr, Type, any, concat, constant, mux, repeat, signed, unsigned};
pub use module::{Header, Module};
