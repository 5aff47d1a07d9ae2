//! Calibrators on distributions whose answer is known, and the error bounds of the grids.

use macforge_ptq::calibrate::{Calibrator, Histogram, Moments};
use macforge_ptq::scale::{Grid, Range, Scheme};
use proptest::prelude::*;

const ALL: [Calibrator; 4] = [
    Calibrator::MinMax,
    Calibrator::Percentile(99.9),
    Calibrator::Kl,
    Calibrator::Mse,
];

/// `n` values that lie as a normal distribution's quantiles (sum of twelve uniform ones).
fn bell(n: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..n)
        .map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
        .collect()
}

fn squared_error(values: &[f32], grid: &Grid) -> f64 {
    let error = |&v: &f32| f64::from(v - grid.fake(v)).powi(2);
    values.iter().map(error).sum()
}

#[test]
fn minmax_is_the_range_of_the_values() {
    let values = [-0.5, 3.25, 1.0, -2.0];
    let range = Calibrator::MinMax.range_of(&values, 8, Scheme::Asymmetric);
    assert_eq!(range, Range { lo: -2.0, hi: 3.25 });
}

#[test]
fn a_percentile_leaves_its_share_outside() {
    // 0, 1, ..., 9999: one in a thousand lies beyond 9990
    let values: Vec<f32> = (0..10_000).map(|v| v as f32).collect();
    let range = Calibrator::Percentile(99.9).range_of(&values, 8, Scheme::Symmetric);
    assert!((range.hi - 9990.0).abs() < 5.0, "{range:?}");
    // asymmetric: half a thousandth at either end
    let centred: Vec<f32> = values.iter().map(|v| v - 5000.0).collect();
    let range = Calibrator::Percentile(99.0).range_of(&centred, 8, Scheme::Asymmetric);
    assert!((range.lo + 4950.0).abs() < 5.0, "{range:?}");
    assert!((range.hi - 4949.0).abs() < 5.0, "{range:?}");
}

#[test]
fn outliers_move_minmax_and_not_the_others() {
    let mut values = bell(100_000);
    values.push(100.0);
    for calibrator in ALL {
        let range = calibrator.range_of(&values, 8, Scheme::Symmetric);
        if calibrator == Calibrator::MinMax {
            assert_eq!(range.hi, 100.0);
        } else {
            // for the squared error a single value so far out is worth some precision
            let most = if calibrator == Calibrator::Mse {
                80.0
            } else {
                10.0
            };
            assert!(range.hi < most, "{calibrator}: {range:?}");
        }
    }
}

#[test]
fn kl_keeps_a_uniform_distribution_whole() {
    // every level of the grid merges equally full bins: nothing is lost without clipping
    let values: Vec<f32> = (0..1 << 16).map(|v| v as f32 / 65536.0).collect();
    let range = Calibrator::Kl.range_of(&values, 8, Scheme::Asymmetric);
    assert!(range.hi > 0.99, "{range:?}");
}

#[test]
fn four_calibrators_give_four_ranges_on_a_long_tail() {
    let mut values = bell(50_000);
    values.extend((0..50).map(|i| 6.0 + i as f32 / 10.0));
    let ranges = ALL.map(|c| c.range_of(&values, 8, Scheme::Symmetric).hi);
    for (i, a) in ranges.iter().enumerate() {
        assert!(ranges[..i].iter().all(|b| a != b), "{ranges:?}");
    }
}

#[test]
fn mse_has_less_error_than_minmax_at_four_bits() {
    let values = bell(10_000);
    for scheme in [Scheme::Symmetric, Scheme::Asymmetric] {
        let error = |c: Calibrator| {
            squared_error(
                &values,
                &Grid::cover(c.range_of(&values, 4, scheme), 4, scheme, false),
            )
        };
        let (mse, minmax) = (error(Calibrator::Mse), error(Calibrator::MinMax));
        assert!(mse < 0.8 * minmax, "{scheme}: {mse} {minmax}");
    }
}

#[test]
fn order_of_batches_does_not_matter() {
    let values = bell(4096);
    let mut whole = Moments::default();
    whole.add(&values);
    let mut one = Histogram::new(whole.range());
    one.add(&values);
    let mut two = Histogram::new(whole.range());
    for batch in values.chunks(100).rev() {
        two.add(batch);
    }
    assert_eq!(one, two);
}

#[test]
fn moments_count_what_is_not_finite_apart() {
    let mut moments = Moments::default();
    moments.add(&[1.0, f32::NAN, 3.0, f32::INFINITY]);
    assert_eq!((moments.not_finite, moments.count()), (2, 2));
    assert_eq!(moments.mean(), 2.0);
    assert_eq!(moments.deviation(), 1.0);
}

#[test]
fn empty_and_constant_data_have_a_grid() {
    for values in [&[][..], &[0.0; 5][..], &[2.0; 5][..], &[-1e-30; 3][..]] {
        for calibrator in ALL {
            for scheme in [Scheme::Symmetric, Scheme::Asymmetric] {
                let range = calibrator.range_of(values, 8, scheme);
                let grid = Grid::cover(range, 8, scheme, false);
                assert!(grid.params.scale.is_normal(), "{calibrator} {range:?}");
                assert_eq!(grid.fake(0.0), 0.0);
            }
        }
    }
}

#[test]
fn an_int4_grid_is_the_documented_one() {
    let grid = Grid::cover(Range { lo: -1.0, hi: 3.5 }, 4, Scheme::Symmetric, false);
    assert_eq!((grid.lo, grid.hi, grid.params.zero_point), (-7, 7, 0));
    assert_eq!(grid.params.scale, 0.5);
    let grid = Grid::cover(Range { lo: 0.0, hi: 7.5 }, 4, Scheme::Asymmetric, false);
    assert_eq!((grid.lo, grid.hi, grid.params.zero_point), (-8, 7, -8));
    assert_eq!(grid.params.scale, 0.5);
    let grid = Grid::cover(Range { lo: 0.0, hi: 9.0 }, 4, Scheme::Asymmetric, true);
    assert_eq!(grid.params.scale, 1.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rounding_costs_half_a_step_at_most(
        lo in -100f64..0.0, hi in 0f64..100.0, share in 0f64..1.0,
        bits in prop::sample::select(vec![2u32, 4, 8]),
        symmetric in any::<bool>(), power_of_two in any::<bool>(),
    ) {
        prop_assume!(hi - lo > 1e-3);
        let scheme = if symmetric { Scheme::Symmetric } else { Scheme::Asymmetric };
        let grid = Grid::cover(Range { lo, hi }, bits, scheme, power_of_two);
        let value = (lo + share * (hi - lo)) as f32;
        let step = f64::from(grid.params.scale);
        // at the ends the zero point's own rounding adds up to half a step
        let bound = if symmetric { 0.5 } else { 1.0 };
        let error = f64::from(value - grid.fake(value)).abs();
        prop_assert!(error <= bound * step * 1.0001, "{error} {step}");
        prop_assert_eq!(grid.fake(0.0), 0.0);
        if power_of_two {
            prop_assert_eq!(step.log2().fract(), 0.0);
        }
    }

    #[test]
    fn calibrated_ranges_hold_zero_and_lie_in_the_data(
        values in prop::collection::vec(-10f32..10.0, 1..200),
        bits in prop::sample::select(vec![4u32, 8]),
    ) {
        for calibrator in ALL {
            for scheme in [Scheme::Symmetric, Scheme::Asymmetric] {
                let range = calibrator.range_of(&values, bits, scheme);
                prop_assert!(range.lo <= 0.0 && range.hi >= 0.0);
                let lo = values.iter().fold(0f32, |m, &v| m.min(v));
                let hi = values.iter().fold(0f32, |m, &v| m.max(v));
                prop_assert!(range.lo >= f64::from(lo) && range.hi <= f64::from(hi));
            }
        }
    }
}
