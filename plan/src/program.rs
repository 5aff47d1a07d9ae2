//! Pass 7: the sequencer's program, one word per layer. The field list is the single source of the
//! word's format: codegen prints the field slices of the top module from it.

use crate::activation_memory::ActivationMemory;
use crate::bits::{BitWord, unsigned_bits};
use crate::gather::{self, Gather, WeightPlace};
use crate::layers::{HwLayer, LayerKind, Residual};
use crate::layout::{Layout, Placement, View};
use crate::loops::Loops;
use crate::memories::Words;
use crate::narrow;
use crate::params;
use crate::region::{Distance, Region};
use crate::resources::Features;
use crate::shape::{Packing, Shape};
use crate::stream::WeightStream;
use crate::turns::Turns;
use crate::units::Units;
use crate::wide::Byte;
use macforge_numeric::quad_packing;

/// Bits in which the drain tells the rows of a group, and counts its passes.
const ROW_BITS: usize = 4;

/// Widths of the program's fields, derived from the largest value of each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Widths {
    /// Activation address.
    pub address: usize,
    /// Bank index.
    pub bank: usize,
    /// Coordinate, signed.
    pub coordinate: usize,
    /// Loop counters.
    pub counter: usize,
    /// Enumerated pixels of a layer.
    pub pixels: usize,
    /// Weight address.
    pub weight: usize,
    /// Part of a weight word; 0 where words have one part.
    pub weight_part: usize,
    /// Parameter address.
    pub param: usize,
    /// Table index.
    pub table: usize,
    /// Number of the constants of a layer's unit; 0 where every unit has one set of them.
    pub constants: usize,
    /// Channel within an activation word.
    pub lane: usize,
    /// What the gather unit writes to: activation or weight address.
    pub target: usize,
    /// Bursts of the activations in memory.
    pub bursts: usize,
}

/// A field of the program word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name, as in the top module (`f_<name>`).
    pub name: &'static str,
    /// Bits; a vector field holds P values of `width / P` bits, lane 0 lowest.
    pub width: usize,
    /// First bit in the word.
    pub offset: usize,
    /// Declared signed in Verilog.
    pub signed: bool,
    /// Values, one per lane for vector fields.
    pub values: Vec<i64>,
}

/// One layer of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerProgram {
    /// Fields in word order; the same names, widths and offsets in every layer.
    pub fields: Vec<Field>,
    /// Loop bounds.
    pub loops: Loops,
    /// Cycles that the drain needs for a pixel group.
    pub drain_cycles: usize,
}

impl LayerProgram {
    /// The program word.
    pub fn word(&self) -> BitWord {
        let mut word = BitWord::default();
        for field in &self.fields {
            let each = field.width / field.values.len();
            for &value in &field.values {
                word.push(value, each);
            }
        }
        word
    }

    /// Value of a scalar field.
    ///
    /// # Panics
    /// There is no such field.
    pub fn value(&self, name: &str) -> i64 {
        self.vector(name)[0]
    }

    /// Values of a field, one per lane for vector fields.
    ///
    /// # Panics
    /// There is no such field.
    pub fn vector(&self, name: &str) -> &[i64] {
        let field = self.fields.iter().find(|f| f.name == name);
        &field.expect("the program has this field").values
    }
}

/// Everything that the program of one layer depends on.
pub struct Context<'a> {
    /// Engine shape.
    pub shape: &'a Shape,
    /// Rows and pitches.
    pub layout: &'a Layout,
    /// Loop bounds of each layer.
    pub loops: &'a [Loops],
    /// Addresses.
    pub placements: &'a [Placement],
    /// First weight word of each layer.
    pub weight_bases: &'a [usize],
    /// Parts of a weight word that have addresses of their own.
    pub weight_parts: usize,
    /// First parameter word of each layer.
    pub param_bases: &'a [usize],
    /// Constants of each layer's channels.
    pub constants: &'a [Vec<params::ChannelConstants>],
    /// Optional blocks.
    pub features: Features,
    /// Weights that layers write.
    pub computed: &'a [WeightPlace],
    /// Constants of the units.
    pub units: &'a Units,
    /// How weights come from memory.
    pub stream: Option<&'a WeightStream>,
    /// Where activations in memory lie.
    pub memory: Option<&'a ActivationMemory>,
}

/// Widths that hold every value of every layer.
pub fn widths(
    cx: &Context,
    layers: &[HwLayer],
    (weight_words, words): (usize, Words),
    tables: usize,
) -> Widths {
    let deepest = words.activations[0].max(words.activations[1]);
    let mut counter = 1;
    let mut coordinate = 1;
    let mut pixels = 1;
    for ((index, l), layer) in cx.loops.iter().enumerate().zip(layers) {
        let View {
            window,
            in_hw: [h, w],
            enum_cols: we,
            ..
        } = cx.layout.views[index];
        let [rows, columns, _] = layer.output.hwc;
        let steps_over = cx.shape.p / we + 2;
        let bottom = (rows + steps_over) * window.stride[0] + window.kernel[0] * window.dilation[0];
        let right = 2 * we * window.stride[1]
            + cx.shape.p * window.stride[1]
            + window.kernel[1] * window.dilation[1];
        coordinate = coordinate.max(h).max(w).max(columns).max(bottom).max(right);
        let hold = l.drain_cycles(cx.shape);
        counter = [
            l.tiles,
            l.groups,
            l.kernel[0],
            l.kernel[1],
            l.chunks,
            l.drain_groups,
            hold,
            cx.shape.oc.max(cx.shape.word),
        ]
        .into_iter()
        .fold(counter, usize::max);
        if let Some(walk) = gather::walk(cx, layer) {
            counter = walk.counts.into_iter().fold(counter, usize::max);
        }
        if let Some([region, _]) = layer.transfer() {
            let storage = cx.layout.storage(region.storage);
            counter = (counter.max(storage.hwc[0]).max(storage.hwc[1])).max(storage.words);
        }
        pixels = pixels.max(rows * we);
    }
    let weight = unsigned_bits(weight_words.max(1) - 1);
    let address = unsigned_bits(deepest - 1);
    let param_index = (cx.stream).map_or(1, |s| unsigned_bits(s.param_slots - 1));
    Widths {
        // just enough to reach every word: addresses are added modulo the width, so what lies one
        // past the end (a plane as large as the buffer) may wrap to zero
        address,
        bank: unsigned_bits(cx.shape.p - 1),
        coordinate: unsigned_bits(coordinate) + 1,
        counter: unsigned_bits(counter),
        // wide enough for the index of a drained pixel
        pixels: unsigned_bits(pixels).max(ROW_BITS + 1),
        weight,
        weight_part: cx.weight_parts.trailing_zeros() as usize,
        lane: unsigned_bits(cx.shape.word - 1),
        target: address.max(if cx.features.computed { weight } else { 0 }),
        bursts: unsigned_bits(cx.memory.map_or(1, |memory| memory.bursts)),
        param: unsigned_bits(words.params.max(1) - 1).max(param_index),
        table: unsigned_bits(tables.max(1) - 1),
        constants: match cx.units.most() {
            1 => 0,
            most => unsigned_bits(most - 1),
        },
    }
}

/// Collects fields in word order.
struct Fields {
    fields: Vec<Field>,
    offset: usize,
}

impl Fields {
    fn add(&mut self, name: &'static str, width: usize, value: impl TryInto<i64>) {
        let value = value.try_into().ok().expect("a program value fits 64 bits");
        self.vector(name, width, vec![value], false);
    }

    /// Addresses are added modulo their width, so an offset below zero is a large number.
    fn address(&mut self, name: &'static str, width: usize, value: impl TryInto<i64>) {
        let value: i64 = value.try_into().ok().expect("an address fits 64 bits");
        self.vector(name, width, vec![value.rem_euclid(1 << width)], false);
    }

    fn signed(&mut self, name: &'static str, width: usize, value: impl Into<i64>) {
        self.vector(name, width, vec![value.into()], true);
    }

    fn vector(&mut self, name: &'static str, each: usize, values: Vec<i64>, signed: bool) {
        let width = each * values.len();
        self.fields.push(Field {
            name,
            width,
            offset: self.offset,
            signed,
            values,
        });
        self.offset += width;
    }
}

/// The program of layer `index`.
pub fn layer_program(cx: &Context, w: &Widths, index: usize, layer: &HwLayer) -> LayerProgram {
    let l = &cx.loops[index];
    let steps = l.steps();
    let drain_cycles = l.drain_cycles(cx.shape);
    let mut f = Fields {
        fields: Vec::new(),
        offset: 0,
    };
    f.add("channel_mode", 1, i64::from(layer.is_channel()));
    f.add("max_mode", 1, i64::from(layer.is_max()));
    f.add("weighted", 1, i64::from(layer.multiplies_channels()));
    if cx.features.product {
        f.add("product", 1, i64::from(layer.product().is_some()));
    }
    if cx.features.wraps {
        f.add("wrap", 1, i64::from(layer.wraps));
    }
    if cx.features.shifts {
        f.add("row_pairs", 1, i64::from(layer.wide.row_pairs));
        f.add("byte_passes", 1, i64::from(layer.form.bytes));
    }
    if cx.features.has_wide_lanes() {
        f.add("wide", 1, i64::from(layer.wide.rule));
    }
    if cx.features.halves {
        let half = match layer.wide.output {
            None => 0,
            Some(Byte::High) => 1,
            Some(Byte::Low) => 2,
        };
        f.add("half", 2, half);
    }
    f.add("shared_params", 1, i64::from(layer.weighted().is_none()));
    f.add("reduce", 1, i64::from(cx.layout.views[index].reduce));
    f.add("softmax", 1, i64::from(layer.is_softmax()));
    f.add("lstm", 1, i64::from(layer.lstm().is_some()));
    if cx.features.attention.is_some() {
        f.add("attention", 1, i64::from(layer.attention().is_some()));
    }
    if w.constants > 0 {
        f.add("constants", w.constants, cx.units.numbers[index]);
    }
    f.add("tiles_m1", w.counter, l.tiles - 1);
    f.add("groups_m1", w.counter, l.groups - 1);
    f.add("kernel_h_m1", w.counter, l.kernel[0] - 1);
    f.add("kernel_w_m1", w.counter, l.kernel[1] - 1);
    f.add("chunks_m1", w.counter, l.chunks - 1);
    f.add("two_passes", 1, i64::from(l.passes == 2));
    f.add("hold", w.counter, drain_cycles.saturating_sub(steps));
    if let Some(stream) = cx.stream.filter(|s| s.param_entries > 0) {
        f.add("param_words", w.counter, stream.layers[index].params);
    }
    f.add("drain_groups_m1", w.counter, l.drain_groups - 1);
    let turns = l.turns;
    f.add("passes_m1", ROW_BITS, turns.passes() - 1);
    let (by_pixel, by_row) = (
        matches!(turns, Turns::Single(_)),
        matches!(turns, Turns::Rows(_)),
    );
    f.add("pass_of_pixel", 1, i64::from(by_pixel));
    f.add("pass_of_row", 1, i64::from(by_row));
    let final_channels = layer.output.hwc[2] - (l.tiles - 1) * cx.shape.tile(layer);
    f.add("final_channels", w.counter, final_channels);
    input_fields(&mut f, cx, w, index, layer);
    lane_fields(&mut f, cx, w, index);
    output_fields(&mut f, cx, w, index, layer);
    residual_fields(&mut f, cx, w, index, layer);
    if cx.features.gather {
        gather_fields(&mut f, cx, w, layer);
    }
    if let Some(memory) = cx.memory {
        transfer_fields(&mut f, (cx, memory), w, layer);
    }
    LayerProgram {
        fields: f.fields,
        loops: l.clone(),
        drain_cycles,
    }
}

/// Address and place of a region's first pixel and channel.
struct Origin<'a> {
    placement: &'a Placement,
    /// Bank word of the first channel's word at pixel 0 of the storage.
    base: i64,
    /// First pixel.
    start: i64,
    /// Distance of two rows and of two columns in pixels.
    distance: [i64; 2],
}

impl<'a> Origin<'a> {
    fn new(cx: &Context<'a>, region: &Region) -> Self {
        let placement = &cx.placements[region.storage.0];
        let flat = |d: Distance| d.flat(placement.storage.pitch) as i64;
        let word = region.channel / cx.shape.word;
        Origin {
            placement,
            base: (placement.base + word * placement.storage.plane) as i64,
            start: flat(region.start),
            distance: [flat(region.row), flat(region.column)],
        }
    }
}

/// `value` as quotient and remainder by the number of banks; the remainder is never negative.
fn split(value: i64, p: usize) -> (i64, i64) {
    (value.div_euclid(p as i64), value.rem_euclid(p as i64))
}

fn input_fields(f: &mut Fields, cx: &Context, w: &Widths, index: usize, layer: &HwLayer) {
    let p = cx.shape.p;
    let view = &cx.layout.views[index];
    let origin = Origin::new(cx, &layer.input);
    let input = origin.placement;
    let in_hw = view.in_hw;
    let [row, column] = view.distance.map(|d| d as i64);
    let [dy, dx] = view.window.dilation.map(|d| d as i64);
    let [pt, pl] = view.window.pad.map(|p| p as i64);
    let (first_quot, first_rem) = split(view.start as i64 - (pt * row + pl * column), p);
    let (x_quot, x_rem) = split(dx * column, p);
    let back = (view.window.kernel[1] as i64 - 1) * dx * column;
    let (y_quot, y_rem) = split(dy * row - back, p);
    f.add("in_buffer", 1, input.buffer_bit());
    f.signed("pad_value", 8, layer.outside());
    if cx.shape.packing == Packing::Four {
        let invert = (layer.quad_form()).is_some_and(|form| quad_packing::inverts(form.offset));
        f.add("invert", 1, i64::from(invert));
    }
    f.address("in_plane", w.address, input.storage.plane);
    f.address("kernel_quot", w.address, origin.base + first_quot);
    f.add("kernel_rem", w.bank, first_rem);
    f.address("step_x_quot", w.address, x_quot);
    f.add("step_x_rem", w.bank, x_rem);
    f.address("step_y_quot", w.address, y_quot);
    f.add("step_y_rem", w.bank, y_rem);
    f.add("dilation_y", w.coordinate, dy);
    f.add("dilation_x", w.coordinate, dx);
    f.add("in_height", w.coordinate, in_hw[0]);
    f.add("in_width", w.coordinate, in_hw[1]);
    let parts = cx.weight_parts;
    let first = cx.weight_bases[index] * parts;
    f.address("weight_base", w.weight + w.weight_part, first);
    if parts > 1 {
        let step = parts / narrow::steps_per_word(layer.form.bits, parts);
        f.add("weight_step", w.weight_part + 1, step);
    }
}

/// Start and advance of the P pixel lanes; lane i follows pixels i, i+P, ...
fn lane_fields(f: &mut Fields, cx: &Context, w: &Widths, index: usize) {
    let p = cx.shape.p;
    let View {
        window,
        steps,
        enum_cols: we,
        ..
    } = cx.layout.views[index];
    // from one output row or column to the next: in coordinates of the input, and in pixels
    let [sy, sx] = window.stride.map(|s| s as i64);
    let [row, column] = steps.map(|s| s as i64);
    let [pt, pl] = window.pad.map(|v| v as i64);
    let (rows_on, cols_on) = ((p / we) as i64, (p % we) as i64);
    let lanes: Vec<(i64, i64)> = (0..p).map(|i| ((i / we) as i64, (i % we) as i64)).collect();
    let each = |value: &dyn Fn(i64, i64) -> i64| -> Vec<i64> {
        lanes.iter().map(|&(oy, ox)| value(oy, ox)).collect()
    };
    let advance = column * cols_on + row * rows_on;
    let advance_wrap = advance + row - column * we as i64;
    let modulus = 1i64 << w.address;
    let quot = |oy, ox| split(row * oy + column * ox, p).0.rem_euclid(modulus);
    f.vector("lane_quot", w.address, each(&quot), false);
    f.vector("lane_y", w.coordinate, each(&|oy, _| oy * sy - pt), false);
    f.vector("lane_x", w.coordinate, each(&|_, ox| ox * sx - pl), false);
    f.vector(
        "lane_rem",
        w.bank,
        (0..p as i64).map(|i| split(column * i, p).1).collect(),
        false,
    );
    f.address("adv_quot", w.address, split(advance, p).0);
    f.address("adv_quot_wrap", w.address, split(advance_wrap, p).0);
    f.add("adv_x", w.coordinate, sx * cols_on);
    f.add("wrap_x", w.coordinate, sx * we as i64);
    f.add("limit_x", w.coordinate, sx * we as i64 - pl);
    f.add("adv_y", w.coordinate, sy * rows_on);
    f.add("adv_y_wrap", w.coordinate, sy * rows_on + sy);
}

/// The walk of the drain over a region's pixels: first pixel, next column, next row.
fn walk(f: &mut Fields, cx: &Context, w: &Widths, names: &WalkNames, walk: Option<(Origin, i64)>) {
    let p = cx.shape.p;
    let (base, plane, start, [row, column], we) = match &walk {
        Some((o, we)) => (o.base, o.placement.storage.plane, o.start, o.distance, *we),
        None => (0, 0, 0, [0, 0], 1),
    };
    let (start_quot, start_rem) = split(start, p);
    let (step_quot, step_rem) = split(column, p);
    let (row_quot, row_rem) = split(row - (we - 1) * column, p);
    f.address(names.base, w.address, base + start_quot);
    f.add(names.start_rem, w.bank, start_rem);
    f.address(names.plane, w.address, plane);
    f.address(names.step_quot, w.address, step_quot);
    f.add(names.step_rem, w.bank, step_rem);
    f.address(names.row_quot, w.address, row_quot);
    f.add(names.row_rem, w.bank, row_rem);
}

/// What the activation port moves: always a whole area on chip.
fn transfer_fields(
    f: &mut Fields,
    (cx, memory): (&Context, &ActivationMemory),
    w: &Widths,
    layer: &HwLayer,
) {
    let transfer = layer.transfer();
    let storage = transfer.map(|[here, _]| cx.layout.storage(here.storage));
    let [rows, columns] = storage.map_or([1, 1], |s| [s.hwc[0], s.hwc[1]]);
    let [first, each] = transfer
        .and_then(|[_, there]| memory.row(there.storage, there.start.rows))
        .unwrap_or([0, 1]);
    f.add("store", 1, i64::from(layer.kind == LayerKind::Store));
    f.add("load", 1, i64::from(layer.kind == LayerKind::Load));
    f.add("move_burst", w.bursts, first);
    f.add("move_bursts_m1", w.bursts, rows * each - 1);
    f.add("move_rows_m1", w.counter, rows - 1);
    f.add("move_cols_m1", w.counter, columns - 1);
    let words = storage.map_or(1, |s| s.words);
    f.add("move_words_m1", w.counter, words - 1);
    let origin = transfer.map(|[here, _]| (Origin::new(cx, here), columns as i64));
    walk(f, cx, w, &MOVE_WALK, origin);
}

/// Field names of a walk.
struct WalkNames {
    base: &'static str,
    start_rem: &'static str,
    plane: &'static str,
    step_quot: &'static str,
    step_rem: &'static str,
    row_quot: &'static str,
    row_rem: &'static str,
}

const RES_WALK: WalkNames = WalkNames {
    base: "res_base",
    start_rem: "res_start_rem",
    plane: "res_plane",
    step_quot: "res_step_quot",
    step_rem: "res_step_rem",
    row_quot: "res_row_quot",
    row_rem: "res_row_rem",
};

const MOVE_WALK: WalkNames = WalkNames {
    base: "move_base",
    start_rem: "move_start_rem",
    plane: "move_plane",
    step_quot: "move_step_quot",
    step_rem: "move_step_rem",
    row_quot: "move_row_quot",
    row_rem: "move_row_rem",
};

fn output_fields(f: &mut Fields, cx: &Context, w: &Widths, index: usize, layer: &HwLayer) {
    let [rows, columns, channels] = layer.output.hwc;
    let we = cx.layout.views[index].enum_cols;
    let origin = Origin::new(cx, &layer.output);
    let (zero_point, clamp) = params::lane_bounds(&cx.constants[index]);
    f.add("out_buffer", 1, origin.placement.buffer_bit());
    f.add("out_cols", w.coordinate, columns);
    f.add("enum_cols", w.coordinate, we);
    f.add("pixels", w.pixels, rows * we);
    unit_fields(f, cx, w, &origin, we as i64);
    f.add(
        "softmax_length",
        11,
        if layer.is_softmax() { channels } else { 0 },
    );
    f.address("param_base", w.param, cx.param_bases[index]);
    f.signed("zero_point", 8, zero_point);
    let clamp_bits = if cx.features.halves { 16 } else { 8 };
    f.signed("clamp_lo", clamp_bits, clamp.lo);
    f.signed("clamp_hi", clamp_bits, clamp.hi);
    f.add(
        "lower_is_activation",
        1,
        i64::from(layer.lower_is_activation),
    );
    f.add("table_enable", 1, i64::from(layer.table.is_some()));
    f.add("table_index", w.table, layer.table.unwrap_or(0));
}

/// Start and advance of the drained pixels in an output with `columns` enumerated columns.
fn unit_fields(f: &mut Fields, cx: &Context, w: &Widths, origin: &Origin, columns: i64) {
    let (p, q) = (cx.shape.p, cx.shape.drained as i64);
    let [row, column] = origin.distance;
    let (start_quot, _) = split(origin.start, p);
    f.address("out_base", w.address, origin.base + start_quot);
    f.address("out_plane", w.address, origin.placement.storage.plane);
    let way = |pixels: i64| pixels / columns * row + pixels % columns * column;
    let place = |pixel: i64| split(origin.start + way(pixel), p);
    let modulus = 1i64 << w.address;
    let each = |value: &dyn Fn(i64) -> i64| (0..q).map(value).collect::<Vec<_>>();
    let quot = |i| (place(i).0 - start_quot).rem_euclid(modulus);
    f.vector("unit_quot", w.address, each(&quot), false);
    f.vector("unit_rem", w.bank, each(&|i| place(i).1), false);
    f.vector("unit_col", w.coordinate, each(&|i| i % columns), false);
    let rows = |i: i64| (i / columns) % (1 << ROW_BITS);
    f.vector("unit_row", ROW_BITS, each(&rows), false);
    let (quot, rem) = split(way(q), p);
    f.address("unit_adv_quot", w.address, quot);
    f.add("unit_adv_rem", w.bank, rem);
    let (quot, rem) = split(way(q) + row - columns * column, p);
    f.address("unit_wrap_quot", w.address, quot);
    f.add("unit_wrap_rem", w.bank, rem);
    f.add("unit_adv_col", w.coordinate, q % columns);
    f.add("unit_adv_row", ROW_BITS, rows(q));
}

fn residual_fields(f: &mut Fields, cx: &Context, w: &Widths, index: usize, layer: &HwLayer) {
    let we = cx.layout.views[index].enum_cols as i64;
    let origin = layer.residual().map(|r| (Origin::new(cx, r), we));
    walk(f, cx, w, &RES_WALK, origin);
    let residual = layer.residual.as_ref();
    let rule = residual.map(|r| r.rule.multiply_add);
    f.add("add_enable", 1, i64::from(residual.is_some()));
    f.signed("add_mul_y", 25, rule.map_or(0, |r| r.a));
    f.signed("add_mul_res", 25, rule.map_or(0, |r| r.b));
    f.signed("add_offset", 36, rule.map_or(0, |r| r.c));
    f.add("add_shift", 5, rule.map_or(0, |r| i64::from(r.shift)));
    f.signed("add_clamp_lo", 8, rule.map_or(-128, |r| r.clamp.lo));
    f.signed("add_clamp_hi", 8, rule.map_or(127, |r| r.clamp.hi));
    f.add(
        "add_lower_is_activation",
        1,
        i64::from(residual.is_some_and(|r| r.lower_is_activation)),
    );
    if cx.features.add_exceptions > 0 {
        exception_fields(f, cx.features.add_exceptions, residual);
    }
}

/// The loops of the gather unit.
fn gather_fields(f: &mut Fields, cx: &Context, w: &Widths, layer: &HwLayer) {
    let p = cx.shape.p;
    let walk = gather::walk(cx, layer);
    let steps = walk
        .as_ref()
        .map_or([gather::Step::default(); 4], |g| g.steps);
    let counts = walk.as_ref().map_or([1; 4], |g| g.counts);
    let tails = walk.as_ref().map_or([0; 2], |g| g.tails);
    let from = Origin::new(cx, &layer.input);
    let word = cx.shape.word;
    f.add("gather", 1, i64::from(walk.is_some()));
    let counts = counts.map(|c| c as i64 - 1).to_vec();
    f.vector("gather_counts_m1", w.counter, counts, false);
    f.add("gather_tail_0", w.counter, tails[0]);
    f.add("gather_tail_1", w.counter, tails[1]);
    let (quot, rem) = split(from.start, p);
    f.address("gather_from_quot", w.address, from.base + quot);
    f.add("gather_from_rem", w.bank, rem);
    f.add("gather_from_lane", w.lane, layer.input.channel % word);
    let plane = from.placement.storage.plane;
    let modulus = |bits: usize| 1i64 << bits;
    let quots = steps.map(|s| {
        let quot = s.pixels / p + s.channels / word * plane;
        (quot as i64).rem_euclid(modulus(w.address))
    });
    f.vector("gather_step_quot", w.address, quots.to_vec(), false);
    let rems = steps.map(|s| (s.pixels % p) as i64);
    f.vector("gather_step_rem", w.bank, rems.to_vec(), false);
    let lanes = steps.map(|s| (s.channels % word) as i64);
    f.vector("gather_step_lane", w.lane, lanes.to_vec(), false);
    let to = Origin::new(cx, &layer.output);
    let (quot, rem) = split(to.start, p);
    let weights = walk.as_ref().and_then(|g| g.weights);
    let first = weights.map_or((to.base + quot).rem_euclid(modulus(w.address)), |w| {
        w as i64
    });
    f.add("gather_to_quot", w.target, first);
    f.add(
        "gather_to_rem",
        w.bank,
        if weights.is_some() { 0 } else { rem },
    );
    let to_steps = walk.as_ref().map_or([[0; 2]; 3], |g| g.to_steps);
    let quots =
        to_steps.map(|[pixels, words]| ((pixels / p + words) as i64).rem_euclid(modulus(w.target)));
    f.vector("gather_to_step_quot", w.target, quots.to_vec(), false);
    let rems = to_steps.map(|[pixels, _]| (pixels % p) as i64);
    f.vector("gather_to_step_rem", w.bank, rems.to_vec(), false);
    if cx.features.computed {
        let weights = match layer.gather() {
            Some(Gather::Weights(weights)) => Some(weights),
            _ => None,
        };
        f.add("gather_to_weights", 1, i64::from(weights.is_some()));
        f.signed("gather_zero_point", 8, weights.map_or(0, |w| w.zero_point));
        f.add("gather_part", 2, weights.map_or(0, |w| w.part));
        f.add("gather_negate", 1, weights.map_or(0, |w| w.row));
    }
}

/// Bits of an entry of `add_pairs`: both operands, whether one is added, whether the entry is used.
const PAIR_BITS: usize = 18;

fn exception_fields(f: &mut Fields, entries: usize, residual: Option<&Residual>) {
    let exceptions = residual.map_or(&[][..], |r| &r.rule.exceptions);
    let byte = |value: i8| i64::from(value as u8);
    let mut pairs: Vec<i64> = (exceptions.iter())
        .map(|e| byte(e.b) | byte(e.a) << 8 | i64::from(e.up) << 16 | 1 << 17)
        .collect();
    pairs.resize(entries, 0);
    f.vector("add_pairs", PAIR_BITS, pairs, false);
    let [up, down] = [1, -1].map(|step| residual.map_or(0, |r| r.rule.offset(step)));
    f.signed("add_offset_up", 36, up);
    f.signed("add_offset_down", 36, down);
}
