//! Which memory lies in block RAM and which in LUTs. Block RAM first; where it does not suffice, the
//! parameters and the last, partly filled block of weights move to LUTs.

use crate::params::lane_bits;
use crate::resources::{self, Budget, Estimate, Features, LstmSize, Memory, Place};
use crate::shape::Shape;

/// Parameter memories up to this many words cost less in LUTs than in block RAM.
const DISTRIBUTED_WORDS: usize = 64;

/// Activation banks up to this depth become LUT RAM (Yosys decides so).
const LUT_RAM_WORDS: usize = 64;

/// Depth of a block RAM in its widest form; the weights are split at a multiple of it.
const BLOCK_WORDS: usize = 512;

/// Where the memories lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memories {
    /// The requantizer parameters are in LUTs.
    pub params_distributed: bool,
    /// Weight words in LUTs, behind a multiple of 512 words in block RAM; 0 = all in block RAM.
    pub weight_tail: usize,
}

/// The memories of a design with `[activation words per bank, weight words, parameter words]`.
fn list(
    shape: &Shape,
    words: [usize; 3],
    product_constants: bool,
    choice: &Memories,
) -> Vec<Memory> {
    let [activations, weights, params] = words;
    let weight = |depth: usize, place: Place| Memory {
        width: shape.oc * shape.ic * 8,
        depth,
        count: 1,
        place,
        shifted: true,
    };
    vec![
        weight(weights - choice.weight_tail, Place::Block),
        weight(choice.weight_tail, Place::LutRom),
        Memory {
            width: shape.word * 8,
            depth: activations,
            count: 2 * shape.p,
            place: if activations <= LUT_RAM_WORDS {
                Place::LutRam
            } else {
                Place::Block
            },
            shifted: false,
        },
        Memory {
            width: shape.lanes * lane_bits(product_constants),
            depth: params,
            count: 1,
            place: if choice.params_distributed {
                Place::LutRom
            } else {
                Place::Block
            },
            shifted: false,
        },
    ]
}

/// The first choice that fits the budget, or the first of all.
pub fn choose(
    shape: &Shape,
    features: Features,
    program_bits: usize,
    words: [usize; 3],
    budget: &Budget,
) -> (Memories, Estimate) {
    let [_, weights, params] = words;
    let small = params <= DISTRIBUTED_WORDS;
    let tail = if weights > BLOCK_WORDS {
        weights % BLOCK_WORDS
    } else {
        0
    };
    let judge = |params_distributed: bool, weight_tail: usize| {
        let choice = Memories {
            params_distributed,
            weight_tail,
        };
        let mut memories = list(shape, words, features.product_constants, &choice);
        memories.extend(features.lstm.iter().flat_map(LstmSize::memories));
        (
            choice,
            resources::estimate(shape, features, program_bits, &memories),
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
