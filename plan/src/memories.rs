//! Which memory lies in block RAM and which in LUTs. Block RAM first; where it does not suffice, the
//! parameters and the last, partly filled block of weights move to LUTs.

use crate::params::lane_bits;
use crate::resources::{self, Budget, Estimate, Features, LstmSize, Memory, Place};
use crate::shape::Shape;
use crate::stream::WeightStream;

/// Parameter memories up to this many words cost less in LUTs than in block RAM.
const DISTRIBUTED_WORDS: usize = 64;

/// Activation banks up to this depth become LUT RAM (Yosys decides so).
const LUT_RAM_WORDS: usize = 64;

/// Depth of a block RAM in its widest form; the weights are split at a multiple of it.
const BLOCK_WORDS: usize = 512;

/// A ring grows where that saves more than this part of all cycles.
const WORTH: u64 = 1000;

/// Where the memories lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memories {
    /// The requantizer parameters are in LUTs.
    pub params_distributed: bool,
    /// Weight words in LUTs, behind a multiple of 512 words in block RAM; 0 = all in block RAM.
    pub weight_tail: usize,
}

/// The weight memories of a design that holds all `words` on chip, and the stage that widens narrow weights.
fn weights_on_chip(shape: &Shape, words: usize, parts: usize, choice: &Memories) -> Vec<Memory> {
    let width = shape.oc * shape.ic * 8;
    let weight = |depth, place| Memory::single(width, depth, place).shifted();
    let block = weight(words - choice.weight_tail, Place::Block);
    vec![
        Memory {
            widened: parts > 1,
            ..block
        },
        weight(choice.weight_tail, Place::LutRom),
    ]
}

/// The rings of a design that reads them from memory, and the places of the constants that come with them.
fn rings(stream: &WeightStream, depth: usize) -> Vec<Memory> {
    let ring = |beats: &usize| Memory::single(beats * stream.bus, depth, Place::Block).shifted();
    let mut rings: Vec<Memory> = stream.slices.iter().map(ring).collect();
    if stream.param_entries > 0 {
        let places = Memory::single(stream.param_width, stream.param_slots, Place::LutRam);
        rings.push(places);
    }
    rings
}

/// Words of the memories outside of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// Activation words per bank of each buffer.
    pub activations: [usize; 2],
    /// Parameter words.
    pub params: usize,
}

/// The activation buffers with banks of `depths` words.
pub fn activations(shape: &Shape, depths: [usize; 2]) -> [Memory; 2] {
    depths.map(|depth| Memory {
        width: shape.word * 8,
        segment: shape.lanes * 8,
        depth,
        count: shape.p,
        place: if depth <= LUT_RAM_WORDS {
            Place::LutRam
        } else {
            Place::Block
        },
        shifted: false,
        widened: false,
    })
}

/// The other memories, those of the units among them.
fn others(shape: &Shape, words: Words, features: Features, choice: &Memories) -> Vec<Memory> {
    let param_width = shape.lanes * lane_bits(features);
    let mut memories: Vec<Memory> = activations(shape, words.activations).into();
    memories.push(Memory {
        width: param_width,
        segment: param_width,
        depth: words.params,
        count: 1,
        place: if choice.params_distributed {
            Place::LutRom
        } else {
            Place::Block
        },
        shifted: false,
        widened: false,
    });
    memories.extend(features.lstm.iter().flat_map(LstmSize::memories));
    let attention = features.attention.iter();
    memories.extend(attention.flat_map(|a| a.memories(shape.word)));
    memories
}

/// The first choice that fits the budget, or the first of all.
pub fn choose(
    shape: &Shape,
    features: Features,
    program_bits: usize,
    ([weights, weight_parts], words): ([usize; 2], Words),
    budget: &Budget,
) -> (Memories, Estimate) {
    let small = words.params <= DISTRIBUTED_WORDS;
    let tail = if weights > BLOCK_WORDS && !features.computed {
        weights % BLOCK_WORDS
    } else {
        0
    };
    let judge = |params_distributed: bool, weight_tail: usize| {
        let choice = Memories {
            params_distributed,
            weight_tail,
        };
        let mut memories = weights_on_chip(shape, weights, weight_parts, &choice);
        memories.extend(others(shape, words, features, &choice));
        (
            choice,
            resources::estimate(shape, features, program_bits, &memories, None),
        )
    };
    let choices = [
        judge(small, 0),
        judge(true, 0),
        judge(small, tail),
        judge(true, tail),
    ];
    *choices
        .iter()
        .find(|(_, e)| e.fits(budget))
        .unwrap_or(&choices[0])
}

/// The same where the weights come from memory: the parameters, and the depth of the rings. `compute`
/// are the layers' cycles without waiting; a deeper ring has to be worth its block RAM.
pub fn choose_streamed(
    shape: &Shape,
    features: Features,
    program_bits: usize,
    words: Words,
    (stream, compute): (&WeightStream, &[u64]),
    budget: &Budget,
) -> (Memories, Estimate, usize) {
    let judge = |depth: usize, params_distributed: bool| {
        let choice = Memories {
            params_distributed,
            weight_tail: 0,
        };
        let mut memories = rings(stream, depth);
        memories.extend(others(shape, words, features, &choice));
        let estimate = resources::estimate(shape, features, program_bits, &memories, Some(stream));
        (choice, estimate, depth)
    };
    let fitting = |depth: usize| {
        let small = words.params <= DISTRIBUTED_WORDS;
        let choices = [judge(depth, small), judge(depth, true)];
        choices.into_iter().find(|(_, e, _)| e.fits(budget))
    };
    let stalls = |depth: usize| stream.stalls(depth, compute).iter().sum::<u64>();
    // the deeper, the fewer stalls and the more block RAM
    let depths: Vec<usize> = stream.depths().collect();
    let fit = depths.partition_point(|&depth| fitting(depth).is_some());
    let Some(&deepest) = depths[..fit].last() else {
        return judge(depths[0], words.params <= DISTRIBUTED_WORDS);
    };
    let most = stalls(deepest) + compute.iter().sum::<u64>() / WORTH;
    let enough = depths[..fit].partition_point(|&depth| stalls(depth) > most);
    fitting(depths[enough.min(fit - 1)]).expect("a depth that fits")
}
