//! The kernel with AVX-512 VNNI: `vpdpbusd` adds four products of unsigned and signed bytes to
//! each of sixteen int32 sums, without saturation.
#![allow(unsafe_code)] // a call into code for a processor feature, and vector loads and stores

use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_storeu_si512,
};

use super::{BLOCK, LANES, PAIR, Product, STEP, Sums, Tile};

/// Whether this processor has the instructions.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

/// [`Product::apply`] on a processor that [`is_available`] has accepted.
pub(super) fn apply(product: &Product, inputs: &[u8], out: &mut [i8]) -> u64 {
    assert!(is_available(), "the processor has no AVX-512 VNNI");
    // SAFETY: the features were just checked.
    unsafe { apply_detected(product, inputs, out) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn apply_detected(product: &Product, inputs: &[u8], out: &mut [i8]) -> u64 {
    product.apply_with(inputs, out, |tiles, inputs, stride, sums| {
        let full = inputs.len() == BLOCK * stride;
        match (full, tiles.split_at_checked(stride / STEP)) {
            // a full block keeps its sums in registers
            (true, Some((first, second))) if !second.is_empty() => {
                multiply::<BLOCK, 2>([first, second], inputs, stride, sums);
            }
            (true, _) => multiply::<BLOCK, 1>([tiles], inputs, stride, sums),
            (false, _) => {
                for (tiles, sums) in tiles.chunks_exact(stride / STEP).zip(sums) {
                    for (input, sums) in inputs.chunks_exact(stride).zip(sums) {
                        let mut one = [[[0; LANES]; BLOCK]; PAIR];
                        multiply::<1, 1>([tiles], input, stride, &mut one);
                        *sums = one[0][0];
                    }
                }
            }
        }
    })
}

/// `N` input vectors times `T` tile rows.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply<const N: usize, const T: usize>(
    tiles: [&[Tile]; T],
    inputs: &[u8],
    stride: usize,
    sums: &mut Sums,
) {
    let steps = stride / STEP;
    let rows: [&[[u8; STEP]]; N] = std::array::from_fn(|row| {
        let (fours, _) = inputs[row * stride..(row + 1) * stride].as_chunks();
        &fours[..steps]
    });
    let tiles = tiles.map(|of_tile| &of_tile[..steps]);
    let mut acc = [[_mm512_setzero_si512(); N]; T];
    for step in 0..steps {
        let weights = tiles.map(|of_tile| load(&of_tile[step]));
        for (index, row) in rows.iter().enumerate() {
            let x = _mm512_set1_epi32(i32::from_le_bytes(row[step]));
            for (acc, weights) in acc.iter_mut().zip(weights) {
                acc[index] = _mm512_dpbusd_epi32(acc[index], x, weights);
            }
        }
    }
    for (sums, acc) in sums.iter_mut().zip(acc) {
        for (sums, acc) in sums.iter_mut().zip(acc) {
            // SAFETY: sixteen int32 are the 64 bytes that the store writes.
            unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), acc) };
        }
    }
}

#[target_feature(enable = "avx512f")]
fn load(tile: &Tile) -> __m512i {
    // SAFETY: a tile is the 64 bytes that the load reads.
    unsafe { _mm512_loadu_si512(tile.as_ptr().cast()) }
}
