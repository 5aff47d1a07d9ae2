//! Bit vectors for memory images and program words.

/// A little-endian bit vector that fields are appended to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BitWord {
    /// Least significant first; bits from `len` on are zero.
    bytes: Vec<u8>,
    len: usize,
}

impl BitWord {
    /// Appends the low `width` bits of `value` (two's complement).
    pub fn push(&mut self, value: i64, width: usize) {
        if width == 8 && self.len.is_multiple_of(8) {
            self.bytes.push(value as u8);
            self.len += 8;
            return;
        }
        for i in 0..width {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((value >> i.min(63)) as u8 & 1) << (self.len % 8);
            self.len += 1;
        }
    }

    /// Appends all bits of another one.
    fn append(&mut self, other: &BitWord) {
        for (index, &byte) in other.bytes.iter().enumerate() {
            self.push(byte.into(), 8.min(other.len - 8 * index));
        }
    }

    /// At most `width` bits from bit `from` on.
    pub fn part(&self, from: usize, width: usize) -> BitWord {
        let mut part = BitWord::default();
        for at in from..self.len.min(from + width) {
            part.push((self.bytes[at / 8] >> (at % 8) & 1).into(), 1);
        }
        part
    }

    /// All bits of several ones, the first one's lowest.
    pub fn joined(words: &[BitWord]) -> BitWord {
        let mut all = BitWord::default();
        words.iter().for_each(|word| all.append(word));
        all
    }

    /// The bits, eight to a byte, least significant first.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True before the first `push`.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Hexadecimal digits, most significant first, as `$readmemh` reads them.
    pub fn hex(&self) -> String {
        let digits = self.len.div_ceil(4).max(1);
        (0..digits)
            .rev()
            .map(|d| {
                let byte = self.bytes.get(d / 2).copied().unwrap_or(0);
                char::from_digit(u32::from(byte >> (4 * (d % 2)) & 15), 16).expect("a nibble")
            })
            .collect()
    }
}

/// Bits of an unsigned field that holds `max`; at least 1.
pub fn unsigned_bits(max: usize) -> usize {
    (usize::BITS - max.leading_zeros()).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_most_significant_first_and_sign_extends() {
        let mut word = BitWord::default();
        word.push(0x5, 4);
        word.push(-2, 8);
        word.push(1, 1);
        assert_eq!(word.hex(), "1fe5");
    }

    #[test]
    fn unsigned_bits_hold_the_value() {
        for max in [0usize, 1, 2, 3, 4, 255, 256] {
            let bits = unsigned_bits(max);
            assert!(max < 1 << bits && (bits == 1 || max >= 1 << (bits - 1)));
        }
    }
}
