//! Hardware layers: what the lowering of the graph gives to all later passes.

use crate::attention::AttentionLayer;
use crate::gather::Gather;
use crate::lstm::LstmLayer;
use crate::region::{Region, StorageId};
use crate::shape::Packing;
use crate::wide::Wide;
use macforge_numeric::{
    AveragePoolRule, Clamp, Interval, PairSum, Requantizer, SoftmaxRule, quad_packing,
};
use macforge_quant::{TensorId, Window};
use std::ops::Range;

/// What the engine does in a layer.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerKind {
    /// Dot array: convolution; a fully connected layer is one whose kernel covers the input.
    Dot {
        /// Kernel geometry.
        window: Window,
        /// Weights less their zero point, `[OC, KH, KW, IC]`.
        weights: Vec<i16>,
        /// Bias per output channel, before the zero-point term is folded in.
        bias: Vec<i32>,
        /// Requantizer per output channel.
        requant: Vec<Requantizer>,
    },
    /// Dot array, with weights that layers of the gather unit have written.
    ComputedDot(Box<ComputedDot>),
    /// Gather unit.
    Gather(Gather),
    /// Channel array: each channel has a kernel of its own.
    Depthwise {
        /// Kernel geometry.
        window: Window,
        /// Weights less their zero point, `[C, KH, KW]`.
        weights: Vec<i16>,
        /// Bias per channel, before the zero-point term is folded in.
        bias: Vec<i32>,
        /// Requantizer per channel.
        requant: Vec<Requantizer>,
    },
    /// Channel array: maximum over a window.
    Max(Window, Clamp),
    /// Channel array: product of the window's first and last value.
    Product(Box<ProductLayer>),
    /// Channel array: copies one pixel per window; the value is what lies outside of the input.
    Copy(Window, i8),
    /// Channel array: average over a window.
    Average {
        /// Window geometry.
        window: Window,
        /// How the sum becomes the mean.
        rule: AveragePoolRule,
        /// Values that are averaged, the same number for all outputs.
        count: usize,
        /// Value outside of the input.
        outside: i32,
    },
    /// Softmax unit.
    Softmax(SoftmaxRule),
    /// LSTM unit.
    Lstm(Box<LstmLayer>),
    /// Attention unit.
    Attention(AttentionLayer),
    /// Activation port: a region of a buffer to memory.
    Store,
    /// Activation port: rows from memory to a buffer.
    Load,
}

/// `sum(weights * window) + first * last + bias`, requantized; the same for all channels.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductLayer {
    /// Window geometry.
    pub window: Window,
    /// One weight per position; that of the last one, where the product stands, is 0.
    pub weights: Vec<i8>,
    /// Bias.
    pub bias: i32,
    /// Reachable sums, bias included.
    pub reach: Interval,
    /// Sum to output value.
    pub requant: Requantizer,
}

/// Product of a tensor's pixels with a matrix that is computed as well.
#[derive(Clone, Debug, PartialEq)]
pub struct ComputedDot {
    /// Number of the product; [`ComputedWeights`](crate::gather::ComputedWeights) name it.
    pub slot: usize,
    /// Kernel over the pixels: one column per part of a weight, a second row outside of the image where
    /// the input's zero point is not 0.
    pub window: Window,
    /// Sums that any operands can reach.
    pub reach: Interval,
    /// Sum to output value.
    pub requant: Requantizer,
}

/// What a dot layer and a depthwise one have in common.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<'a> {
    /// Weights, output channel first.
    pub weights: &'a [i16],
    /// Bias per output channel.
    pub bias: &'a [i32],
    /// Requantizer per output channel.
    pub requant: &'a [Requantizer],
}

impl Weighted<'_> {
    /// Weights of one output channel.
    pub fn of_channel(&self, channel: usize) -> &[i16] {
        let each = self.weights.len() / self.bias.len();
        &self.weights[channel * each..(channel + 1) * each]
    }
}

/// The residual operand of a fused add.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    /// Where the operand lies; it has the rows, columns and channels of the layer's output.
    pub region: Region,
    /// `a` scales the layer's own value, `b` the residual.
    pub rule: PairSum,
    /// The lower clamp is an activation.
    pub lower_is_activation: bool,
}

/// A tensor of the graph, or some of its rows, complete in a region.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The tensor; its elements are the region's in row, column, channel order.
    pub tensor: TensorId,
    /// The tensor's row that the region begins with; 0 where all of it lies there.
    pub first_row: usize,
    /// Where it lies.
    pub region: Region,
}

/// One entry of the sequencer's program.
#[derive(Clone, Debug, PartialEq)]
pub struct HwLayer {
    /// Name of the first node.
    pub name: String,
    /// Source for messages.
    pub source: String,
    /// Kinds of the fused nodes, `CONV_2D+ADD`.
    pub op: String,
    /// Graph nodes that this layer computes, in order.
    pub nodes: Vec<usize>,
    /// What it does.
    pub kind: LayerKind,
    /// What it reads.
    pub input: Region,
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// What the values of the input can be, as far as it is known.
    pub input_range: Interval,
    /// Where it writes.
    pub output: Region,
    /// The lower clamp of the requantizer is an activation.
    pub lower_is_activation: bool,
    /// Activation table applied to the requantized value.
    pub table: Option<usize>,
    /// Fused add.
    pub residual: Option<Residual>,
    /// Tensors, or rows of one, that are complete when the layer is done.
    pub completes: Vec<Stored>,
    /// How its weights are multiplied and stored.
    pub form: WeightForm,
    /// A further strip of the layer of its source before it, or its low bytes: the same weights and
    /// parameters.
    pub again: bool,
    /// The lanes keep the low byte of their value instead of clamping it.
    pub wraps: bool,
    /// int16 operands and results.
    pub wide: Wide,
}

/// Largest weight that two passes add up to.
pub const MOST_IN_PASSES: i16 = 2 * 127;

/// What the values of a layer's weights ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightForm {
    /// How often the array walks a kernel position: twice where a weight needs more than the
    /// multiplier takes at once (see [`crate::weights::part`]).
    pub passes: usize,
    /// Fewest bits of 2, 4 and 8 that hold what a pass multiplies.
    pub bits: usize,
    /// The passes are high and low bytes of 16-bit weights.
    pub bytes: bool,
    /// Four bits, and no chain of an array of four products per DSP leaves its field: there are no
    /// [`quad_packing::MAX_CHAIN`] weights of -8 side by side.
    pub quad: bool,
}

/// How an array of four products per DSP computes a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuadForm {
    /// 1: the input less the offset has four bits. 2: it is multiplied in parts, the high one first
    /// ([`quad_packing::parts`]).
    pub passes: usize,
    /// What the array's operand, or the low part, is less than the input.
    pub offset: i32,
}

impl Default for WeightForm {
    fn default() -> Self {
        WeightForm {
            passes: 1,
            bits: 8,
            bytes: false,
            quad: false,
        }
    }
}

impl WeightForm {
    /// Of a layer's weights.
    pub fn new(kind: &LayerKind) -> Self {
        let (weights, least) = match kind {
            LayerKind::Dot { weights, .. } => (weights, -127),
            LayerKind::Depthwise { weights, .. } => (weights, -128),
            _ => return WeightForm::default(),
        };
        let (lo, hi) = (weights.iter()).fold((0, 0), |(lo, hi), &w| (w.min(lo), w.max(hi)));
        let four = lo >= -8 && hi <= 7;
        let mut runs = weights.split(|&w| w != -8);
        WeightForm {
            quad: four && runs.all(|run| quad_packing::fits_field(&[-8].repeat(run.len()))),
            passes: 1 + usize::from(lo < least || hi > 127),
            bytes: lo < -MOST_IN_PASSES || hi > MOST_IN_PASSES,
            bits: match (lo, hi) {
                (-2..=1, -2..=1) => 2,
                (-8..=7, -8..=7) => 4,
                _ => 8,
            },
        }
    }
}

/// A memory area that layers share through regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// First tensor that lies in it, for messages.
    pub name: String,
    /// Shape `[H, W, C]`.
    pub hwc: [usize; 3],
    /// Rows follow one another without a gap, because the area is also read in another form.
    pub dense: bool,
    /// Keeps its content from one inference to the next.
    pub keeps: bool,
    /// Lies in memory (see [`crate::spill`]).
    pub memory: bool,
    /// Holds rows that were loaded from this area in memory.
    pub rows_of: Option<StorageId>,
}

impl Area {
    /// An area on chip.
    pub fn new(name: String, hwc: [usize; 3]) -> Self {
        Area {
            name,
            hwc,
            dense: false,
            keeps: false,
            memory: false,
            rows_of: None,
        }
    }
}

/// An input or output stream of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The int8 tensor, behind or before the float conversion if there is one.
    pub tensor: TensorId,
    /// Where it lies, in the order of the stream.
    pub region: Region,
    /// The stream carries float32.
    pub float: bool,
    /// The stream carries uint8.
    pub unsigned: bool,
}

/// The result of the pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    /// Layers in execution order; the first ones only run after a reset.
    pub layers: Vec<HwLayer>,
    /// How many of them give the states their initial values.
    pub reset_layers: usize,
    /// Layers of each quantization of the network; an inference runs one of them.
    pub sets: Vec<Range<usize>>,
    /// Activation tables.
    pub tables: Vec<[i8; 256]>,
    /// Memory areas by [`StorageId`](crate::StorageId).
    pub areas: Vec<Area>,
    /// Activation memory is scarce: pitches are short, and shortcuts are computed late.
    pub compact: bool,
    /// Areas that hold a strip of a layer's result.
    pub strips: Vec<StorageId>,
    /// Bits of accumulators and biases.
    pub acc_bits: u32,
    /// Graph inputs, in the model's order.
    pub inputs: Vec<Port>,
    /// Graph outputs, in the model's order.
    pub outputs: Vec<Port>,
}

impl Layers {
    /// The layer whose weights and parameters a further strip shares.
    pub fn first_of(&self, index: usize) -> Option<usize> {
        let layer = &self.layers[index];
        let same = |l: &HwLayer| l.source == layer.source && !l.again;
        let before = &self.layers[..index];
        before.iter().rposition(same).filter(|_| layer.again)
    }

    /// Whether all layers of the dot array can run with four products per DSP, and not all of them in two
    /// passes, which gain nothing.
    pub fn fit_quads(&self) -> bool {
        let mut dots = self.layers.iter().filter(|l| l.is_dot());
        let once = |l: &HwLayer| l.quad_form().is_some_and(|form| form.passes == 1);
        dots.clone().any(once) && dots.all(|l| l.quad_form().is_some())
    }

    /// Where the words of layer `index`, which belongs to a further set, are in the memory already: those
    /// of a layer of a set before it. Words of layer `i` begin at `bases[i]`.
    pub fn known_words<T: PartialEq>(
        &self,
        index: usize,
        bases: &[usize],
        memory: &[T],
        words: &[T],
    ) -> Option<usize> {
        let set = self.sets.iter().position(|set| set.contains(&index))?;
        let before = &bases[..self.sets[set].start];
        let same = |base: &usize| memory[*base..].starts_with(words);
        let known = before.iter().copied().find(same);
        known.filter(|_| set > 0 && !words.is_empty())
    }

    /// The layers' regions: input, residual, output.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        (self.layers.iter()).flat_map(|l| [&l.input, &l.output].into_iter().chain(l.residual()))
    }
}

/// A 1x1 window with stride 1.
pub fn unit_window() -> Window {
    Window {
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 0],
    }
}

/// The channel array as a copy.
pub fn copy() -> LayerKind {
    LayerKind::Copy(unit_window(), 0)
}

impl HwLayer {
    /// A layer that completes no node: no table, no sum, int8 values that can be anything.
    pub fn plain(
        name: String,
        (op, kind): (&str, LayerKind),
        source: String,
        [input, output]: [Region; 2],
    ) -> Self {
        HwLayer {
            name,
            source,
            op: op.into(),
            nodes: Vec::new(),
            kind,
            input,
            input_zero_point: 0,
            input_range: Interval::INT8,
            output,
            lower_is_activation: true,
            table: None,
            residual: None,
            completes: Vec::new(),
            form: WeightForm::default(),
            again: false,
            wraps: false,
            wide: Wide::default(),
        }
    }

    /// Computes a part of the node that `owner` completes.
    pub fn is_part_of(&self, owner: &HwLayer) -> bool {
        self.nodes.is_empty() && !owner.nodes.is_empty() && self.source == owner.source
    }

    /// The residual operand's region.
    pub fn residual(&self) -> Option<&Region> {
        self.residual.as_ref().map(|r| &r.region)
    }

    /// All regions that the layer knows.
    pub fn regions_mut(&mut self) -> impl Iterator<Item = &mut Region> {
        let residual = self.residual.as_mut().map(|r| &mut r.region);
        let stored = self.completes.iter_mut().map(|s| &mut s.region);
        [&mut self.input, &mut self.output]
            .into_iter()
            .chain(residual)
            .chain(stored)
    }

    /// Value of positions outside of the input: it must not change the result.
    pub fn outside(&self) -> i32 {
        match self.kind {
            LayerKind::Max(..) => -128,
            LayerKind::Average { outside, .. } => outside,
            LayerKind::Copy(_, value) => value.into(),
            _ => self.input_zero_point,
        }
    }

    /// The window that the feeder walks; 1x1 for the units that read on their own.
    pub fn window(&self) -> Window {
        match &self.kind {
            LayerKind::Dot { window, .. } | LayerKind::Depthwise { window, .. } => *window,
            LayerKind::Max(window, _)
            | LayerKind::Average { window, .. }
            | LayerKind::Copy(window, _) => *window,
            LayerKind::Product(product) => product.window,
            LayerKind::ComputedDot(dot) => dot.window,
            LayerKind::Softmax(_)
            | LayerKind::Lstm(_)
            | LayerKind::Attention(_)
            | LayerKind::Gather(_)
            | LayerKind::Store
            | LayerKind::Load => unit_window(),
        }
    }

    /// Runs on the dot array.
    pub fn is_dot(&self) -> bool {
        matches!(self.kind, LayerKind::Dot { .. } | LayerKind::ComputedDot(_))
    }

    /// Runs on the channel array.
    pub fn is_channel(&self) -> bool {
        matches!(
            self.kind,
            LayerKind::Max(..)
                | LayerKind::Average { .. }
                | LayerKind::Copy(..)
                | LayerKind::Depthwise { .. }
                | LayerKind::Product(_)
        )
    }

    /// Runs on the channel array with weights.
    pub fn multiplies_channels(&self) -> bool {
        matches!(
            self.kind,
            LayerKind::Depthwise { .. } | LayerKind::Product(_)
        )
    }

    /// The product of two tensors.
    pub fn product(&self) -> Option<&ProductLayer> {
        match &self.kind {
            LayerKind::Product(product) => Some(product),
            _ => None,
        }
    }

    /// Compares the values of a window; a window of one value is copied by the sum.
    pub fn is_max(&self) -> bool {
        matches!(&self.kind, LayerKind::Max(window, _) if window.kernel != [1, 1])
    }

    /// Weights, bias and requantizer of every output channel, in layers that have them.
    pub fn weighted(&self) -> Option<Weighted<'_>> {
        match &self.kind {
            LayerKind::Dot {
                weights,
                bias,
                requant,
                ..
            }
            | LayerKind::Depthwise {
                weights,
                bias,
                requant,
                ..
            } => Some(Weighted {
                weights,
                bias,
                requant,
            }),
            _ => None,
        }
    }

    /// How an array of four products per DSP computes the layer: weights of four bits with an input of
    /// four, or with the parts of one of eight; `None` where the weights are wider.
    pub fn quad_form(&self) -> Option<QuadForm> {
        let bytes = self.wide == Wide::default() && Interval::INT8.encloses(self.input_range);
        let narrow = matches!(self.kind, LayerKind::Dot { .. }) && self.form.quad && bytes;
        let outside = Interval::point(self.outside().into());
        let whole = quad_packing::offset(self.input_range.union(outside));
        narrow.then(|| QuadForm {
            passes: if whole.is_some() { 1 } else { 2 },
            offset: whole.unwrap_or(quad_packing::PARTS_OFFSET),
        })
    }

    /// How often the array walks a kernel position.
    pub fn passes(&self, packing: Packing) -> usize {
        match self.quad_form() {
            Some(form) if packing == Packing::Four => form.passes,
            _ => self.form.passes,
        }
    }

    /// The product with a computed matrix.
    pub fn computed(&self) -> Option<&ComputedDot> {
        match &self.kind {
            LayerKind::ComputedDot(dot) => Some(dot),
            _ => None,
        }
    }

    /// What the gather unit does.
    pub fn gather(&self) -> Option<&Gather> {
        match &self.kind {
            LayerKind::Gather(gather) => Some(gather),
            _ => None,
        }
    }

    /// The LSTM unit's layer.
    pub fn lstm(&self) -> Option<&LstmLayer> {
        match &self.kind {
            LayerKind::Lstm(layer) => Some(layer),
            _ => None,
        }
    }

    /// The attention unit's layer.
    pub fn attention(&self) -> Option<&AttentionLayer> {
        match &self.kind {
            LayerKind::Attention(layer) => Some(layer),
            _ => None,
        }
    }

    /// Runs on a unit that reads and writes the buffers on its own, without feeder and drain.
    pub fn is_unit(&self) -> bool {
        self.is_softmax()
            || self.lstm().is_some()
            || self.attention().is_some()
            || self.gather().is_some()
            || self.transfer().is_some()
    }

    /// What the activation port moves: the region on chip and the one in memory.
    pub fn transfer(&self) -> Option<[&Region; 2]> {
        match self.kind {
            LayerKind::Store => Some([&self.input, &self.output]),
            LayerKind::Load => Some([&self.output, &self.input]),
            _ => None,
        }
    }

    /// Runs on the softmax unit.
    pub fn is_softmax(&self) -> bool {
        matches!(self.kind, LayerKind::Softmax(_))
    }
}
