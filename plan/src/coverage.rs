//! What the layers write and read, area by area: the drain walks exactly the pixels of its region,
//! no element is written twice in an inference, and nothing is read that was not written.

use crate::error::PlanError;
use crate::hwplan::HwPlan;
use crate::input::InputMode;
use crate::layers::HwLayer;
use crate::program::LayerProgram;
use crate::region::Region;
use crate::verify::fail;

/// Which words of an area hold a value, by word and pixel.
type Written = Vec<Vec<bool>>;

/// Checks all layers in order.
pub fn check(plan: &HwPlan) -> Result<(), PlanError> {
    let mut written: Vec<Written> = (plan.placements.iter())
        .map(|p| vec![vec![false; p.storage.hwc[0] * p.storage.pitch]; p.storage.words])
        .collect();
    for port in &plan.layers.inputs {
        let whole = match plan.input_mode {
            InputMode::Direct => port.region.clone(),
            InputMode::Folded { .. } => stored_whole(plan, &port.region),
        };
        for (word, pixel) in places(plan, &whole) {
            written[port.region.storage.0][word][pixel] = true;
        }
    }
    for (index, layer) in plan.layers.layers.iter().enumerate() {
        let fills = index < plan.layers.reset_layers;
        aligned(plan, index, layer)?;
        for region in layer
            .residual()
            .into_iter()
            .chain((!fills).then_some(&layer.input))
        {
            read(plan, &written, region, &layer.name)?;
        }
        if !layer.is_unit() {
            walk(plan, index, layer)?;
        }
        let keeps = plan.layers.areas[layer.output.storage.0].keeps;
        for (word, pixel) in places(plan, &layer.output) {
            let place = &mut written[layer.output.storage.0][word][pixel];
            if *place && !keeps {
                let name = &layer.name;
                return fail(format!("{name} overwrites word {word} of pixel {pixel}"));
            }
            *place = true;
        }
    }
    for port in &plan.layers.outputs {
        read(plan, &written, &port.region, "the output")?;
    }
    Ok(())
}

/// The whole folded input.
fn stored_whole(plan: &HwPlan, region: &Region) -> Region {
    Region::whole(region.storage, plan.layout.storage(region.storage).hwc)
}

/// Word and pixel of every word that holds a part of the region.
fn places(plan: &HwPlan, region: &Region) -> Vec<(usize, usize)> {
    let [h, w, c] = region.hwc;
    let pitch = plan.placements[region.storage.0].storage.pitch;
    let word = plan.shape.word;
    let words = region.channel / word..(region.channel + c).div_ceil(word);
    let pixels: Vec<usize> = (0..h * w)
        .map(|i| region.flat(pitch, i / w, i % w))
        .collect();
    words
        .flat_map(|word| pixels.iter().map(move |&pixel| (word, pixel)))
        .collect()
}

fn read(plan: &HwPlan, written: &[Written], region: &Region, who: &str) -> Result<(), PlanError> {
    let area = region.storage.0;
    let unknown = |&(word, pixel): &(usize, usize)| {
        let place = written[area].get(word).and_then(|w| w.get(pixel));
        !place.copied().unwrap_or(false)
    };
    let folded = matches!(plan.input_mode, InputMode::Folded { .. })
        && plan.layers.inputs[0].region.storage == region.storage;
    let region = if folded {
        &stored_whole(plan, region)
    } else {
        region
    };
    match places(plan, region).iter().find(|p| unknown(p)) {
        None => Ok(()),
        Some((word, pixel)) => fail(format!(
            "{who} reads word {word} of pixel {pixel} of `{}`, which nothing has written",
            plan.layers.areas[area].name
        )),
    }
}

/// Only the dot array can begin within a word.
fn aligned(plan: &HwPlan, index: usize, layer: &HwLayer) -> Result<(), PlanError> {
    let begins = |r: &Region| r.channel.is_multiple_of(plan.shape.word);
    let input = layer.is_dot() || begins(&layer.input);
    if input && begins(&layer.output) && layer.residual().is_none_or(begins) {
        return Ok(());
    }
    fail(format!(
        "layer {index} ({}) begins within an activation word",
        layer.name
    ))
}

/// Walks the output pixels as the drain does, compares each place with the region's, and checks that no
/// two pixels of one pass go to the same bank.
fn walk(plan: &HwPlan, index: usize, layer: &HwLayer) -> Result<(), PlanError> {
    let program = &plan.program[index];
    let v = |name: &str| program.value(name);
    let [h, w, _] = layer.output.hwc;
    let placement = &plan.placements[layer.output.storage.0];
    let mut units: Vec<Unit> = (0..plan.shape.drained)
        .map(|i| Unit::start(program, i))
        .collect();
    let mut seen = 0;
    for first in (0..v("pixels")).step_by(plan.shape.drained) {
        let row_of_first = units[0].row;
        let mut taken: Vec<(i64, i64)> = Vec::new();
        for (i, unit) in (0i64..).zip(&mut units) {
            if first + i < v("pixels") && unit.col < v("out_cols") {
                let at = [seen / w, seen % w, 0];
                let address = (v("out_base") + unit.quot).rem_euclid(1 << plan.widths.address);
                let (bank, word, _) = placement.locate(&plan.shape, &layer.output, at);
                if seen >= h * w || (unit.rem, address) != (bank as i64, word as i64) {
                    return fail(format!(
                        "layer {index} writes pixel {at:?} to bank {} word {address}, not to bank \
                         {bank} word {word}",
                        unit.rem
                    ));
                }
                let pass = match (v("pass_of_pixel"), v("pass_of_row")) {
                    (1, _) => i,
                    (_, 1) => (unit.row - row_of_first).rem_euclid(16),
                    _ => 0,
                };
                if pass > v("passes_m1") || taken.contains(&(pass, unit.rem)) {
                    return fail(format!("layer {index} writes pixel {at:?} out of turn"));
                }
                taken.push((pass, unit.rem));
                seen += 1;
            }
            unit.advance(program, plan.shape.p as i64);
        }
    }
    if seen != h * w {
        return fail(format!("layer {index} writes {seen} of {} pixels", h * w));
    }
    Ok(())
}

/// One of the drained pixels, advanced by the program's fields as the hardware does.
struct Unit {
    quot: i64,
    rem: i64,
    col: i64,
    row: i64,
}

impl Unit {
    fn start(program: &LayerProgram, unit: usize) -> Self {
        let at = |name: &str| program.vector(name)[unit];
        Unit {
            quot: at("unit_quot"),
            rem: at("unit_rem"),
            col: at("unit_col"),
            row: at("unit_row"),
        }
    }

    fn advance(&mut self, program: &LayerProgram, p: i64) {
        let v = |name: &str| program.value(name);
        self.col += v("unit_adv_col");
        self.row += v("unit_adv_row");
        let (mut quot, mut rem) = ("unit_adv_quot", "unit_adv_rem");
        if self.col >= v("enum_cols") {
            self.col -= v("enum_cols");
            self.row += 1;
            (quot, rem) = ("unit_wrap_quot", "unit_wrap_rem");
        }
        self.rem += v(rem);
        self.quot += v(quot) + i64::from(self.rem >= p);
        self.rem -= if self.rem >= p { p } else { 0 };
    }
}
