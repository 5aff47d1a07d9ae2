//! The kernel in plain Rust.

use super::{BLOCK, LANES, STEP, Tile};

/// Adds one row of tiles to the sums of every input vector.
pub(super) fn multiply(
    tiles: &[Tile],
    inputs: &[u8],
    stride: usize,
    sums: &mut [[i32; LANES]; BLOCK],
) {
    for (input, sums) in inputs.chunks_exact(stride).zip(sums) {
        for (tile, x) in tiles.iter().zip(input.chunks_exact(STEP)) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                for (k, &x) in x.iter().enumerate() {
                    *sum += i32::from(tile[lane * STEP + k]) * i32::from(x);
                }
            }
        }
    }
}
