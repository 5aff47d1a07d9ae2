//! Two int8 products in one 25x18 multiplier: `P = (w1 * 2^17 + w0) * a`.
//!
//! A chain of such products is summed in one 48-bit word. The low lane is the low 17 bits, read
//! as a signed number; the high lane is the rest, plus one where the low lane is negative.

use crate::interval::Interval;

/// Distance between the lanes, in bits.
pub const LANE_SHIFT: u32 = 17;

/// Longest chain that is built. With weights in -127..=127 and any int8 activations the low lane
/// holds four products: `4 * 127 * 128 = 65024 < 65536`.
pub const MAX_CHAIN: usize = 4;

/// What the low lane can hold: 17 bits, signed.
pub const LOW_LANE: Interval = Interval {
    lo: -(1 << 16),
    hi: (1 << 16) - 1,
};

/// What the pre-adder's result can hold: 25 bits, signed.
const PRE_ADDER: Interval = Interval {
    lo: -(1 << 24),
    hi: (1 << 24) - 1,
};

/// The packed operand `w1 * 2^17 + w0`.
pub fn pack(w1: i8, w0: i8) -> i64 {
    (i64::from(w1) << LANE_SHIFT) + i64::from(w0)
}

/// Whether the packed operand fits the 25-bit multiplier input. It does unless the high weight is
/// -128 and the low one is negative.
pub fn fits_operand(w1: i8, w0: i8) -> bool {
    PRE_ADDER.contains(pack(w1, w0))
}

/// The two lane sums `(lo, hi)` of a 48-bit `P`: `lo = sext(P[16:0])`, `hi = P[47:17] + P[16]`.
///
/// They are the true sums whenever the low one lies in [`LOW_LANE`].
pub fn unpack(p: i64) -> (i64, i64) {
    let lo = (p << (64 - LANE_SHIFT)) >> (64 - LANE_SHIFT);
    let hi = (p >> LANE_SHIFT) + ((p >> (LANE_SHIFT - 1)) & 1);
    (lo, hi)
}

/// Range of the sum of a chain's low-lane products, for every activation in `activation`.
///
/// Partial sums are not included: a chain may wrap on the way, as only its end is unpacked.
pub fn lane_bound(weights: &[i8], activation: Interval) -> Interval {
    weights.iter().fold(Interval::point(0), |sum, &w| {
        sum + Interval::point(i64::from(w)) * activation
    })
}

/// Whether a low lane with these weights can never overflow.
pub fn fits_low_lane(weights: &[i8], activation: Interval) -> bool {
    LOW_LANE.encloses(lane_bound(weights, activation))
}
