//! Pass 1: graph nodes to hardware layers. Movement operators become regions where they can and
//! copies where they cannot, activation tables and sums move into the drain of the layer before
//! them, the boundary's float conversions leave, states are written when all their readers ran.

mod accumulators;
mod attention;
mod average;
mod boundary;
mod extremum;
mod fuse;
mod grouped_conv;
mod int16;
mod matmul;
mod movement;
mod order;
mod product;
mod reshape;
mod select;
mod states;
mod transpose_conv;

use crate::buffers;
use crate::error::PlanError;
use crate::layers::{Area, HwLayer, LayerKind, Layers, Stored, WeightForm, copy};
use crate::lstm;
use crate::region::{Move, Region, StorageId};
use crate::wide;
use crate::{constant_channels, convolution, sets, spill, staircases, strips};
use macforge_numeric::{Extremum, Interval, Product};
use macforge_quant::{DType, Lstm, QGraph, QOp, TensorId};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Layers that the register map has counters for.
pub const MAX_LAYERS: usize = 256;

/// Most layers that one operator may become.
const MAX_PIECES: usize = 64;

/// Runs the pass for activation words of `grain` channels: parts that begin elsewhere within a word
/// cannot be written in place.
fn lower(graph: &QGraph, grain: usize, saving: Saving, dsps: u64) -> Result<Layers, PlanError> {
    let mut pass = Pass::new(graph, grain, dsps)?;
    let nodes: Vec<usize> = if saving.compact {
        order::late_shortcuts(graph)
    } else {
        (0..graph.nodes.len()).collect()
    };
    for index in nodes {
        pass.node(index)?;
    }
    let mut layers = pass.finish()?;
    layers.compact = saving.compact;
    for layer in &mut layers.layers {
        if !layer.wraps && !layer.wide.rule {
            constant_channels::replace(layer, layer.input_zero_point);
        }
        layer.form = WeightForm::new(&layer.kind);
    }
    layers.acc_bits = wide::acc_bits(&layers.layers);
    buffers::separate(&mut layers);
    compact(&mut layers);
    if let Some(strips) = saving.strips {
        layers = strips::apply(&layers, strips)
            .ok_or_else(|| PlanError::NoFit(format!("{} has no layers in strips", graph.name)))?;
    }
    if let Some(most) = saving.spill {
        layers = spill::apply(&layers, most).ok_or_else(|| {
            PlanError::NoFit(format!("{} has no activations for memory", graph.name))
        })?;
    }
    if layers.layers.len() > MAX_LAYERS {
        return Err(unsupported(
            &graph.name,
            format!("{} layers", layers.layers.len()),
            "the register map has counters for 256; split the model",
        ));
    }
    Ok(layers)
}

/// How a plan saves activation memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Saving {
    /// Pitches are short, and shortcuts are computed late.
    pub compact: bool,
    /// Values of a strip, where layers run in strips (see [`strips`]).
    pub strips: Option<usize>,
    /// Most values of an area on chip, where larger ones lie in memory (see [`spill`]).
    pub spill: Option<usize>,
}

/// Layers, or why there are none.
type Variant = Result<Rc<Layers>, PlanError>;

/// The quantizations of a network and their layers by word size; most have the same ones for all.
pub struct Lowered<'a> {
    graphs: Vec<Cow<'a, QGraph>>,
    dsps: u64,
    depends: bool,
    variants: RefCell<BTreeMap<(usize, Saving), Variant>>,
}

impl<'a> Lowered<'a> {
    /// For a device with `dsps` DSPs. Nothing is lowered before it is asked for.
    ///
    /// # Errors
    /// A requantizer has no lane constants.
    pub fn new(graphs: &[&'a QGraph], dsps: u64) -> Result<Self, PlanError> {
        let lanes = graphs.iter().map(|&graph| staircases::as_lane_rules(graph));
        Ok(Lowered {
            graphs: lanes.collect::<Result<_, _>>()?,
            dsps,
            depends: graphs.iter().any(|graph| depends_on_grain(graph)),
            variants: RefCell::default(),
        })
    }

    /// The graphs.
    pub fn graphs(&self) -> Vec<&QGraph> {
        self.graphs.iter().map(AsRef::as_ref).collect()
    }

    /// The layers for activation words of `word` channels.
    pub fn layers(&self, word: usize, saving: Saving) -> Variant {
        let grain = if self.depends { word } else { 1 };
        let mut variants = self.variants.borrow_mut();
        let entry = variants.entry((grain, saving));
        entry
            .or_insert_with(|| {
                let graphs = self.graphs();
                let each = graphs
                    .iter()
                    .map(|graph| lower(graph, grain, saving, self.dsps));
                let each = each.collect::<Result<Vec<Layers>, _>>()?;
                sets::join(&graphs, each).map(Rc::new)
            })
            .clone()
    }
}

/// Whether the layers depend on the word size: something joins or splits channels.
fn depends_on_grain(graph: &QGraph) -> bool {
    graph.nodes.iter().any(|node| match &node.op {
        QOp::Concat(axis) => axis + 1 == graph.tensor(node.output).shape.len(),
        QOp::Slice { start, .. } => start.last().is_some_and(|&s| s > 0),
        QOp::Conv2d(c) => c.groups > 1 && !c.is_depthwise(),
        QOp::Reshape => graph.tensor(node.inputs[0]).hwc()[2] != graph.tensor(node.output).hwc()[2],
        _ => false,
    })
}

/// Forgets areas that became parts of others.
fn compact(layers: &mut Layers) {
    let ports = layers
        .inputs
        .iter()
        .chain(&layers.outputs)
        .map(|p| &p.region);
    let used: BTreeSet<StorageId> = layers
        .regions()
        .chain(ports)
        .map(|region| region.storage)
        .collect();
    let renumber = |region: &mut Region| {
        region.storage = StorageId(used.range(..region.storage).count());
    };
    let ports = layers.inputs.iter_mut().chain(&mut layers.outputs);
    ports.for_each(|port| renumber(&mut port.region));
    layers
        .layers
        .iter_mut()
        .flat_map(HwLayer::regions_mut)
        .for_each(renumber);
    let areas = std::mem::take(&mut layers.areas).into_iter().enumerate();
    layers.areas = areas
        .filter_map(|(id, area)| used.contains(&StorageId(id)).then_some(area))
        .collect();
}

/// An operator that the engine does not have.
pub(crate) fn unsupported(layer: &str, found: String, remedy: &str) -> PlanError {
    PlanError::Unsupported {
        layer: layer.into(),
        found,
        remedy: remedy.into(),
    }
}

/// The state of the pass.
struct Pass<'a> {
    graph: &'a QGraph,
    grain: usize,
    /// DSPs of the device.
    dsps: u64,
    layers: Vec<HwLayer>,
    tables: Vec<[i8; 256]>,
    areas: Vec<Area>,
    /// Where each tensor lies, if it does.
    homes: Vec<Option<Region>>,
    /// How many layers must have run until a tensor is complete.
    ready: Vec<usize>,
    /// What the values of each tensor can be.
    ranges: Vec<Interval>,
}

impl<'a> Pass<'a> {
    fn new(graph: &'a QGraph, grain: usize, dsps: u64) -> Result<Self, PlanError> {
        let count = graph.tensors.len();
        let mut pass = Pass {
            graph,
            grain,
            dsps,
            layers: Vec::new(),
            tables: Vec::new(),
            areas: Vec::new(),
            homes: vec![None; count],
            ready: vec![0; count],
            // a graph whose sums leave int32 is refused when its layers are proved
            ranges: (graph.value_ranges()).unwrap_or_else(|_| vec![Interval::INT8; count]),
        };
        pass.inputs()?;
        for state in &graph.states {
            let tensor = graph.tensor(state.read);
            let region = pass.area(&tensor.name, tensor.hwc());
            pass.areas[region.storage.0].keeps = true;
            pass.homes[state.read.0] = Some(region);
        }
        Ok(pass)
    }

    fn node(&mut self, index: usize) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        match &node.op {
            QOp::Conv2d(_) | QOp::FullyConnected(_) if self.wide_layers(index)? => {}
            QOp::Conv2d(c) if self.grouped_conv(index, c)? => {}
            QOp::Conv2d(c) => {
                let raw = c.requant.is_empty();
                let kind = match raw {
                    true => convolution::dense(c, &node.source)?,
                    false => convolution::kind(c, &node.source)?,
                };
                let input = match kind {
                    LayerKind::Dot { .. } => self.operand(index, 0)?,
                    _ => self.aligned_operand(index, 0)?,
                };
                if raw {
                    self.accumulators(index, input, kind)?;
                } else {
                    self.push(index, input, kind, c.lower_is_activation);
                }
            }
            QOp::FullyConnected(f) => {
                let input = self.home(node.inputs[0]);
                let [h, w, _] = input.hwc;
                let kind = convolution::fully_connected(f, [h, w], &node.source)?;
                if f.requant.is_empty() {
                    self.accumulators(index, input, kind)?;
                } else {
                    self.push(index, input, kind, f.lower_is_activation);
                }
            }
            QOp::MaxPool(window, clamp) => {
                let input = self.aligned_operand(index, 0)?;
                self.push(index, input, LayerKind::Max(*window, *clamp), true);
            }
            QOp::AveragePool(window, rule) => self.average(index, *window, *rule)?,
            QOp::ConvTranspose2d(conv) => self.transpose_conv(index, conv)?,
            QOp::Softmax(_) => self.softmax(index)?,
            QOp::Table(table) => self.table(index, table)?,
            QOp::Binary(rule) if Extremum::takes_smaller(rule).is_some() => {
                self.extremum(index, rule)?;
            }
            QOp::Binary(rule) if Product::is_product(rule) => self.product(index, rule)?,
            QOp::Binary(_) => self.add(index)?,
            QOp::Concat(axis) => self.concat(index, *axis)?,
            QOp::Slice { start, step } => self.slice(index, start, step)?,
            QOp::Pad { before, value } => self.pad(index, before, *value)?,
            QOp::Resize { rows, columns } => self.resize(index, rows, columns)?,
            QOp::Transpose(perm) => self.transpose(index, perm)?,
            QOp::Reshape if self.is_wide(node.output) => {
                // the rows of bytes keep their order, and who needs another form refuses it
                let home = self.home(node.inputs[0]);
                self.alias(index, home);
            }
            QOp::Reshape => self.reshape(index),
            QOp::Lstm(op) => self.lstm(index, op)?,
            QOp::Attention(op) => self.attention(index, op)?,
            QOp::MatMul(op) => self.matmul(index, op)?,
            QOp::Host(_) => {
                return Err(unsupported(
                    &node.source,
                    format!("{} has no hardware", node.op.kind()),
                    "the reference model computes it; the engine does not yet",
                ));
            }
            QOp::Dequantize => {
                self.homes[node.output.0] = self.homes[node.inputs[0].0].clone();
                self.ready[node.output.0] = self.ready[node.inputs[0].0];
            }
            QOp::Quantize => {}
        }
        Ok(())
    }

    /// The unit walks a plain area from its first pixel on.
    fn lstm(&mut self, index: usize, op: &Lstm) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        if self.layers.iter().any(|l| l.lstm().is_some()) {
            return Err(unsupported(
                &node.source,
                "a second LSTM".into(),
                "the design has one LSTM unit; split the model between the two",
            ));
        }
        let layer = lstm::layer(self.graph, node, op, self.dsps)?;
        let mut input = self.aligned_operand(index, 0)?;
        let area = &self.areas[input.storage.0];
        if input != Region::whole(input.storage, area.hwc) {
            let plain = self.area(&format!("{}_sequence", node.name), input.hwc);
            self.copy_to(index, input, plain.clone());
            input = plain;
        }
        self.push(index, input, LayerKind::Lstm(Box::new(layer)), false);
        Ok(())
    }

    /// One layer per position: the unit takes a single vector.
    fn softmax(&mut self, index: usize) -> Result<(), PlanError> {
        let node = &self.graph.nodes[index];
        let QOp::Softmax(rule) = &node.op else {
            unreachable!("called for Softmax")
        };
        let input = self.aligned_operand(index, 0)?;
        let [h, w, c] = input.hwc;
        if h * w > MAX_PIECES || c > 1024 {
            return Err(unsupported(
                &node.source,
                format!("softmax over {c} classes at {h}x{w} positions"),
                "the softmax unit takes vectors of at most 1024 classes, at most 64 of them",
            ));
        }
        let output = self.area(&self.graph.tensor(node.output).name, [h, w, c]);
        for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
            let pixel = |region: &Region| region.part([y, x, 0], [1, 1], [1, 1, c]);
            let (from, to) = (pixel(&input), pixel(&output));
            self.layer(index, from, LayerKind::Softmax(*rule), true, to);
        }
        self.complete(index, output);
        Ok(())
    }

    /// A new area.
    fn area(&mut self, name: &str, hwc: [usize; 3]) -> Region {
        self.areas.push(Area::new(name.into(), hwc));
        Region::whole(StorageId(self.areas.len() - 1), hwc)
    }

    /// Where a tensor lies, in whatever form.
    fn home(&self, tensor: TensorId) -> Region {
        let home = &self.homes[tensor.0];
        home.clone().expect("nodes are in execution order")
    }

    /// Zero point of a tensor.
    fn zero_point(&self, tensor: TensorId) -> i32 {
        self.graph.tensor(tensor).quant.map_or(0, |q| q.zero_point)
    }

    /// A layer that computes all of node `index` into an area of its own.
    fn push(&mut self, index: usize, input: Region, kind: LayerKind, lower_is_activation: bool) {
        let tensor = self.graph.tensor(self.graph.nodes[index].output);
        let output = self.area(&tensor.name, tensor.hwc());
        self.layer(index, input, kind, lower_is_activation, output.clone());
        self.complete(index, output);
    }

    /// A layer of node `index`; the one that completes the node gets its name.
    fn layer(
        &mut self,
        index: usize,
        input: Region,
        kind: LayerKind,
        lower_is_activation: bool,
        output: Region,
    ) {
        let node = &self.graph.nodes[index];
        let pieces = self
            .layers
            .iter()
            .filter(|l| l.source == node.source)
            .count();
        let name = format!("{}_{pieces}", node.name);
        let (kind, source) = ((node.op.kind(), kind), node.source.clone());
        self.layers.push(HwLayer {
            input_zero_point: self.zero_point(node.inputs[0]),
            // layers of other operators may read any of their inputs, or a copy
            input_range: match &node.op {
                QOp::Conv2d(_) | QOp::ConvTranspose2d(_) | QOp::FullyConnected(_) => {
                    self.ranges[node.inputs[0].0]
                }
                _ => Interval::INT8,
            },
            lower_is_activation,
            ..HwLayer::plain(name, kind, source, [input, output])
        });
    }

    /// A layer of [`select`] on a tensor that need not be the node's first input.
    fn select_layer(
        &mut self,
        index: usize,
        input: Region,
        kind: LayerKind,
        zero_point: i32,
        output: Region,
    ) {
        self.layer(index, input, kind, true, output);
        let layer = self.layers.last_mut().expect("just pushed");
        layer.input_zero_point = zero_point;
        layer.input_range = Interval::INT8;
    }

    /// The output of node `index` is complete with the last layer, and lies in `region`.
    fn complete(&mut self, index: usize, region: Region) {
        let last = self.layers.last_mut().expect("a node's layer");
        last.name = self.graph.nodes[index].name.clone();
        last.nodes = vec![index];
        self.complete_at(index, region, self.layers.len());
    }

    /// The same with the first `ready` layers.
    fn complete_at(&mut self, index: usize, region: Region, ready: usize) {
        let tensor = self.graph.nodes[index].output;
        if ready > 0 {
            self.layers[ready - 1].completes.push(Stored {
                tensor,
                first_row: 0,
                region: region.clone(),
            });
        }
        self.homes[tensor.0] = Some(region);
        self.ready[tensor.0] = ready;
    }

    /// The output of node `index` is its first input, seen through `region`.
    fn alias(&mut self, index: usize, region: Region) {
        let node = &self.graph.nodes[index];
        self.homes[node.output.0] = Some(region);
        self.ready[node.output.0] = self.ready[node.inputs[0].0];
    }

    /// Input `which` of node `index` in the form that its shape says.
    fn operand(&mut self, index: usize, which: usize) -> Result<Region, PlanError> {
        let tensor = self.graph.nodes[index].inputs[which];
        let home = self.home(tensor);
        let wanted = self.graph.tensor(tensor).hwc();
        if home.hwc == wanted {
            return Ok(home);
        }
        self.relayout(index, home, wanted, self.zero_point(tensor))
    }

    /// The same, beginning with a word: only the dot array can leave channels out.
    fn aligned_operand(&mut self, index: usize, which: usize) -> Result<Region, PlanError> {
        let region = self.operand(index, which)?;
        let zero_point = self.zero_point(self.graph.nodes[index].inputs[which]);
        Ok(self.aligned(index, region, zero_point))
    }

    /// `region` or a copy of it that begins with a word.
    fn aligned(&mut self, index: usize, region: Region, zero_point: i32) -> Region {
        if region.channel.is_multiple_of(self.grain) {
            return region;
        }
        let output = self.area(
            &format!("{}_aligned", self.graph.nodes[index].name),
            region.hwc,
        );
        let kind = select::channels(region.hwc[2], region.hwc[2], zero_point, Some);
        self.select_layer(index, region, kind, zero_point, output.clone());
        output
    }

    /// A copy into `output`.
    fn copy_to(&mut self, index: usize, input: Region, output: Region) {
        self.layer(index, input, copy(), true, output);
    }

    /// Lays the area of `part` into `target`, if nothing but the tensor lies there.
    fn merge(&mut self, part: &Region, target: &Region) -> bool {
        let area = &self.areas[part.storage.0];
        let alone = part.hwc == target.hwc && part.covers(area.hwc) && !area.dense;
        // these units walk their areas from their first pixel on
        let mut units = (self.layers.iter()).filter(|l| l.is_unit() && !l.is_softmax());
        let bound = units.any(|l| {
            [&l.input, &l.output]
                .iter()
                .any(|r| r.storage == part.storage)
        });
        if !alone || bound || part.storage == target.storage {
            return false;
        }
        if area.keeps {
            self.areas[target.storage.0].keeps = true;
        }
        let to = Move::new(part, target);
        self.homes
            .iter_mut()
            .flatten()
            .for_each(|region| to.apply(region));
        self.layers
            .iter_mut()
            .flat_map(HwLayer::regions_mut)
            .for_each(|region| to.apply(region));
        true
    }

    /// Whether the graph's boundary needs a tensor: it is an output or the new value of a state.
    fn leaves(&self, tensor: TensorId) -> bool {
        self.graph.outputs.contains(&tensor) || self.graph.states.iter().any(|s| s.write == tensor)
    }

    /// Element type check for the boundary.
    fn is_float(&self, tensor: TensorId) -> bool {
        self.graph.tensor(tensor).dtype == DType::F32
    }
}
