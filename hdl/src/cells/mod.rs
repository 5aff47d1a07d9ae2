//! Leaf cells of fixed width, described in rust-hdl.
//!
//! rust-hdl 0.46 prints Verilog whose widths are not always those of its Rust types: a cast of an
//! expression is printed as the bare expression, a narrow operand meets a wide literal, casts are
//! printed as masks. So a cell here keeps to the part of the language that is printed faithfully:
//!
//! * one operator per local signal, and all operands of the signal's own width;
//! * slices of ports and signals, never casts; constants are `Constant` fields of exact width;
//! * what is not used is assigned to a signal whose name says so.
//!
//! `verilator -Wall` without a waiver and a co-simulation against `macforge-numeric` check each
//! cell. rust-hdl's own simulator is not used, and of its crates only `rust-hdl-core` is.
//!
//! The packed MAC is not here: rust-hdl multiplies 16 x 16 bits and makes a module of each
//! flip-flop, and a 25 x 8 product with its pipeline registers inside one DSP48E1 needs neither.

mod lane_split;
mod pool_max;

pub use lane_split::lane_split;
pub use pool_max::pool_max;

use crate::VerilogModule;
use rust_hdl_core::prelude::{Block, generate_verilog};

/// The Verilog of a rust-hdl block, with a name and a comment; rust-hdl calls every module `top`.
fn module<B: Block>(name: &str, header: &[&str], mut block: B) -> VerilogModule {
    block.connect_all();
    let printed = generate_verilog(&block);
    let lines = header.iter().map(|line| format!("// {line}"));
    let body = printed
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .map(|line| {
            line.replace("module top(", &format!("module {name} ("))
                .replace("endmodule // top", "endmodule")
        });
    let text = lines
        .chain(body)
        .fold(String::new(), |text, line| text + &line + "\n");
    VerilogModule {
        name: name.to_owned(),
        text,
    }
}
