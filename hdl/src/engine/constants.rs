//! Constants of a unit whose layers may have different ones. The program word of a layer has their number;
//! what differs becomes a register of the unit that follows this number.

use super::index_bits;
use std::fmt::Write;
use tera::Context;

/// Constants of a unit on their way into the context of its templates: one that all sets have alike is a
/// number there, any other one a register.
pub struct Chosen<'a, C> {
    /// Sets of constants, by number.
    pub constants: &'a [C],
    pub context: &'a mut Context,
    registers: Vec<Register>,
}

struct Register {
    /// Declaration without the name, `signed [8:0]`.
    kind: String,
    name: String,
    /// By number.
    values: Vec<String>,
}

impl<'a, C> Chosen<'a, C> {
    pub fn new(constants: &'a [C], context: &'a mut Context) -> Self {
        Chosen {
            constants,
            context,
            registers: Vec::new(),
        }
    }

    /// A constant as `name`, with the declaration and the text of a value; `kind` is the declaration without the
    /// name.
    pub fn add<V>(
        &mut self,
        name: &str,
        kind: &str,
        value: impl Fn(&C) -> V,
        text: impl Fn(V) -> String,
    ) {
        let values: Vec<String> = self.constants.iter().map(|c| text(value(c))).collect();
        if values.iter().all(|v| *v == values[0]) {
            self.context.insert(name, &values[0]);
            return;
        }
        let register = format!("{name}_q");
        self.context.insert(name, &register);
        self.registers.push(Register {
            kind: kind.into(),
            name: register,
            values,
        });
    }

    pub fn unsigned(&mut self, name: &str, width: usize, value: impl Fn(&C) -> usize) {
        let kind = format!("[{}:0]", width - 1);
        self.add(name, &kind, value, |v| format!("{width}'d{v}"));
    }

    pub fn signed(&mut self, name: &str, width: usize, value: impl Fn(&C) -> i32) {
        let kind = format!("signed [{}:0]", width - 1);
        self.add(name, &kind, value, |v| signed(width, v));
    }

    /// A number of the header, or the name of what stands for several.
    pub fn said(&mut self, name: &str, value: impl Fn(&C) -> i64) {
        let text = match self.constants {
            [only] => value(only).to_string(),
            _ => name.to_string(),
        };
        self.context.insert(format!("said_{name}"), &text);
    }

    /// Inserts the registers and the width of the number that they follow.
    pub fn finish(self) {
        let width = width(self.constants.len());
        self.context.insert("constants_width", &width);
        self.context.insert("constants", &self.verilog());
    }

    /// Declarations of the registers, which have the running layer's constants from the second cycle of
    /// the layer on; empty with one set.
    fn verilog(&self) -> String {
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
        let count = self.constants.len();
        for number in 0..count {
            if number + 1 == count {
                line(format_args!("        default: begin"));
            } else {
                line(format_args!("        {}'d{number}: begin", width(count)));
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
fn signed(width: usize, value: i32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{width}'sd{}", value.unsigned_abs())
}
