//! Pass 5: weight words. One word holds OC x IC weights for one step of the dot array, or in its low
//! bytes one weight per channel for one step of the channel array; the words of a tile follow in
//! step order (kernel row, kernel column, pass, channel chunk), the tiles of a layer one another. On chip,
//! steps with narrow weights share a word ([`crate::narrow`]).

use crate::bits::BitWord;
use crate::input::InputMode;
use crate::layers::{LayerKind, Layers, WeightForm};
use crate::layout::Layout;
use crate::narrow;
use crate::shape::{Packing, Shape};

/// Weights of one dot layer as the engine walks them: `[OC, KH, KW, IC]` over the stored input.
#[derive(Clone, Copy, Debug)]
pub struct StoredKernel<'a> {
    /// The values, in source order.
    pub values: &'a [i16],
    /// Rows, columns and channels of the kernel over the stored tensor.
    pub dims: [usize; 3],
    /// Channels of these that come before the layer's own, in its first word.
    pub before: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Weights of a kernel row; the stored one may end with places beyond it.
    pub row: usize,
    /// What its passes multiply.
    pub form: WeightForm,
    /// See [`crate::layers::HwLayer::passes`].
    pub passes: usize,
    /// The passes multiply parts of the activations with the same weights.
    pub whole: bool,
}

/// High and low byte of a 16-bit weight, `256 * high + low`; `None` where one is beyond -127..=127.
pub fn bytes(weight: i16) -> Option<[i8; 2]> {
    let weight = i32::from(weight);
    let high = (weight + 128) >> 8;
    let fits = |byte: i32| i8::try_from(byte).ok().filter(|&b| b > -128);
    Some([fits(high)?, fits(weight - 256 * high)?])
}

/// The part of a weight that a pass multiplies: all of it in a single pass, otherwise one of its bytes, or
/// as much as fits -127..=127, then the rest.
///
/// The last two fit as long as the weight lies in -254..=254; [`crate::convolution`] sees to all of it.
fn part(weight: i16, pass: usize, form: WeightForm) -> i8 {
    if form.bytes {
        return bytes(weight).expect("a weight of two bytes")[pass];
    }
    let first = if form.passes == 1 {
        weight
    } else {
        weight.clamp(-127, 127)
    };
    let part = if pass == 0 { first } else { weight - first };
    i8::try_from(part).expect("a weight of at most 254")
}

impl StoredKernel<'_> {
    /// What pass `pass` multiplies at a place of the kernel, or 0 outside. Folding keeps the element
    /// order: `kx*C + c` is the folded channel.
    pub fn at(&self, pass: usize, oc: usize, [ky, kx]: [usize; 2], channel: usize) -> i8 {
        let [kh, _, channels] = self.dims;
        if oc >= self.out_channels || channel < self.before || channel >= channels {
            return 0;
        }
        let at = kx * (channels - self.before) + channel - self.before;
        if at >= self.row {
            return 0;
        }
        let weight = self.values[(oc * kh + ky) * self.row + at];
        if self.whole {
            part(weight, 0, WeightForm::default())
        } else {
            part(weight, pass, self.form)
        }
    }
}

/// The kernel of layer `index` over its stored input; `None` for other kinds of layers.
pub fn kernel<'a>(
    layers: &'a Layers,
    layout: &Layout,
    mode: &InputMode,
    packing: Packing,
    index: usize,
) -> Option<StoredKernel<'a>> {
    let layer = &layers.layers[index];
    let LayerKind::Dot { weights, bias, .. } = &layer.kind else {
        return None;
    };
    let [kh, kw] = mode.stored_window(layers, layer).kernel;
    let [before, channels] = layout.views[index].channels;
    Some(StoredKernel {
        values: weights,
        dims: [kh, kw, channels],
        before,
        out_channels: bias.len(),
        row: weights.len() / (bias.len() * kh),
        form: layer.form,
        passes: layer.passes(packing),
        whole: packing == Packing::Four,
    })
}

/// All weight words and, per layer, the address of its first word. `on_chip` are the parts of a word where
/// the weights are on chip; layers with the same weights then share words.
pub fn pack(
    layers: &Layers,
    layout: &Layout,
    mode: &InputMode,
    shape: &Shape,
    on_chip: Option<usize>,
) -> (Vec<BitWord>, Vec<usize>) {
    let mut memory = Vec::new();
    let mut bases = Vec::new();
    // what the gather unit writes has no content of its own yet
    let computed = layers.layers.iter().any(|l| l.computed().is_some());
    for index in 0..layers.layers.len() {
        // the stream has the words of every layer in their order, whatever else has the same ones
        if let Some(first) = layers.first_of(index).filter(|_| on_chip.is_some()) {
            bases.push(bases[first]);
            continue;
        }
        let each = narrow::steps_per_word(layers.layers[index].form.bits, on_chip.unwrap_or(1));
        let words = narrow::packed(of_layer(layers, layout, mode, shape, index), each);
        let known = layers.known_words(index, &bases, &memory, &words);
        let known = known.filter(|_| !computed && on_chip.is_some());
        bases.push(known.unwrap_or(memory.len()));
        if known.is_none() {
            memory.extend(words);
        }
    }
    (memory, bases)
}

/// The words of a layer's steps, 8 bits per weight; none where it has no weights.
pub fn of_layer(
    layers: &Layers,
    layout: &Layout,
    mode: &InputMode,
    shape: &Shape,
    index: usize,
) -> Vec<BitWord> {
    if let LayerKind::Depthwise {
        window, weights, ..
    } = &layers.layers[index].kind
    {
        let [kh, kw] = window.kernel;
        let form = layers.layers[index].form;
        return depthwise_words(weights, (kh * kw, form), shape.word);
    }
    if let Some(product) = layers.layers[index].product() {
        let tiles = layers.layers[index].output.hwc[2].div_ceil(shape.word);
        let words = (0..tiles).flat_map(|_| product_words(&product.weights, shape.word));
        return words.collect();
    }
    if let Some(dot) = layers.layers[index].computed() {
        // written by the gather unit
        let [rows, columns] = dot.window.kernel;
        let chunks = layout.views[index].channels[1].div_ceil(shape.ic);
        let tiles = layers.layers[index].output.hwc[2].div_ceil(shape.oc);
        let mut empty = BitWord::default();
        (0..shape.oc * shape.ic).for_each(|_| empty.push(0, 8));
        return vec![empty; tiles * rows * columns * chunks];
    }
    let Some(kernel) = kernel(layers, layout, mode, shape.packing, index) else {
        return Vec::new();
    };
    let mut words = Vec::new();
    let [kh, kw, channels] = kernel.dims;
    for tile in 0..kernel.out_channels.div_ceil(shape.oc) {
        for ky in 0..kh {
            for kx in 0..kw {
                for pass in 0..kernel.passes {
                    for chunk in 0..channels.div_ceil(shape.ic) {
                        words.push(word(&kernel, shape, tile, [ky, kx], pass, chunk));
                    }
                }
            }
        }
    }
    words
}

/// Words of a depthwise layer; `weights` is `[C, positions]`, a tile has `word` channels.
fn depthwise_words(
    weights: &[i16],
    (positions, form): (usize, WeightForm),
    word: usize,
) -> Vec<BitWord> {
    let passes = form.passes;
    let mut words = Vec::new();
    for tile in weights.chunks(word * positions) {
        for (position, pass) in (0..positions * passes).map(|i| (i / passes, i % passes)) {
            let mut word = BitWord::default();
            for channel in tile.chunks(positions) {
                word.push(part(channel[position], pass, form).into(), 8);
            }
            words.push(word);
        }
    }
    words
}

/// Words of one tile of a product: all channels have the same weight.
fn product_words(weights: &[i8], word: usize) -> Vec<BitWord> {
    let of_position = |&weight: &i8| {
        let mut packed = BitWord::default();
        (0..word).for_each(|_| packed.push(weight.into(), 8));
        packed
    };
    weights.iter().map(of_position).collect()
}

fn word(
    kernel: &StoredKernel,
    shape: &Shape,
    tile: usize,
    position: [usize; 2],
    pass: usize,
    chunk: usize,
) -> BitWord {
    let mut word = BitWord::default();
    for oc in tile * shape.oc..(tile + 1) * shape.oc {
        for channel in chunk * shape.ic..(chunk + 1) * shape.ic {
            word.push(kernel.at(pass, oc, position, channel).into(), 8);
        }
    }
    word
}
