//! Invariants of a recurrent layer.

use macforge_numeric::lstm::Factor;
use macforge_numeric::{Fp16Factor, Fp16LstmRule, LstmRule};

use super::ops::Check;
use crate::QuantError;
use crate::graph::{Lstm, LstmArithmetic};

pub(super) fn verify(check: &Check, lstm: &Lstm) -> Result<(), QuantError> {
    let (inputs, units) = (lstm.inputs, lstm.units);
    let sequences = (check.input.shape.as_slice(), check.output.shape.as_slice());
    let fits =
        matches!(sequences, (&[t, i], &[steps, u]) if t == steps && i == inputs && u == units);
    if !fits {
        return check.fail(format!(
            "{units} units on {inputs} inputs, but {:?} to {:?}",
            sequences.0, sequences.1
        ));
    }
    let counts = lstm.gates.iter().all(|g| {
        Some(g.input_weights.len()) == units.checked_mul(inputs)
            && Some(g.recurrent_weights.len()) == units.checked_mul(units)
            && g.bias.len() == units
    });
    if !counts {
        return check.fail("weights or biases do not fit the shape");
    }
    check.zero_point(lstm.rule.output_zero_point())?;
    match &lstm.rule {
        LstmArithmetic::Integer(rule) => integer_rule(check, rule),
        LstmArithmetic::Fp16(rule) => fp16_rule(check, rule, units),
    }
}

fn integer_rule(check: &Check, rule: &LstmRule) -> Result<(), QuantError> {
    if rule.cell_integer_bits > LstmRule::MAX_CELL_INTEGER_BITS {
        let bits = rule.cell_integer_bits;
        return check.fail(format!("cell state with {bits} integer bits"));
    }
    if rule.cell_clip.is_some_and(|clip| clip < 1) {
        return check.fail("a cell clip that is not positive");
    }
    let mut factors = rule
        .input
        .iter()
        .chain(&rule.recurrent)
        .chain([&rule.output]);
    if !factors.all(in_range) {
        return check.fail("a factor that is no TFLite multiplier");
    }
    // The product of two Q0.15 numbers fills 31 bits; a left shift would leave int32.
    if rule.output.shift > 0 {
        return check.fail("an output factor of one or more");
    }
    Ok(())
}

fn fp16_rule(check: &Check, rule: &Fp16LstmRule, units: usize) -> Result<(), QuantError> {
    let gates = || rule.input.iter().chain(&rule.recurrent);
    if gates().any(|factors| factors.len() != units) {
        return check.fail("gate factors that do not fit the units");
    }
    let mut factors = gates().flatten().chain([&rule.output.factor]);
    if !factors.all(Fp16Factor::is_valid) {
        return check.fail("a factor that is no FP16 factor");
    }
    Ok(())
}

fn in_range(factor: &Factor) -> bool {
    (factor.multiplier == 0 || factor.multiplier >= 1 << 30) && (-31..=30).contains(&factor.shift)
}
