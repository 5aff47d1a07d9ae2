//! The weight image of a design that reads its weights from memory: `mem/ddr.bin`, as it lies from
//! WEIGHT_BASE on. The regions of the ports follow one another, those of each precision behind those of the
//! one before, each from a page of 4,096 bytes on: blocks as `weight_unpack` reads them, all little endian.

use macforge_plan::{BitWord, HwPlan, WeightStream};
use std::ops::Range;

/// The kind of the last block, which is skipped.
const SKIP: u64 = 3;

/// All regions.
pub fn image(plan: &HwPlan, stream: &WeightStream) -> Vec<u8> {
    let mut image = Vec::with_capacity(stream.image_bytes());
    for set in 0..stream.sets.len() {
        let mut first = 0;
        for (port, own) in stream.slices.iter().enumerate() {
            image.resize(stream.first_byte(set, port), 0);
            let bytes = stream.bus / 8;
            let part = first * bytes..(first + own) * bytes;
            region((plan, stream), (set, port), part, &mut image);
            first += own;
        }
    }
    image.resize(stream.image_bytes(), 0);
    image
}

/// The region of a set at a port; `part` are the port's bytes of a weight word.
fn region(
    (plan, stream): (&HwPlan, &WeightStream),
    (set, port): (usize, usize),
    part: Range<usize>,
    image: &mut Vec<u8>,
) {
    let of_set = stream.sets[set].clone();
    let layers = stream.layers.iter().zip(&plan.layers.layers);
    let before = layers.clone().take(of_set.start);
    let params = before.clone().map(|(l, _)| l.tiles * l.params);
    let mut params = plan.streamed_params.iter().skip(params.sum());
    // an LSTM's words are not among those of the plan
    let words = before.filter(|(_, planned)| planned.lstm().is_none());
    let words = words.map(|(l, _)| l.tiles * l.words);
    let mut words = plan.weights.iter().skip(words.sum());
    for (layer, planned) in layers.skip(of_set.start).take(of_set.len()) {
        let recurrent = planned.lstm().zip(plan.features.streamed_lstm());
        let recurrent = recurrent.map(|(lstm, size)| lstm.stream_words(&size));
        let kind = match layer.bits {
            2 => 2,
            4 => 1,
            _ => 0,
        };
        for _ in 0..layer.tiles {
            if layer.params > 0 {
                let own = params.by_ref().take(layer.params);
                words_block((own, 0, 8), (stream, port, &part), image);
            }
            // an LSTM's words are the same in every step
            if let Some(own) = &recurrent {
                words_block((own.iter(), kind, layer.bits), (stream, port, &part), image);
                continue;
            }
            let own = words.by_ref().take(layer.words);
            words_block((own, kind, layer.bits), (stream, port, &part), image);
        }
    }
    let beats = stream.filling(set, port) - stream.header_beats();
    block(SKIP, beats, &vec![0; beats * stream.bus / 8], image);
}

/// A block of a port's parts of words, `bits` of each byte.
fn words_block<'a>(
    (words, kind, bits): (impl Iterator<Item = &'a BitWord>, u64, usize),
    (stream, port, part): (&WeightStream, usize, &Range<usize>),
    image: &mut Vec<u8>,
) {
    let part_bytes = stream.part_beats(port, bits) * stream.bus / 8;
    let (mut count, mut body) = (0, Vec::new());
    for word in words {
        let bytes = part.clone();
        let bytes = bytes.map(|b| word.bytes().get(b).copied().unwrap_or(0));
        narrow(bytes, bits, &mut body);
        count += 1;
        body.resize(count * part_bytes, 0);
    }
    block(kind, count, &body, image);
}

/// The low `bits` of each weight, one after the other.
fn narrow(weights: impl Iterator<Item = u8>, bits: usize, body: &mut Vec<u8>) {
    let each = 8 / bits;
    for (at, weight) in weights.enumerate() {
        let low = (weight & (0xff >> (8 - bits))) << (at % each * bits);
        match body.last_mut() {
            Some(last) if at % each > 0 => *last |= low,
            _ => body.push(low),
        }
    }
}

/// A header with its CRC-32, and the body.
fn block(kind: u64, count: usize, body: &[u8], image: &mut Vec<u8>) {
    let header = (kind << 24 | count as u64) << 32;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header.to_le_bytes());
    crc.update(body);
    image.extend((header | u64::from(crc.finalize())).to_le_bytes());
    image.extend(body);
}
