//! Walks the weights of a layer as the program says and compares what the array gets for every step with the
//! step's own weights.

use crate::bits::BitWord;
use crate::error::PlanError;
use crate::hwplan::HwPlan;
use crate::verify::fail;
use crate::weights;

/// Checks layer `index`, if it has weights on chip.
pub fn check(plan: &HwPlan, index: usize) -> Result<(), PlanError> {
    if plan.stream.is_some() {
        return Ok(());
    }
    let (layers, layout) = (&plan.layers, &plan.layout);
    let steps = weights::of_layer(layers, layout, &plan.input_mode, &plan.shape, index);
    let program = &plan.program[index];
    if !steps.is_empty() && steps.len() != program.loops.tiles * program.loops.steps() {
        return fail(format!("layer {index}: weights for {} steps", steps.len()));
    }
    let parts = plan.weight_parts;
    let each = match parts {
        1 => 1,
        _ => program.value("weight_step") as usize,
    };
    let first = program.value("weight_base") as usize;
    for (step, wanted) in steps.iter().enumerate() {
        let place = first + step * each;
        let bits = 8 * each / parts;
        let word = plan.weights.get(place / parts);
        let found = |byte: usize| word.map(|w| weight(w, byte, place % parts * 8 / parts, bits));
        let bytes = wanted.bytes().iter().enumerate();
        if let Some((byte, &wanted)) = { bytes }.find(|&(n, &w)| found(n) != Some(w as i8)) {
            return fail(format!(
                "layer {index}, step {step}: weight {byte} is {:?}, wanted {}",
                found(byte),
                wanted as i8
            ));
        }
    }
    Ok(())
}

/// The weight of `bits` bits from bit `low` of a byte on, with its sign.
fn weight(word: &BitWord, byte: usize, low: usize, bits: usize) -> i8 {
    let byte = word.bytes().get(byte).copied().unwrap_or(0);
    ((byte >> low << (8 - bits)) as i8) >> (8 - bits)
}
