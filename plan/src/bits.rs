//! Bit vectors for memory images and program words.

/// A little-endian bit vector that fields are appended to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BitWord {
    bits: Vec<bool>,
}

impl BitWord {
    /// Appends the low `width` bits of `value` (two's complement).
    pub fn push(&mut self, value: i64, width: usize) {
        for i in 0..width {
            self.bits.push((value >> i.min(63)) & 1 == 1);
        }
    }

    /// Number of bits.
    pub fn len(&self) -> usize {
        self.bits.len()
    }

    /// True before the first `push`.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// Hexadecimal digits, most significant first, as `$readmemh` reads them.
    pub fn hex(&self) -> String {
        let digits = self.bits.len().div_ceil(4).max(1);
        (0..digits)
            .rev()
            .map(|d| {
                let nibble = (0..4).fold(0u32, |n, i| {
                    n | u32::from(self.bits.get(4 * d + i).copied().unwrap_or(false)) << i
                });
                char::from_digit(nibble, 16).expect("a nibble")
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
