//! The constants of an LSTM unit, as numbers of its text or registers of it ([`Chosen`]).

use super::constants::Chosen;
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

/// Memories, their first addresses, and the hidden state's zero point.
fn common<T>(
    chosen: &mut Chosen<LstmConstants<T>>,
    unit: &LstmUnit,
    zero_point: impl Fn(&T) -> i32,
) {
    let steps: usize = unit.steps().iter().sum();
    let names = [["weight", "WAW"], ["param", "PAW"]];
    for (memory, words) in [unit.units * steps, unit.units * SUMS]
        .into_iter()
        .enumerate()
    {
        let [name, parameter] = names[memory];
        let parts = chosen.constants.iter().map(|c| c.parts[memory] + 1).max();
        let depth = words * parts.unwrap_or(1);
        let width = index_bits(depth);
        chosen.context.insert(format!("{name}_depth"), &depth);
        chosen.context.insert(format!("{name}_width"), &width);
        chosen.add(
            &format!("{name}_first"),
            &format!("[{parameter}-1:0]"),
            |c| c.parts[memory] * words,
            |first| match first {
                0 => format!("{{{parameter}{{1'b0}}}}"),
                _ => format!("{width}'d{first}"),
            },
        );
    }
    let byte = |c: &LstmConstants<T>| usize::from(zero_point(&c.output) as u8);
    chosen.unsigned("hidden_zero", 8, byte);
    if let [only] = chosen.constants {
        chosen.context.insert("hidden_zero", "HIDDEN_ZERO");
        chosen.context.insert("zero_point_bits", &byte(only));
    }
    chosen.said("zero_point", |c| zero_point(&c.output).into());
}

/// What the template of the integer datapath needs; `functions` are in the tables.
pub(super) fn integer(
    unit: &LstmUnit,
    constants: &[LstmConstants<CellConstants>],
    functions: usize,
    context: &mut Context,
) {
    let mut chosen = Chosen::new(constants, context);
    common(&mut chosen, unit, |c| c.zero_point);
    let function_width = index_bits(functions);
    chosen.context.insert("function_width", &function_width);
    let gates = format!("{function_width}'d1");
    chosen.context.insert("tanh_function", &gates);
    chosen.unsigned("cell_function", function_width, |c| c.output.function);
    chosen.unsigned("output_multiplier", 31, |c| c.output.factor[0] as usize);
    chosen.unsigned("output_right", 5, |c| c.output.factor[1] as usize);
    chosen.signed("hidden_offset", 19, |c| c.output.zero_point);
    let clips = constants.iter().any(|c| c.output.clip.is_some());
    chosen.context.insert("clips", &clips);
    if clips {
        // a state that is not clipped has all values of int16
        let bounds = |c: &LstmConstants<CellConstants>| match c.output.clip {
            Some(clip) => [-i32::from(clip), clip.into()],
            None => [i16::MIN.into(), i16::MAX.into()],
        };
        chosen.signed("clip_low", 16, |c| bounds(c)[0]);
        chosen.signed("clip_high", 16, |c| bounds(c)[1]);
    }
    let shift = |c: &LstmConstants<CellConstants>| 15 + c.output.integer_bits as usize;
    let first = &constants[0];
    let shifts = constants.iter().any(|c| shift(c) != shift(first));
    chosen.context.insert("enter_shifts", &shifts);
    chosen
        .context
        .insert("enter_pad", &first.output.integer_bits);
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
    common(&mut chosen, unit, |q| q.zero_point);
    chosen.unsigned("output_multiplier", 17, |c| {
        c.output.factor.multiplier as usize
    });
    chosen.signed("output_exponent", 7, |c| c.output.factor.exponent);
    chosen.signed("output_zero", 8, |c| c.output.zero_point);
    if constants.len() == 1 {
        let zero = "$signed(HIDDEN_ZERO)";
        chosen.context.insert("output_zero", zero);
    }
    chosen.said("multiplier", |c| c.output.factor.multiplier.into());
    chosen.said("exponent", |c| c.output.factor.exponent.into());
    chosen.finish();
}
