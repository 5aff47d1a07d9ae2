//! The plan's own check, run on every plan: no two lanes meet in a bank, every value fits its field,
//! every address lies in its memory, every step gets its weights, and what is read was written and is still
//! there (see [`crate::coverage`]).

use crate::allocate::MEMORY;
use crate::coverage;
use crate::error::PlanError;
use crate::gather_check;
use crate::hwplan::HwPlan;
use crate::layers::LayerKind;
use crate::program::LayerProgram;
use crate::resources::LstmSize;
use crate::stream::StreamedLayer;
use crate::weight_check;

/// Checks the whole plan.
pub fn verify(plan: &HwPlan) -> Result<(), PlanError> {
    fields(plan)?;
    placements(plan)?;
    recurrent_words(plan)?;
    regions(plan)?;
    unit_constants(plan)?;
    for index in 0..plan.layers.layers.len() {
        banks(plan, index)?;
        gather_check::check(plan, index)?;
        weight_check::check(plan, index)?;
    }
    coverage::check(plan)
}

pub fn fail(text: String) -> Result<(), PlanError> {
    Err(PlanError::Verify(text))
}

/// Every value fits its field; coordinates are two's complement.
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
    for (i, a) in plan.placements.iter().enumerate() {
        if a.buffer != MEMORY && a.base + a.size() > plan.act_depths[a.buffer] {
            let name = &plan.layers.areas[i].name;
            return fail(format!("`{name}` ends beyond the buffer"));
        }
    }
    Ok(())
}

/// The number in each program word is that of the layer's own constants.
fn unit_constants(plan: &HwPlan) -> Result<(), PlanError> {
    let layers = &plan.layers.layers;
    for (layer, program) in layers.iter().zip(&plan.program) {
        let known = match layer.kind {
            LayerKind::Softmax(_) => &plan.units.softmax,
            LayerKind::Lstm(_) => &plan.units.lstm,
            LayerKind::Attention(_) => &plan.units.attention,
            _ => continue,
        };
        let number = match plan.widths.constants {
            0 => 0,
            _ => program.value("constants") as usize,
        };
        let own = known.get(number).map(|&first| &layers[first].kind);
        if own != Some(&layer.kind) {
            return fail(format!(
                "`{}` runs with other constants than its own",
                layer.name
            ));
        }
    }
    Ok(())
}

/// Where the LSTM unit's weights come from memory, a word of the stream has all the words of the unit that are
/// taken from it, and every step brings all of them.
fn recurrent_words(plan: &HwPlan) -> Result<(), PlanError> {
    let Some(size) = plan.features.lstm else {
        return Ok(());
    };
    let Some(parts) = size.parts else {
        return Ok(());
    };
    let Some(stream) = &plan.stream else {
        return fail("the LSTM unit takes its weights from a stream that is not there".into());
    };
    let (ring, part) = (
        plan.shape.oc * plan.shape.ic,
        LstmSize::GATES * size.parallel,
    );
    if parts == 0 || parts * part > ring {
        return fail(format!(
            "{parts} words of {part} weights do not fit one of {ring}"
        ));
    }
    for (layer, streamed) in plan.layers.layers.iter().zip(&stream.layers) {
        let Some(lstm) = layer.lstm() else { continue };
        let [words, _] = size.words();
        if streamed.tiles != lstm.length || streamed.words != words.div_ceil(parts) {
            return fail(format!(
                "`{}` takes {words} weight words in each of {} steps, the stream has {} x {} of {parts}",
                layer.name, lstm.length, streamed.tiles, streamed.words
            ));
        }
    }
    Ok(())
}

/// Every inference reads words through every port, and all that it reads belongs to its set: this is what
/// `axi_reader` relies on when it waits at the end of a region.
fn regions(plan: &HwPlan) -> Result<(), PlanError> {
    let Some(stream) = &plan.stream else {
        return Ok(());
    };
    let all: usize = stream.layers.iter().map(StreamedLayer::all_words).sum();
    if stream.slices.contains(&0) || !stream.serves_all() {
        return fail("an inference without weights in a design that waits for some".into());
    }
    let read: usize = (0..stream.sets.len()).map(|set| stream.words(set)).sum();
    if stream.sets.len() != plan.layers.sets.len() || read != all {
        return fail("weights in memory that no inference reads".into());
    }
    Ok(())
}

/// One pixel lane, advanced by the program's fields as the hardware does.
#[derive(Clone, Copy)]
struct Lane {
    quot: i64,
    y: i64,
    x: i64,
    rem: i64,
}

impl Lane {
    fn start(program: &LayerProgram, lane: usize) -> Self {
        let at = |name: &str| program.vector(name)[lane];
        Lane {
            quot: at("lane_quot"),
            y: at("lane_y"),
            x: at("lane_x"),
            rem: at("lane_rem"),
        }
    }

    fn advance(&mut self, program: &LayerProgram) {
        let v = |name: &str| program.value(name);
        self.x += v("adv_x");
        let wrap = self.x >= v("limit_x");
        if wrap {
            self.x -= v("wrap_x");
        }
        self.y += v(if wrap { "adv_y_wrap" } else { "adv_y" });
        self.quot += v(if wrap { "adv_quot_wrap" } else { "adv_quot" });
    }
}

/// Walks every pixel group and kernel position of a layer as the program says and compares bank
/// and address of each lane with the place where the element lies.
fn banks(plan: &HwPlan, index: usize) -> Result<(), PlanError> {
    let layer = &plan.layers.layers[index];
    if layer.is_unit() {
        return Ok(());
    }
    let program = &plan.program[index];
    let view = &plan.layout.views[index];
    let [rows, columns, _] = layer.output.hwc;
    let mut lanes: Vec<Lane> = (0..plan.shape.p).map(|i| Lane::start(program, i)).collect();
    for first in (0..rows * view.enum_cols).step_by(plan.shape.p) {
        for (i, lane) in lanes.iter_mut().enumerate() {
            let (oy, ox) = ((first + i) / view.enum_cols, (first + i) % view.enum_cols);
            if oy < rows && (ox < columns || view.reduce) {
                lane_reads(plan, index, lane, [oy, ox])?;
            }
            lane.advance(program);
        }
        let mut taken: Vec<i64> = lanes.iter().map(|l| l.rem).collect();
        taken.sort_unstable();
        taken.dedup();
        if taken.len() != plan.shape.p {
            return fail(format!("layer {index}: two lanes share a bank"));
        }
    }
    Ok(())
}

/// All kernel positions of one lane at one output pixel.
fn lane_reads(plan: &HwPlan, index: usize, lane: &Lane, out: [usize; 2]) -> Result<(), PlanError> {
    let program = &plan.program[index];
    let view = &plan.layout.views[index];
    let input = &plan.layers.layers[index].input;
    let placement = &plan.placements[input.storage.0];
    let word = input.channel / plan.shape.word;
    let base = (placement.base + word * placement.storage.plane) as i64;
    let [row, column] = view.distance.map(|d| d as i64);
    let p = plan.shape.p as i64;
    let v = |name: &str| program.value(name);
    let (mut quot, mut rem) = (v("kernel_quot"), v("kernel_rem"));
    let [kernel_h, kernel_w] = view.window.kernel;
    for ky in 0..kernel_h {
        for kx in 0..kernel_w {
            let (y, x) = (
                lane.y + (ky * view.window.dilation[0]) as i64,
                lane.x + (kx * view.window.dilation[1]) as i64,
            );
            let wanted = [0, 1].map(|axis| {
                (out[axis] * view.window.stride[axis] + [ky, kx][axis] * view.window.dilation[axis])
                    as i64
                    - view.window.pad[axis] as i64
            });
            let inside =
                (0..view.in_hw[0] as i64).contains(&y) && (0..view.in_hw[1] as i64).contains(&x);
            let flat = view.start as i64 + y * row + x * column;
            let carry = i64::from(lane.rem + rem >= p);
            let bank = lane.rem + rem - carry * p;
            let address = (lane.quot + quot + carry).rem_euclid(1 << plan.widths.address);
            let place = (flat.rem_euclid(p), base + flat.div_euclid(p));
            if [y, x] != wanted || (inside && (bank, address) != place) {
                return fail(format!(
                    "layer {index}, output {out:?}, kernel ({ky}, {kx}): reads bank {bank} word \
                     {address} for ({y}, {x}), which lies in {place:?}; wanted {wanted:?}"
                ));
            }
            let step = if kx + 1 == kernel_w {
                "step_y"
            } else {
                "step_x"
            };
            rem += v(&format!("{step}_rem"));
            quot += v(&format!("{step}_quot")) + i64::from(rem >= p);
            rem -= if rem >= p { p } else { 0 };
        }
    }
    Ok(())
}
