//! 16-bit functions as tables of their non-negative half: what the LSTM unit looks up.

use crate::lstm::GATE_INTEGER_BITS;
use crate::transcendental::{logistic, tanh};

/// The logistic function and the tanh functions of an LSTM.
///
/// ```text
/// m = min(|s|, 32767)      v = base[m >> block_bits] + delta[m]
/// y = s >= 0 ? v : 32767 - v (logistic) or -v (tanh)
/// ```
///
/// `base` is the least value of a block of `2^block_bits` inputs, so `delta` is narrow although the
/// functions' rounding makes them rise unevenly. [`Self::new`] compares every input of every
/// function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HalfTables {
    /// Inputs per block, as a power of two.
    pub block_bits: u32,
    /// Bits of a difference.
    pub delta_bits: u32,
    /// Integer bits of the arguments of the tanh functions, which are numbered from 1: the gates' first.
    pub tanh_bits: Vec<u32>,
    /// Per function, the least values of its blocks; near zero some are negative.
    pub base: Vec<Vec<i16>>,
    /// Per function, 32,768 differences.
    pub delta: Vec<Vec<u16>>,
}

/// Inputs of a half.
const HALF: usize = 1 << 15;

impl HalfTables {
    /// The tables for cell states with these integer bits, of the block size with the fewest bits.
    ///
    /// # Panics
    /// An input whose looked-up value is not the function's: a defect, as the tests cover every rule.
    pub fn new(cell_integer_bits: &[u32]) -> Self {
        let mut tanh_bits = vec![GATE_INTEGER_BITS];
        for &bits in cell_integer_bits {
            if !tanh_bits.contains(&bits) {
                tanh_bits.push(bits);
            }
        }
        let mut values = vec![half(|m| logistic::<16>(m, GATE_INTEGER_BITS))];
        values.extend(tanh_bits.iter().map(|&bits| half(|m| tanh::<16>(m, bits))));
        let tables = (2..=8)
            .map(|block_bits| Self::with_blocks(&values, &tanh_bits, block_bits))
            .min_by_key(|t| HALF * t.delta_bits as usize + (HALF >> t.block_bits) * 16)
            .expect("seven block sizes");
        for (function, bits) in std::iter::once(None)
            .chain(tanh_bits.iter().copied().map(Some))
            .enumerate()
        {
            for s in i16::MIN..=i16::MAX {
                let wanted = match bits {
                    None => logistic::<16>(s.into(), GATE_INTEGER_BITS),
                    Some(bits) => tanh::<16>(s.into(), bits),
                };
                assert_eq!(
                    i64::from(tables.lookup(function, s)),
                    wanted,
                    "{function}({s})"
                );
            }
        }
        tables
    }

    fn with_blocks(values: &[Vec<i16>], tanh_bits: &[u32], block_bits: u32) -> Self {
        let least = |block: &[i16]| block.iter().copied().min().unwrap_or(0);
        let size = 1 << block_bits;
        let base: Vec<Vec<i16>> = values
            .iter()
            .map(|v| v.chunks(size).map(least).collect())
            .collect();
        let delta: Vec<Vec<u16>> = values
            .iter()
            .zip(&base)
            .map(|(v, base)| (0..HALF).map(|m| v[m].abs_diff(base[m / size])).collect())
            .collect();
        let widest = delta.iter().flatten().copied().max().unwrap_or(0);
        Self {
            block_bits,
            delta_bits: (u16::BITS - widest.leading_zeros()).max(1),
            tanh_bits: tanh_bits.to_vec(),
            base,
            delta,
        }
    }

    /// Which function is the tanh of a cell state with these integer bits, if the tables have it.
    pub fn cell_function(&self, integer_bits: u32) -> Option<usize> {
        let place = self.tanh_bits.iter().position(|&bits| bits == integer_bits);
        place.map(|place| place + 1)
    }

    /// The value that the tables give for function `function` (0 is the logistic one).
    pub fn lookup(&self, function: usize, s: i16) -> i16 {
        let m = usize::from(s.unsigned_abs().min(32767));
        let v = self.base[function][m >> self.block_bits] + self.delta[function][m].cast_signed();
        match (s < 0, function) {
            (false, _) => v,
            (true, 0) => 32767 - v,
            (true, _) => -v,
        }
    }
}

fn half(f: impl Fn(i64) -> i64) -> Vec<i16> {
    (0..HALF as i64).map(|m| f(m) as i16).collect()
}
