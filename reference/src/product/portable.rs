//! The kernel in plain Rust.

use super::{STEP, Sums, Tile};

/// Adds the products of one or two tile rows to the sums of every input vector.
pub(super) fn multiply(tiles: &[Tile], inputs: &[u8], stride: usize, sums: &mut Sums) {
    for (tiles, sums) in tiles.chunks_exact(stride / STEP).zip(sums) {
        for (input, sums) in inputs.chunks_exact(stride).zip(sums) {
            for (tile, x) in tiles.iter().zip(input.chunks_exact(STEP)) {
                for (sum, weights) in sums.iter_mut().zip(tile.chunks_exact(STEP)) {
                    for (&w, &x) in weights.iter().zip(x) {
                        *sum += i32::from(w) * i32::from(x);
                    }
                }
            }
        }
    }
}
