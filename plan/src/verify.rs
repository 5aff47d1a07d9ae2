//! The plan's own check, run on every plan: no two lanes meet in a bank, no two live tensors
//! overlap, every value fits its field, every address lies in its memory.

use crate::error::PlanError;
use crate::hwplan::HwPlan;
use macforge_quant::QGraph;

/// Checks the whole plan.
pub fn verify(graph: &QGraph, plan: &HwPlan) -> Result<(), PlanError> {
    fields(plan)?;
    placements(plan)?;
    for index in 0..plan.layers.layers.len() {
        banks(graph, plan, index)?;
    }
    Ok(())
}

fn fail(text: String) -> Result<(), PlanError> {
    Err(PlanError::Verify(text))
}

/// Unsigned fields hold their values; address-like fields may wrap below zero (they are added
/// modulo the address width) but never above.
fn fields(plan: &HwPlan) -> Result<(), PlanError> {
    for (index, layer) in plan.program.iter().enumerate() {
        for field in &layer.fields {
            let bits = (field.width / field.values.len()) as u32;
            let (lo, hi) = (-(1i64 << (bits - 1)), 1i64 << bits);
            let hi = if field.signed { hi / 2 } else { hi };
            let lo = if bits == 1 { 0 } else { lo };
            if let Some(value) = field.values.iter().find(|v| **v < lo || **v >= hi) {
                return fail(format!(
                    "layer {index}: {} = {value} does not fit {bits} bits",
                    field.name
                ));
            }
        }
    }
    Ok(())
}

fn placements(plan: &HwPlan) -> Result<(), PlanError> {
    let all: Vec<_> = plan.placements.values().collect();
    for (i, a) in all.iter().enumerate() {
        if a.base + a.size() > plan.act_depth {
            return fail(format!("{:?} ends beyond the buffer", a.storage.tensor));
        }
        for b in &all[i + 1..] {
            let together = a.live.0.max(b.live.0) < a.live.1.min(b.live.1)
                || (a.live.0.max(b.live.0) == a.live.1.min(b.live.1) && !in_place(plan, a, b));
            let overlap = a.base < b.base + b.size() && b.base < a.base + a.size();
            if a.buffer == b.buffer && together && overlap {
                return fail(format!(
                    "{:?} and {:?} overlap while both are live",
                    a.storage.tensor, b.storage.tensor
                ));
            }
        }
    }
    Ok(())
}

/// One of the two is the residual that the other one replaces, in the same geometry.
fn in_place(plan: &HwPlan, a: &crate::Placement, b: &crate::Placement) -> bool {
    plan.layers.layers.iter().any(|l| {
        l.residual.as_ref().is_some_and(|r| {
            (r.tensor, l.output) == (a.storage.tensor, b.storage.tensor)
                || (r.tensor, l.output) == (b.storage.tensor, a.storage.tensor)
        })
    }) && (a.base, a.storage.pitch, a.storage.plane) == (b.base, b.storage.pitch, b.storage.plane)
}

/// Walks every pixel group of a layer as the lanes do and compares bank and address of each lane
/// with the place where the element lies.
fn banks(graph: &QGraph, plan: &HwPlan, index: usize) -> Result<(), PlanError> {
    let layer = &plan.layers.layers[index];
    if layer.is_softmax() {
        return Ok(());
    }
    let p = plan.shape.p;
    let view = &plan.layout.views[index];
    let [sy, sx] = view.window.stride;
    let [rows, columns, _] = graph.tensor(layer.output).hwc();
    let we = view.enum_cols;
    for first in (0..rows * we).step_by(p) {
        let mut taken = vec![false; p];
        for lane in 0..p {
            let pixel = first + lane;
            let bank = (sx * lane) % p;
            if std::mem::replace(&mut taken[bank], true) {
                return fail(format!("layer {index}: two lanes in bank {bank}"));
            }
            let (oy, ox) = (pixel / we, pixel % we);
            let written = oy < rows && ox < columns;
            let place = (oy * sy * view.pitch + ox * sx) % p;
            if written && place != bank {
                return fail(format!(
                    "layer {index}: output ({oy}, {ox}) lies in bank {place}, its lane reads {bank}"
                ));
            }
        }
    }
    Ok(())
}
