//! The constants of an LSTM unit, as numbers of its text or registers of it ([`Choice`]).

use super::constants::{Choice, signed};
use super::index_bits;
use super::lstm::{LstmUnit, SUMS};
use macforge_numeric::{Fp16Quantizer, HalfTables, LstmRule};
use tera::Context;

/// A set of constants of an LSTM unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LstmConstants<T> {
    /// Which part of the weight memory and of the parameter memory are its own; sets with the same weights,
    /// or the same parameters, share a part. Streamed weights have no memory: 0.
    pub parts: [usize; 2],
    /// What follows the gates: [`CellConstants`], or [`Fp16Quantizer`] of the hidden state.
    pub output: T,
}

/// Cell state and hidden state of [`LstmRule`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellConstants {
    /// Zero point of the hidden state.
    zero_point: i32,
    /// Integer bits of the cell state.
    integer_bits: u32,
    /// Which function is its tanh.
    function: usize,
    /// Bound of the cell state.
    clip: Option<i16>,
    /// Factor of the hidden state: multiplier, right shift.
    factor: [i32; 2],
}

impl CellConstants {
    /// Of a rule; `None` where the tables lack the tanh of its cell state.
    pub fn new(rule: &LstmRule, tables: &HalfTables) -> Option<Self> {
        Some(CellConstants {
            zero_point: rule.output_zero_point,
            integer_bits: rule.cell_integer_bits,
            function: tables.cell_function(rule.cell_integer_bits)?,
            clip: rule.cell_clip,
            factor: [rule.output.multiplier, -rule.output.shift],
        })
    }
}

/// Constants of a unit on their way into the context of its templates.
struct Chosen<'a, T> {
    constants: &'a [LstmConstants<T>],
    choice: Choice,
    context: &'a mut Context,
}

impl<'a, T> Chosen<'a, T> {
    fn new(constants: &'a [LstmConstants<T>], context: &'a mut Context) -> Self {
        Chosen {
            constants,
            choice: Choice::new(constants.len()),
            context,
        }
    }

    /// A constant as `name`, with the declaration and the text of a value.
    fn add<V>(
        &mut self,
        name: &str,
        kind: &str,
        value: impl Fn(&LstmConstants<T>) -> V,
        text: impl Fn(V) -> String,
    ) {
        let values = self.constants.iter().map(|c| text(value(c))).collect();
        let expression = self.choice.of(kind, &format!("{name}_q"), values);
        self.context.insert(name, &expression);
    }

    fn unsigned(&mut self, name: &str, width: usize, value: impl Fn(&T) -> usize) {
        let kind = format!("[{}:0]", width - 1);
        let text = |v| format!("{width}'d{v}");
        self.add(name, &kind, |c| value(&c.output), text);
    }

    fn signed(&mut self, name: &str, width: usize, value: impl Fn(&T) -> i32) {
        let kind = format!("signed [{}:0]", width - 1);
        self.add(name, &kind, |c| value(&c.output), |v| signed(width, v));
    }

    /// A number of the header, or the name of what stands for several.
    fn said(&mut self, name: &str, value: impl Fn(&T) -> i64) {
        let text = match self.constants {
            [only] => value(&only.output).to_string(),
            _ => name.to_string(),
        };
        self.context.insert(format!("said_{name}"), &text);
    }

    /// Memories, their first addresses, and the hidden state's zero point.
    fn common(&mut self, unit: &LstmUnit, zero_point: impl Fn(&T) -> i32) {
        let steps: usize = unit.steps().iter().sum();
        let names = [["weight", "WAW"], ["param", "PAW"]];
        for (memory, words) in [unit.units * steps, unit.units * SUMS]
            .into_iter()
            .enumerate()
        {
            let [name, parameter] = names[memory];
            let parts = self.constants.iter().map(|c| c.parts[memory] + 1).max();
            let depth = words * parts.unwrap_or(1);
            let width = index_bits(depth);
            self.context.insert(format!("{name}_depth"), &depth);
            self.context.insert(format!("{name}_width"), &width);
            self.add(
                &format!("{name}_first"),
                &format!("[{parameter}-1:0]"),
                |c| c.parts[memory] * words,
                |first| match first {
                    0 => format!("{{{parameter}{{1'b0}}}}"),
                    _ => format!("{width}'d{first}"),
                },
            );
        }
        let byte = |output: &T| usize::from(zero_point(output) as u8);
        self.unsigned("hidden_zero", 8, byte);
        if let [only] = self.constants {
            self.context.insert("hidden_zero", "HIDDEN_ZERO");
            self.context.insert("zero_point_bits", &byte(&only.output));
        }
        self.said("zero_point", |output| zero_point(output).into());
    }

    fn finish(self) {
        self.context.insert("constants_width", &self.choice.width());
        self.context.insert("constants", &self.choice.verilog());
    }
}

/// What the template of the integer datapath needs; `functions` are in the tables.
pub(super) fn integer(
    unit: &LstmUnit,
    constants: &[LstmConstants<CellConstants>],
    functions: usize,
    context: &mut Context,
) {
    let mut chosen = Chosen::new(constants, context);
    chosen.common(unit, |c| c.zero_point);
    let function_width = index_bits(functions);
    chosen.context.insert("function_width", &function_width);
    let gates = format!("{function_width}'d1");
    chosen.context.insert("tanh_function", &gates);
    chosen.unsigned("cell_function", function_width, |c| c.function);
    chosen.unsigned("output_multiplier", 31, |c| c.factor[0] as usize);
    chosen.unsigned("output_right", 5, |c| c.factor[1] as usize);
    chosen.signed("hidden_offset", 19, |c| c.zero_point);
    let clips = constants.iter().any(|c| c.output.clip.is_some());
    chosen.context.insert("clips", &clips);
    if clips {
        // a state that is not clipped has all values of int16
        let bounds = |c: &CellConstants| match c.clip {
            Some(clip) => [-i32::from(clip), clip.into()],
            None => [i16::MIN.into(), i16::MAX.into()],
        };
        chosen.signed("clip_low", 16, |c| bounds(c)[0]);
        chosen.signed("clip_high", 16, |c| bounds(c)[1]);
    }
    let shift = |c: &CellConstants| 15 + c.integer_bits as usize;
    let first = &constants[0].output;
    let shifts = constants.iter().any(|c| shift(&c.output) != shift(first));
    chosen.context.insert("enter_shifts", &shifts);
    chosen.context.insert("enter_pad", &first.integer_bits);
    chosen.context.insert("enter_shift_number", &shift(first));
    if shifts {
        chosen.unsigned("enter_shift", 5, shift);
    }
    chosen.signed("enter_half", 33, |c| 1 << (shift(c) - 1));
    chosen.said("enter_shift", |c| shift(c) as i64);
    chosen.context.insert("keep_half", &(1 << 14));
    chosen.finish();
}

/// What the template of the FP16 datapath needs.
pub(super) fn fp16(
    unit: &LstmUnit,
    constants: &[LstmConstants<Fp16Quantizer>],
    context: &mut Context,
) {
    let mut chosen = Chosen::new(constants, context);
    chosen.common(unit, |q| q.zero_point);
    chosen.unsigned("output_multiplier", 17, |q| q.factor.multiplier as usize);
    chosen.signed("output_exponent", 7, |q| q.factor.exponent);
    chosen.signed("output_zero", 8, |q| q.zero_point);
    if constants.len() == 1 {
        let zero = "$signed(HIDDEN_ZERO)";
        chosen.context.insert("output_zero", zero);
    }
    chosen.said("multiplier", |q| q.factor.multiplier.into());
    chosen.said("exponent", |q| q.factor.exponent.into());
    chosen.finish();
}
