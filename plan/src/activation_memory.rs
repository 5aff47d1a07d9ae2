//! Where the activations in memory lie: area after area, in each row after row, in a row pixel after pixel with
//! all of its channel words. A word takes whole beats and a row whole bursts (`activation_writer` states the
//! format).

use crate::input::InputMode;
use crate::layers::Layers;
use crate::layout::{Layout, Storage};
use crate::region::StorageId;
use crate::shape::Shape;
use crate::stream::BURST;

/// Words of an input that its loader may write after it was told to wait; `activation_writer` has places for
/// them.
pub const INPUT_WORDS: usize = 32;

/// The activations of a plan in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationMemory {
    /// Bursts of 16 beats, all areas.
    pub bursts: usize,
    /// Bytes of a burst.
    pub burst_bytes: usize,
    /// The input that is written there.
    pub input: Option<SpilledInput>,
    /// By [`StorageId`]: first burst of an area and bursts of a row, of those in memory.
    areas: Vec<Option<[usize; 2]>>,
}

/// An input that its loader writes to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpilledInput {
    /// Which one.
    pub index: usize,
    /// First burst.
    pub burst: usize,
    /// Words of a row.
    pub row_words: usize,
}

impl ActivationMemory {
    /// Of the areas that lie in memory, behind ports of `bus` bits; `None` where there are none.
    pub fn new(layers: &Layers, layout: &Layout, shape: &Shape, bus: usize) -> Option<Self> {
        let storage = |area: usize| layout.storage(StorageId(area));
        let mut bursts = 0;
        let areas = layers.areas.iter().enumerate().map(|(area, known)| {
            known.memory.then(|| {
                let row = row_bursts(storage(area), shape, bus);
                let first = bursts;
                bursts += known.hwc[0] * row;
                [first, row]
            })
        });
        let areas: Vec<Option<[usize; 2]>> = areas.collect();
        let inputs = layers.inputs.iter().enumerate();
        let input = inputs.filter_map(|(index, port)| {
            let area = port.region.storage.0;
            Some(SpilledInput {
                index,
                burst: areas[area]?[0],
                row_words: row_words(storage(area)),
            })
        });
        let input = input.into_iter().next();
        (bursts > 0).then_some(ActivationMemory {
            bursts,
            burst_bytes: BURST * bus / 8,
            input,
            areas,
        })
    }

    /// First burst of a row of an area in memory, and bursts of each.
    pub fn row(&self, area: StorageId, row: usize) -> Option<[usize; 2]> {
        self.areas[area.0].map(|[first, each]| [first + row * each, each])
    }

    /// Bytes that an inference writes and reads, its input included.
    pub fn traffic(&self, layers: &Layers) -> u64 {
        let moved =
            (layers.layers.iter()).filter_map(|layer| layer.transfer().map(|[_, there]| there));
        let inputs = layers.inputs.iter().map(|port| &port.region);
        let rows = moved.chain(inputs).filter_map(|region| {
            let [_, row] = self.areas[region.storage.0]?;
            Some(region.hwc[0] * row)
        });
        (rows.sum::<usize>() * self.burst_bytes) as u64
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.bursts * self.burst_bytes
    }
}

/// Words of a row of an area.
fn row_words(storage: &Storage) -> usize {
    storage.hwc[1] * storage.words
}

/// Bursts of a row behind a port of `bus` bits.
pub fn row_bursts(storage: &Storage, shape: &Shape, bus: usize) -> usize {
    let beats = (8 * shape.word).div_ceil(bus);
    (row_words(storage) * beats).div_ceil(BURST)
}

/// Whether the loader of an input in memory writes no more words at once than there are places for.
pub fn input_has_room(layers: &Layers, mode: &InputMode, shape: &Shape) -> bool {
    match mode {
        InputMode::Folded { area, .. } if layers.areas[area.0].memory => {
            let [_, _, channels] = mode.stored_hwc(layers, *area);
            channels.div_ceil(shape.word) <= INPUT_WORDS
        }
        _ => true,
    }
}
