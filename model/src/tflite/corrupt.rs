//! Seeded corruptions of a file, for tests that a reader never panics, hangs or eats memory.

/// A damaged copy of `bytes`: bit flips, overwritten words, truncations, removed, repeated or
/// transplanted stretches. The same seed gives the same damage.
pub fn corrupt(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut random = SplitMix(seed);
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(3) {
        if out.is_empty() {
            break;
        }
        // Half of the damage goes to the ends, where headers, offsets and vtables gather.
        let at = match random.below(4) {
            0 => random.below(out.len().min(256)),
            1 => out.len() - 1 - random.below(out.len().min(4096)),
            _ => random.below(out.len()),
        };
        let end = (at + random.below(64)).min(out.len());
        match random.below(6) {
            0 => out[at] ^= 1 << random.below(8),
            1 => out[at] = random.next() as u8,
            2 => out.truncate(at),
            3 => drop(out.drain(at..end)),
            4 => {
                let from = random.below(out.len() - (end - at) + 1);
                out.copy_within(from..from + (end - at), at);
            }
            _ => {
                // An extreme word, where an offset, a length or a size may be.
                let word = [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX][random.below(5)];
                for (slot, byte) in out[at & !3..].iter_mut().zip(u32::to_le_bytes(word)) {
                    *slot = byte;
                }
            }
        }
    }
    out
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform enough in `0..bound`; `bound` is at least 1.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
