//! Dense layers prepared for speed: the same sums as [`crate::dot`], many at a time.
//!
//! Inputs are held as `x + 128` (0..=255) and weights in tiles of [`LANES`] output channels x
//! [`STEP`] inputs, so that one instruction of AVX-512 VNNI multiplies a whole tile. What the bias
//! of 128 and the zero point add to a sum is a constant of the channel. Layers whose sums could
//! leave int32 on the way, and ones with asymmetric weights or groups, are not prepared.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use macforge_numeric::{RequantRow, RequantRule, Requantizer};

/// Output channels of a tile.
pub(crate) const LANES: usize = 16;

/// Inputs that a tile multiplies at once.
pub(crate) const STEP: usize = 4;

/// Input vectors that are multiplied together.
pub(crate) const BLOCK: usize = 8;

/// Channel tiles that are multiplied together, so that an input is loaded once for both.
pub(crate) const PAIR: usize = 2;

/// Sums of a block: of every tile, of every input vector, of every channel.
type Sums = [[[i32; LANES]; BLOCK]; PAIR];

/// A tile: input `k` of channel `c` at `c * STEP + k`.
pub(crate) type Tile = [i8; LANES * STEP];

/// An input as the kernels take it: `x + 128`.
pub(crate) fn biased(x: i8) -> u8 {
    x.cast_unsigned() ^ 0x80
}

/// A dense layer's weights, constants and requantizers.
pub(crate) struct Product {
    /// Channel tile after channel tile, each over all steps.
    tiles: Vec<Tile>,
    /// Tiles that lie behind one another for a channel: inputs over [`STEP`], rounded up.
    steps: usize,
    channels: usize,
    /// Added to `sum(w * (x + 128))`: the bias less `(128 + zx) * sum(w)`.
    offsets: Vec<i32>,
    requant: RequantRow<LANES>,
    lower_is_activation: bool,
}

impl Product {
    /// Prepares `weights` (`[channels, depth]`, zero point 0) for inputs with the zero point
    /// `input_zero_point`; `None` where a sum could leave int32, the counts do not fit, or the layer has
    /// int16 operands or results.
    pub fn new(
        weights: &[i16],
        [channels, depth]: [usize; 2],
        bias: &[i32],
        requant: &[Requantizer],
        input_zero_point: i32,
        lower_is_activation: bool,
    ) -> Option<Self> {
        let fits = [bias.len(), requant.len()] == [channels; 2]
            && Some(weights.len()) == channels.checked_mul(depth);
        let wide = |r: &Requantizer| matches!(r.rule, RequantRule::Wide { .. });
        if !fits || depth == 0 || requant.iter().any(wide) {
            return None;
        }
        let steps = depth.div_ceil(STEP);
        let mut tiles = vec![[0; LANES * STEP]; channels.div_ceil(LANES) * steps];
        let mut offsets = Vec::with_capacity(channels);
        for (channel, row) in weights.chunks_exact(depth).enumerate() {
            let first = channel / LANES * steps;
            for (k, &w) in row.iter().enumerate() {
                tiles[first + k / STEP][channel % LANES * STEP + k % STEP] =
                    i8::try_from(w).ok()?;
            }
            let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
            let magnitude: i64 = row.iter().map(|&w| i64::from(w).abs()).sum();
            let offset = i64::from(bias[channel]) - (128 + i64::from(input_zero_point)) * sum;
            if magnitude * 255 + offset.abs() > i64::from(i32::MAX) {
                return None;
            }
            offsets.push(offset as i32);
        }
        offsets.resize(channels.div_ceil(LANES) * LANES, 0);
        Some(Self {
            tiles,
            steps,
            channels,
            offsets,
            requant: RequantRow::new(requant),
            lower_is_activation,
        })
    }

    /// Bytes of one input vector: its length rounded up; what is behind it has no weight.
    pub fn stride(&self) -> usize {
        self.steps * STEP
    }

    /// Output channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Writes the outputs of the input vectors in `inputs` (`x + 128`, [`Self::stride`] bytes each,
    /// at most [`BLOCK`]); returns the number of saturations.
    pub fn apply(&self, inputs: &[u8], out: &mut [i8]) -> u64 {
        debug_assert_eq!(inputs.len() / self.stride(), out.len() / self.channels);
        #[cfg(target_arch = "x86_64")]
        if avx512::is_available() {
            return avx512::apply(self, inputs, out);
        }
        self.apply_with(inputs, out, portable::multiply)
    }

    /// The layer with `multiply(tiles, inputs, stride, sums)`, which multiplies one or two tile
    /// rows with every input vector.
    #[inline(always)]
    fn apply_with(
        &self,
        inputs: &[u8],
        out: &mut [i8],
        multiply: impl Fn(&[Tile], &[u8], usize, &mut Sums),
    ) -> u64 {
        let mut saturations = 0;
        for (pair, tiles) in self.tiles.chunks(PAIR * self.steps).enumerate() {
            let mut sums = [[[0; LANES]; BLOCK]; PAIR];
            multiply(tiles, inputs, self.stride(), &mut sums);
            for (index, sums) in sums.iter().take(tiles.len() / self.steps).enumerate() {
                saturations += self.requantize(pair * PAIR + index, sums, out);
            }
        }
        saturations
    }

    /// Writes the outputs of one tile's channels; returns the number of saturations.
    #[inline(always)]
    fn requantize(&self, tile: usize, sums: &[[i32; LANES]; BLOCK], out: &mut [i8]) -> u64 {
        let first = tile * LANES;
        let used = LANES.min(self.channels - first);
        let offsets: [i32; LANES] = std::array::from_fn(|lane| self.offsets[first + lane]);
        let mut saturations = 0;
        for (row, sums) in out.chunks_exact_mut(self.channels).zip(sums) {
            let acc = std::array::from_fn(|lane| sums[lane] + offsets[lane]);
            let (values, saturated) = self.requant.apply(tile, &acc, self.lower_is_activation);
            row[first..first + used].copy_from_slice(&values[..used]);
            saturations += u64::from(saturated);
        }
        saturations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use macforge_numeric::Clamp;

    fn requantizer(channel: usize, rule: impl Fn(usize) -> RequantRule) -> Requantizer {
        Requantizer {
            rule: rule(channel),
            zero_point: -3,
            clamp: Clamp { lo: -128, hi: 100 },
        }
    }

    /// Every kernel against the plain sum, on extremes and mixed values, for odd sizes.
    #[test]
    fn all_kernels_equal_the_plain_sum() {
        let rules: [fn(usize) -> RequantRule; 2] = [
            |c| RequantRule::OrtX86 {
                scale: 1e-3 * (c + 1) as f32,
            },
            |c| RequantRule::TfliteDouble {
                multiplier: (1 << 30) + 12_345 * c as i32,
                shift: -8,
            },
        ];
        for (channels, depth, pixels) in [(1, 1, 1), (16, 4, 8), (17, 9, 3), (40, 147, 8)] {
            for rule in rules {
                check(channels, depth, pixels, rule);
            }
        }
    }

    fn check(channels: usize, depth: usize, pixels: usize, rule: fn(usize) -> RequantRule) {
        let mut state = 1u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match state >> 30 {
                0 => -128,
                1 => 127,
                _ => (state >> 22) as u8 as i8,
            }
        };
        let weights: Vec<i8> = (0..channels * depth).map(|_| byte()).collect();
        let inputs: Vec<Vec<i8>> = (0..pixels)
            .map(|_| (0..depth).map(|_| byte()).collect())
            .collect();
        let bias: Vec<i32> = (0..channels as i32).map(|c| 1000 * c - 5000).collect();
        let requant: Vec<_> = (0..channels).map(|c| requantizer(c, rule)).collect();
        let zero_point = 7;
        let product = Product::new(
            &weights.iter().map(|&w| i16::from(w)).collect::<Vec<_>>(),
            [channels, depth],
            &bias,
            &requant,
            zero_point,
            false,
        )
        .unwrap();

        let mut expected = Vec::new();
        let mut saturated = 0;
        for x in &inputs {
            for (c, row) in weights.chunks_exact(depth).enumerate() {
                let sum: i64 = row
                    .iter()
                    .zip(x)
                    .map(|(&w, &x)| i64::from(w) * (i64::from(x) - i64::from(zero_point)))
                    .sum();
                let y = requant[c].unclamped(sum + i64::from(bias[c]));
                expected.push(requant[c].clamp.apply(y) as i8);
                saturated += u64::from(requant[c].clamp.saturates(y, false));
            }
        }
        let mut packed = Vec::new();
        for x in &inputs {
            packed.extend(x.iter().map(|&q| q as u8 ^ 0x80));
            // bytes behind the vector must not matter
            packed.resize(packed.len().next_multiple_of(product.stride()), 0xa5);
        }
        let mut out = vec![0; expected.len()];
        let portable = product.apply_with(&packed, &mut out, portable::multiply);
        assert_eq!((&out, portable), (&expected, saturated));
        out.fill(0);
        assert_eq!(product.apply(&packed, &mut out), saturated);
        assert_eq!(out, expected);
    }

    #[test]
    fn sums_that_could_leave_int32_are_not_prepared() {
        let depth = 70_000;
        let requant = [requantizer(0, |_| RequantRule::Pow2 { shift: 20 })];
        assert!(Product::new(&vec![127i16; depth], [1, depth], &[0], &requant, 0, false).is_none());
        assert!(Product::new(&vec![127; 40_000], [1, 40_000], &[0], &requant, 0, false).is_some());
        assert!(Product::new(&[1], [1, 1], &[i32::MAX], &requant, 0, false).is_none());
    }
}
