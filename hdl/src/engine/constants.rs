//! Constants of a unit whose layers may have different ones. The program word of a layer has their number;
//! what differs becomes a register of the unit that follows this number.

use super::index_bits;
use std::fmt::Write;

/// The registers of a unit's constants.
pub struct Choice {
    /// Sets of constants.
    count: usize,
    registers: Vec<Register>,
}

struct Register {
    /// Declaration without the name, `signed [8:0]`.
    kind: String,
    name: String,
    /// By number.
    values: Vec<String>,
}

impl Choice {
    /// Of `count` sets of constants.
    pub fn new(count: usize) -> Self {
        Choice {
            count,
            registers: Vec::new(),
        }
    }

    /// Bits of the number; 0 where there is one set.
    pub fn width(&self) -> usize {
        width(self.count)
    }

    /// The expression of a constant with these values, by number: the value where all are the same, or
    /// else a register. `kind` is its declaration without the name.
    pub fn of(&mut self, kind: &str, name: &str, values: Vec<String>) -> String {
        debug_assert_eq!(values.len(), self.count, "{name}");
        if values.iter().all(|v| *v == values[0]) {
            return values[0].clone();
        }
        self.registers.push(Register {
            kind: kind.into(),
            name: name.into(),
            values,
        });
        name.into()
    }

    /// Declarations of the registers, which have the running layer's constants from the second cycle of
    /// the layer on; empty with one set.
    pub fn verilog(&self) -> String {
        let mut text = String::new();
        if self.registers.is_empty() {
            return text;
        }
        text += "\n    // ---- constants of the running layer, by their number --------------------------------------------\n";
        let mut line = |words: std::fmt::Arguments| {
            text.write_fmt(words).expect("a string takes all text");
            text.push('\n');
        };
        for Register { kind, name, .. } in &self.registers {
            line(format_args!("    reg  {kind} {name};"));
        }
        line(format_args!("    always @(posedge clk) case (constants)"));
        for number in 0..self.count {
            if number + 1 == self.count {
                line(format_args!("        default: begin"));
            } else {
                line(format_args!("        {}'d{number}: begin", self.width()));
            }
            for Register { name, values, .. } in &self.registers {
                line(format_args!("            {name} <= {};", values[number]));
            }
            line(format_args!("        end"));
        }
        line(format_args!("    endcase"));
        text
    }
}

/// Bits of the number of a set of constants; 0 where there is one, or none.
pub fn width(count: usize) -> usize {
    if count < 2 { 0 } else { index_bits(count) }
}

/// A signed Verilog number.
pub fn signed(width: usize, value: i32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{width}'sd{}", value.unsigned_abs())
}
