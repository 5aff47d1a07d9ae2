//! The kernel with AVX-512 VNNI: `vpdpbusd` adds four products of unsigned and signed bytes to
//! each of sixteen int32 sums, without saturation.
#![allow(unsafe_code)] // a call into code for a processor feature, and vector loads and stores

use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_storeu_si512,
};

use super::{BLOCK, LANES, Product, STEP, Tile};

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
        // a full block keeps its sums in registers
        if inputs.len() == BLOCK * stride {
            multiply::<BLOCK>(tiles, inputs, stride, sums);
        } else {
            for (input, sums) in inputs.chunks_exact(stride).zip(sums) {
                multiply::<1>(tiles, input, stride, std::array::from_mut(sums));
            }
        }
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply<const N: usize>(
    tiles: &[Tile],
    inputs: &[u8],
    stride: usize,
    sums: &mut [[i32; LANES]; N],
) {
    let rows: [&[u8]; N] = std::array::from_fn(|row| &inputs[row * stride..(row + 1) * stride]);
    let mut acc = [_mm512_setzero_si512(); N];
    for (step, tile) in tiles.iter().enumerate() {
        let weights = load(tile);
        for (acc, row) in acc.iter_mut().zip(rows) {
            let four: [u8; STEP] = std::array::from_fn(|k| row[step * STEP + k]);
            let x = _mm512_set1_epi32(i32::from_le_bytes(four));
            *acc = _mm512_dpbusd_epi32(*acc, x, weights);
        }
    }
    for (sums, acc) in sums.iter_mut().zip(acc) {
        // SAFETY: sixteen int32 are the 64 bytes that the store writes.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), acc) };
    }
}

#[target_feature(enable = "avx512f")]
fn load(tile: &Tile) -> __m512i {
    // SAFETY: a tile is the 64 bytes that the load reads.
    unsafe { _mm512_loadu_si512(tile.as_ptr().cast()) }
}
