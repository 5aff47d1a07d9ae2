//! Four products of 4-bit numbers in one 25x18 multiplier:
//! `P = START + sum((w1 * 2^20 + w0) * (a1 * 2^10 + a0))`.
//!
//! Two weights meet two activations. The sums of the four products lie in fields of ten bits: `w0*a0` at
//! bit 0, `w0*a1` at 10, `w1*a0` at 20, `w1*a1` at 30. [`START`] gives each of the lower three half a
//! field, so none of them is ever negative and none borrows from the one above: a field is a slice of
//! `P`, its top bit inverted.
//!
//! Why ten bits: the operand `w1 * 2^K + w0` has to fit 25 bits signed, so `K <= 20`; with the lower
//! three fields as wide as possible, `K = 2 * M` and `M = 10`. A product is -56..=64, so a chain of
//! eight stays in -448..=512, and in -512..=511 unless all eight weights are -8.

use crate::interval::Interval;
use crate::packing::lane_bound;

/// Bits of a field; the distance of the two activations.
pub const FIELD_BITS: u32 = 10;

/// Distance of the two weights, in bits.
pub const WEIGHT_SHIFT: u32 = 2 * FIELD_BITS;

/// Bits of an operand.
pub const OPERAND_BITS: u32 = 4;

/// Bits of the two activations side by side.
pub const ACTIVATIONS_BITS: u32 = FIELD_BITS + OPERAND_BITS + 1;

/// Values of a weight, and of an activation less its offset.
pub const OPERAND: Interval = Interval { lo: -8, hi: 7 };

/// Longest chain that is built.
pub const MAX_CHAIN: usize = 8;

/// What a field holds.
pub const FIELD: Interval = Interval {
    lo: -(1 << (FIELD_BITS - 1)),
    hi: (1 << (FIELD_BITS - 1)) - 1,
};

/// What a chain begins with.
pub const START: i64 = (1 << (FIELD_BITS - 1)) * (1 + (1 << FIELD_BITS) + (1 << (2 * FIELD_BITS)));

/// The packed weights `w1 * 2^20 + w0`; in 25 bits for all values of [`OPERAND`].
pub fn pack_weights(w1: i8, w0: i8) -> i64 {
    (i64::from(w1) << WEIGHT_SHIFT) + i64::from(w0)
}

/// The packed activations `a1 * 2^10 + a0`; in 15 bits for all values of [`OPERAND`].
pub fn pack_activations(a1: i8, a0: i8) -> i64 {
    (i64::from(a1) << FIELD_BITS) + i64::from(a0)
}

/// The sums of `w0*a0`, `w0*a1`, `w1*a0` and `w1*a1` in a 48-bit `P`.
///
/// They are the true sums whenever all of them lie in [`FIELD`].
pub fn unpack(p: i64) -> [i64; 4] {
    let half = 1 << (FIELD_BITS - 1);
    let field = |index: u32| (p >> (index * FIELD_BITS)) & (2 * half - 1);
    // the top field has no half: it is two's complement
    [0, 1, 2, 3].map(|index| match index {
        3 => ((field(3) ^ half) & (2 * half - 1)) - half,
        _ => field(index) - half,
    })
}

/// Whether the sum of a chain with these weights stays in its field, whatever the activations are.
pub fn fits_field(weights: &[i8]) -> bool {
    FIELD.encloses(lane_bound(weights, OPERAND))
}

/// What is subtracted from stored activations of a range so that they are values of [`OPERAND`]: the
/// nearest multiple of eight, if there is one.
///
/// The difference is then the low four bits of the stored byte, read as a signed number, the top one
/// inverted where [`inverts`] says so.
pub fn offset(range: Interval) -> Option<i32> {
    let fits = |&offset: &i32| OPERAND.encloses(range + Interval::point(-i64::from(offset)));
    (-15..=15)
        .map(|eighths| 8 * eighths)
        .filter(fits)
        .min_by_key(|offset| offset.abs())
}

/// What the low part of an activation of eight bits is less, see [`parts`].
pub const PARTS_OFFSET: i32 = 8;

/// An activation of eight bits as two of four, high and low:
/// `value = 2^OPERAND_BITS * high + low + PARTS_OFFSET`.
///
/// The high part is the high four bits of the byte, the low one its low four bits with the top one inverted.
pub fn parts(value: i8) -> [i8; 2] {
    let low = value & ((1 << OPERAND_BITS) - 1);
    [value >> OPERAND_BITS, low - PARTS_OFFSET as i8]
}

/// Whether the low four bits of a stored byte need their top bit inverted to be the byte less `offset`.
pub fn inverts(offset: i32) -> bool {
    offset.rem_euclid(16) == 8
}
