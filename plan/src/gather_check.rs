//! Walks a layer of the gather unit as its program says and compares the place of every element that counts,
//! and of the word that it goes to, with where they belong.

use crate::error::PlanError;
use crate::gather::Gather;
use crate::hwplan::HwPlan;
use crate::verify::fail;

/// Checks layer `index`, if it is one.
pub fn check(plan: &HwPlan, index: usize) -> Result<(), PlanError> {
    let layer = &plan.layers.layers[index];
    let Some(gather) = layer.gather() else {
        return Ok(());
    };
    let program = &plan.program[index];
    let counts = program.vector("gather_counts_m1");
    let tails = ["gather_tail_0", "gather_tail_1"].map(|name| program.value(name));
    let mut unit = Unit::start(plan, index);
    let mut count = [0i64; 4];
    loop {
        let at_end = |l: usize| count[l] == counts[l];
        let counted = (!at_end(2) || count[0] < tails[0]) && (!at_end(3) || count[1] < tails[1]);
        let place = expected(plan, index, gather, count.map(|c| c as usize));
        if counted != place.is_some() || place.is_some_and(|place| place != unit.place()) {
            return fail(format!(
                "layer {index} gathers {:?} at {count:?}, wanted {place:?}",
                unit.place()
            ));
        }
        let Some(next) = (0..4).find(|&l| !at_end(l)) else {
            return Ok(());
        };
        count[next] += 1;
        count[..next].fill(0);
        unit.advance(plan, index, next);
    }
}

/// Bank, word and byte of the element; bank and word of the target.
type Place = ([i64; 3], [i64; 2]);

/// Where an element and its word belong; `None` where there is no such element.
fn expected(
    plan: &HwPlan,
    index: usize,
    gather: &Gather,
    [inner, second, third, outer]: [usize; 4],
) -> Option<Place> {
    let layer = &plan.layers.layers[index];
    let shape = &plan.shape;
    let input = &plan.placements[layer.input.storage.0];
    let mut at = [0; 3];
    let to = match *gather {
        Gather::Transposed(order) => {
            let output = [outer, second, third * shape.word + inner];
            for (&from, place) in order.iter().zip(output) {
                at[from] = place;
            }
            if output[2] >= layer.output.hwc[2] {
                return None;
            }
            let target = &plan.placements[layer.output.storage.0];
            let (bank, word, _) = target.locate(shape, &layer.output, output);
            [bank as i64, word as i64]
        }
        Gather::Weights(weights) => {
            let (channel, depth) = (outer * shape.oc + second, third * shape.ic + inner);
            [at[weights.dims[0]], at[weights.dims[1]]] = [channel, depth];
            if channel >= layer.input.hwc[weights.dims[0]]
                || depth >= layer.input.hwc[weights.dims[1]]
            {
                return None;
            }
            let (dot, product) = (plan.layers.layers.iter().enumerate()).find_map(|(i, l)| {
                l.computed()
                    .filter(|d| d.slot == weights.slot)
                    .map(|d| (i, d))
            })?;
            let chunks = plan.program[dot].loops.chunks;
            let [rows, columns] = product.window.kernel;
            let position = (outer * rows + weights.row) * columns + weights.part;
            let base = plan.program[dot].value("weight_base") / plan.weight_parts as i64;
            [0, base + (position * chunks + third) as i64]
        }
    };
    let (bank, word, byte) = input.locate(shape, &layer.input, at);
    Some(([bank as i64, word as i64, byte as i64], to))
}

/// The positions of the loops.
struct Unit {
    from: [[i64; 3]; 4],
    to: [[i64; 2]; 4],
    target: usize,
}

impl Unit {
    fn start(plan: &HwPlan, index: usize) -> Self {
        let v = |name: &str| plan.program[index].value(name);
        let from = ["gather_from_rem", "gather_from_quot", "gather_from_lane"].map(v);
        Unit {
            from: [from; 4],
            to: [["gather_to_rem", "gather_to_quot"].map(v); 4],
            target: plan.widths.target,
        }
    }

    fn place(&self) -> Place {
        (self.from[0], self.to[1])
    }

    fn advance(&mut self, plan: &HwPlan, index: usize, level: usize) {
        let program = &plan.program[index];
        let (p, word) = (plan.shape.p as i64, plan.shape.word as i64);
        let step = |name: &str, l: usize| program.vector(name)[l];
        let [rem, quot, lane] = self.from[level];
        let (rem, lane) = (
            rem + step("gather_step_rem", level),
            lane + step("gather_step_lane", level),
        );
        let over = |value: i64, of: i64| i64::from(value >= of);
        let planes = over(lane, word) * program.value("in_plane");
        let quot = quot + step("gather_step_quot", level) + over(rem, p) + planes;
        let next = [
            rem - over(rem, p) * p,
            quot.rem_euclid(1 << plan.widths.address),
            lane - over(lane, word) * word,
        ];
        self.from[..=level].fill(next);
        if level > 0 {
            let [rem, quot] = self.to[level];
            let rem = rem + step("gather_to_step_rem", level - 1);
            let quot = quot + step("gather_to_step_quot", level - 1) + over(rem, p);
            let next = [rem - over(rem, p) * p, quot.rem_euclid(1 << self.target)];
            self.to[..=level].fill(next);
        }
    }
}
