//! Four products in one multiplier, against the products themselves.

use macforge_numeric::Interval;
use macforge_numeric::packing::lane_bound;
use macforge_numeric::quad_packing::{
    ACTIVATIONS_BITS, FIELD, MAX_CHAIN, OPERAND, PARTS_OFFSET, START, fits_field, inverts, offset,
    pack_activations, pack_weights, parts, unpack,
};
use proptest::prelude::*;

fn operands() -> impl Iterator<Item = i8> {
    -8..=7
}

/// One product of each pair, in the order of `unpack`.
fn products([w1, w0, a1, a0]: [i8; 4]) -> [i64; 4] {
    [[w0, a0], [w0, a1], [w1, a0], [w1, a1]].map(|[w, a]| i64::from(w) * i64::from(a))
}

fn all_operands() -> impl Iterator<Item = [i8; 4]> {
    let pairs = || operands().flat_map(|x| operands().map(move |y| (x, y)));
    pairs().flat_map(move |(w1, w0)| pairs().map(move |(a1, a0)| [w1, w0, a1, a0]))
}

#[test]
fn four_products_are_unpacked_for_all_operands() {
    for [w1, w0, a1, a0] in all_operands() {
        let p = START + pack_weights(w1, w0) * pack_activations(a1, a0);
        assert_eq!(unpack(p), products([w1, w0, a1, a0]));
    }
}

#[test]
fn operands_fit_the_ports_of_the_multiplier() {
    let fits = |value: i64, bits: u32| -(1 << (bits - 1)) <= value && value < 1 << (bits - 1);
    for [w1, w0, a1, a0] in all_operands() {
        assert!(fits(pack_weights(w1, w0), 25), "{w1} {w0}");
        assert!(
            fits(pack_activations(a1, a0), ACTIVATIONS_BITS),
            "{a1} {a0}"
        );
    }
    const { assert!(ACTIVATIONS_BITS <= 18) };
}

/// The product of the packed operands is the sum of the four products at their places, so this proves
/// `unpack` for every chain whose sums fit.
#[test]
fn every_value_of_a_field_is_unpacked_beside_extremes_of_the_others() {
    let extremes = [FIELD.lo, -1, 0, 1, FIELD.hi];
    for value in FIELD.lo..=FIELD.hi {
        for place in 0..4 {
            for other in extremes {
                let mut sums = [other; 4];
                sums[place] = value;
                let p = (0..4).fold(START, |p, i| p + (sums[i] << (10 * i)));
                assert_eq!(unpack(p), sums);
                // P is 48 bits wide in the device
                assert_eq!(unpack((p << 16) >> 16), sums);
            }
        }
    }
}

#[test]
fn eight_products_fit_unless_all_weights_are_minus_eight() {
    assert_eq!(lane_bound(&[-8; 8], OPERAND), Interval::new(-448, 512));
    assert!(!fits_field(&[-8; MAX_CHAIN]));
    let mut weights = [-8; MAX_CHAIN];
    weights[3] = -7;
    assert!(fits_field(&weights));
    assert!(fits_field(&[7; MAX_CHAIN]) && fits_field(&[-7; MAX_CHAIN]));
    assert!(!fits_field(&[7; MAX_CHAIN + 2]));
}

#[test]
fn the_low_bits_of_a_byte_are_the_activation_less_its_offset() {
    for lo in i8::MIN..=i8::MAX {
        for hi in lo..=lo.saturating_add(15) {
            let range = Interval::new(lo.into(), hi.into());
            let Some(offset) = offset(range) else {
                // sixteen values that begin elsewhere than at a multiple of eight
                assert!(i64::from(lo).div_euclid(8) + 1 < i64::from(hi).div_euclid(8));
                continue;
            };
            for value in lo..=hi {
                let bits = (value as u8 & 15) ^ (u8::from(inverts(offset)) << 3);
                let signed = ((bits << 4) as i8) >> 4;
                assert_eq!(i32::from(signed), i32::from(value) - offset);
            }
        }
    }
    let of = |lo, hi| offset(Interval::new(lo, hi));
    assert_eq!(of(-8, 7), Some(0));
    assert_eq!(of(0, 15), Some(8));
    assert_eq!(of(-128, -113), Some(-120));
    assert_eq!(of(-128, 127), None);
}

#[test]
fn an_activation_of_eight_bits_is_two_of_four() {
    for value in i8::MIN..=i8::MAX {
        let [high, low] = parts(value).map(i32::from);
        assert_eq!(16 * high + low + PARTS_OFFSET, i32::from(value));
        assert!(OPERAND.contains(high.into()) && OPERAND.contains(low.into()));
        // the byte's own bits
        let signed = |bits: u8| i32::from(((bits << 4) as i8) >> 4);
        assert_eq!(high, signed(value as u8 >> 4));
        assert!(inverts(PARTS_OFFSET));
        assert_eq!(low, signed(value as u8 & 15 ^ 8));
    }
}

proptest! {
    #[test]
    fn a_chain_that_fits_is_unpacked_exactly(
        terms in prop::collection::vec([-8i8..=7, -8..=7, -8..=7, -8..=7], 1..=MAX_CHAIN),
    ) {
        let weights = |which: usize| terms.iter().map(|t| t[which]).collect::<Vec<i8>>();
        prop_assume!(fits_field(&weights(0)) && fits_field(&weights(1)));
        let of = |&[w1, w0, a1, a0]: &[i8; 4]| pack_weights(w1, w0) * pack_activations(a1, a0);
        let p = terms.iter().map(of).sum::<i64>() + START;
        let sums = terms.iter().map(|&t| products(t)).fold([0; 4], |sums, term| {
            [0, 1, 2, 3].map(|i| sums[i] + term[i])
        });
        prop_assert_eq!(unpack(p), sums);
    }
}
