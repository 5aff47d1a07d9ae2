//! Narrow weights on chip: two steps of a layer with 4-bit weights, or four of one with 2-bit weights,
//! share a weight word. A design with such layers counts its weight addresses in parts of a word, so
//! a tile may begin inside of one.

use crate::bits::BitWord;
use crate::layers::{HwLayer, Layers};
use crate::loops::Loops;
use crate::resources::{Memory, Place};
use crate::shape::Shape;

/// Parts of a word in which a design can count: 8-bit weights only, 4-bit ones, 2-bit ones.
const PARTS: [usize; 3] = [1, 2, 4];

/// Steps whose weights of `bits` bits share a word of `parts` parts.
pub fn steps_per_word(bits: usize, parts: usize) -> usize {
    (8 / bits).min(parts)
}

/// The weight words of all layers when a word has `parts` parts; strips of a layer share them.
pub fn words(layers: &Layers, loops: &[Loops], parts: usize) -> usize {
    let of_layer = |(layer, l): (&HwLayer, &Loops)| {
        let has_weights = layer.weighted().is_some() || layer.computed().is_some();
        let steps = if has_weights && !layer.again {
            l.tiles * l.steps()
        } else {
            0
        };
        steps.div_ceil(steps_per_word(layer.form.bits, parts))
    };
    layers.layers.iter().zip(loops).map(of_layer).sum()
}

/// The parts of a word with which the weights take the least block RAM, as few as possible.
pub fn parts(shape: &Shape, layers: &Layers, loops: &[Loops]) -> usize {
    let block_ram = |parts: usize| {
        let words = words(layers, loops, parts);
        Memory::single(shape.oc * shape.ic * 8, words, Place::Block).ramb18()
    };
    let best = PARTS.into_iter().min_by_key(|&p| (block_ram(p), p));
    best.expect("a constant list")
}

/// Words with `each` steps from words with one step each: byte by byte, the first step's bits lowest.
pub fn packed(steps: Vec<BitWord>, each: usize) -> Vec<BitWord> {
    if each == 1 {
        return steps;
    }
    let bits = 8 / each;
    let word = |steps: &[BitWord]| {
        let mut word = BitWord::default();
        let bytes = steps.iter().map(|s| s.bytes().len()).max().unwrap_or(0);
        for byte in 0..bytes {
            for place in 0..each {
                let of_step = steps.get(place).and_then(|s| s.bytes().get(byte));
                word.push(of_step.copied().unwrap_or(0).into(), bits);
            }
        }
        word
    };
    steps.chunks(each).map(word).collect()
}
