//! What the layers write and read: the drain walks exactly the pixels of its region, no element is
//! written twice in an inference, nothing is read that was not written or has been overwritten by
//! another area, and no layer writes over what it still reads.

use crate::allocate::MEMORY;
use crate::error::PlanError;
use crate::hwplan::HwPlan;
use crate::layers::HwLayer;
use crate::program::LayerProgram;
use crate::region::{Region, StorageId};
use crate::verify::fail;
use std::ops::Range;

/// What lies in the activation buffers.
struct Memory<'a> {
    plan: &'a HwPlan,
    /// By area, word and pixel: it was written.
    written: Vec<Vec<Vec<bool>>>,
    /// By buffer (the memory is the last one), address and bank: the area whose value lies there, and the layer
    /// that read it last as its input and as its residual.
    cells: [Vec<Cell>; 3],
}

#[derive(Clone, Copy, Default)]
struct Cell {
    area: Option<StorageId>,
    input_of: Option<usize>,
    residual_of: Option<usize>,
}

/// Checks the layers of every set in order, those that restore the states before them.
pub fn check(plan: &HwPlan) -> Result<(), PlanError> {
    let mut sets = plan.layers.sets.iter();
    sets.try_for_each(|set| check_set(plan, set.clone()))
}

fn check_set(plan: &HwPlan, set: Range<usize>) -> Result<(), PlanError> {
    let in_memory = plan.placements.iter().filter(|p| p.buffer == MEMORY);
    let [first, second] = plan.act_depths;
    let memory = in_memory.map(|p| p.base + p.size()).max().unwrap_or(0);
    let cells = [first, second, memory].map(|depth| vec![Cell::default(); depth * plan.shape.p]);
    let written = (plan.placements.iter())
        .map(|p| vec![vec![false; p.storage.hwc[0] * p.storage.pitch]; p.storage.words])
        .collect();
    let mut memory = Memory {
        plan,
        written,
        cells,
    };
    for port in &plan.layers.inputs {
        memory.write(&port.region, None)?;
    }
    let resets = plan.layers.reset_layers;
    for (index, layer) in (0..resets).chain(set).map(|i| (i, &plan.layers.layers[i])) {
        let fills = index < resets;
        aligned(plan, index, layer)?;
        if !fills {
            memory.read(&layer.input, &layer.name, |cell| {
                cell.input_of = Some(index);
            })?;
        }
        if let Some(residual) = layer.residual() {
            memory.read(residual, &layer.name, |cell| {
                cell.residual_of = Some(index);
            })?;
        }
        if !layer.is_unit() {
            walk(plan, index, layer)?;
        }
        memory.write(&layer.output, Some((index, layer)))?;
    }
    for port in &plan.layers.outputs {
        memory.read(&port.region, "the output", |_| ())?;
    }
    for (area, _) in (plan.layers.areas.iter().enumerate()).filter(|(_, a)| a.keeps) {
        let area = StorageId(area);
        memory.kept(area)?;
    }
    Ok(())
}

impl Memory<'_> {
    /// Buffer and cell of a word of a pixel.
    fn cell(&mut self, area: StorageId, (word, pixel): (usize, usize)) -> Option<&mut Cell> {
        let placement = &self.plan.placements[area.0];
        let p = self.plan.shape.p;
        let address = placement.base + word * placement.storage.plane + pixel / p;
        self.cells[placement.buffer].get_mut(address * p + pixel % p)
    }

    /// Every word of the region was written and has not been overwritten.
    fn read(
        &mut self,
        region: &Region,
        who: &str,
        mark: impl Fn(&mut Cell),
    ) -> Result<(), PlanError> {
        let region = &self
            .plan
            .input_mode
            .stored_region(&self.plan.layers, region);
        let area = region.storage;
        for (word, pixel) in places(self.plan, region) {
            let place = self.written[area.0].get(word).and_then(|w| w.get(pixel));
            let known = place.copied().unwrap_or(false);
            let name = &self.plan.layers.areas[area.0].name;
            match self.cell(area, (word, pixel)) {
                Some(cell) if known && cell.area == Some(area) => mark(cell),
                _ => {
                    let what = if known {
                        "has been overwritten"
                    } else {
                        "nothing has written"
                    };
                    return fail(format!(
                        "{who} reads word {word} of pixel {pixel} of `{name}`, which {what}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// No word is written twice in an inference, or over what the same layer still reads.
    fn write(&mut self, region: &Region, by: Option<(usize, &HwLayer)>) -> Result<(), PlanError> {
        let region = &self
            .plan
            .input_mode
            .stored_region(&self.plan.layers, region);
        let area = region.storage;
        let name = by.map_or("the input", |(_, layer)| &layer.name);
        // a result may replace its residual, pixel by pixel
        let replaces = by.and_then(|(_, layer)| layer.residual()).is_some_and(|r| {
            let [from, to] = [r.storage, area].map(|a| &self.plan.placements[a.0]);
            (from.base, &from.storage) == (to.base, &to.storage)
        });
        for (word, pixel) in places(self.plan, region) {
            let keeps = self.plan.layers.areas[area.0].keeps;
            let place = &mut self.written[area.0][word][pixel];
            if *place && !keeps {
                return fail(format!("{name} overwrites word {word} of pixel {pixel}"));
            }
            *place = true;
            let Some(cell) = self.cell(area, (word, pixel)) else {
                return fail(format!("{name} writes beyond the buffer"));
            };
            let index = by.map(|(index, _)| index);
            let reads = (cell.input_of == index && index.is_some())
                || (cell.residual_of == index && index.is_some() && !replaces);
            if reads && cell.area != Some(area) {
                return fail(format!("{name} writes over what it still reads"));
            }
            *cell = Cell {
                area: Some(area),
                ..Cell::default()
            };
        }
        Ok(())
    }

    /// A state is still there when the next inference begins.
    fn kept(&mut self, area: StorageId) -> Result<(), PlanError> {
        let written = &self.written[area.0];
        let places: Vec<(usize, usize)> = (written.iter().enumerate())
            .flat_map(|(word, pixels)| (0..pixels.len()).map(move |pixel| (word, pixel)))
            .filter(|&(word, pixel)| written[word][pixel])
            .collect();
        for place in places {
            if self.cell(area, place).is_none_or(|c| c.area != Some(area)) {
                let name = &self.plan.layers.areas[area.0].name;
                return fail(format!("the state `{name}` does not outlive an inference"));
            }
        }
        Ok(())
    }
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

/// Only dot array and gather unit can begin within a word.
fn aligned(plan: &HwPlan, index: usize, layer: &HwLayer) -> Result<(), PlanError> {
    let begins = |r: &Region| r.channel.is_multiple_of(plan.shape.word);
    let input = layer.is_dot() || layer.gather().is_some() || begins(&layer.input);
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
