//! Lane constants for general staircases: sound, and complete against brute force.

use macforge_numeric::{
    Clamp, Interval, LaneConstants, NumericError, RequantRule, Requantizer, SolvedLane,
    StaircaseChannel, Thresholds, solve_lanes,
};
use proptest::prelude::*;

/// Offsets of a 25-bit bias.
const OFFSETS: Interval = Interval {
    lo: -(1 << 24),
    hi: (1 << 24) - 1,
};

fn staircase(base: i32, at: Vec<i32>, zero_point: i32, clamp: Clamp) -> Requantizer {
    Requantizer {
        rule: RequantRule::Staircase(Thresholds::new(base, at).unwrap()),
        zero_point,
        clamp,
    }
}

fn channel(rule: &Requantizer, reach: Interval) -> StaircaseChannel<'_> {
    StaircaseChannel {
        rule,
        reach,
        factor: 1,
        offsets: OFFSETS,
        lower_is_activation: false,
        ties: false,
        constants: false,
    }
}

fn differs(rule: &Requantizer, solved: &SolvedLane, reach: Interval) -> Option<i64> {
    (reach.lo..=reach.hi).find(|&acc| rule.apply(acc) != solved.lane.apply(acc + solved.offset))
}

/// All non-decreasing functions on `-3..=3` with values 0 to 3.
fn all_functions() -> Vec<Vec<i32>> {
    let mut all = vec![vec![]];
    for _ in -3..=3 {
        all = all
            .into_iter()
            .flat_map(|f: Vec<i32>| {
                let from = f.last().copied().unwrap_or(0);
                (from..=3).map(move |y| [f.clone(), vec![y]].concat())
            })
            .collect();
    }
    all
}

fn as_requantizer(values: &[i32]) -> Requantizer {
    let mut at = Vec::new();
    for (x, pair) in (-2..).zip(values.windows(2)) {
        at.extend(std::iter::repeat_n(x, (pair[1] - pair[0]) as usize));
    }
    staircase(values[0], at, 0, Clamp { lo: 0, hi: 3 })
}

/// Whether some lane with small constants equals `rule` on -3..=3.
fn exists(rule: &Requantizer) -> bool {
    let lanes = (-3..=3).flat_map(|zero_point| (0..96u32).map(move |m| (zero_point, m)));
    lanes.into_iter().any(|(zero_point, multiplier)| {
        let lane = LaneConstants {
            multiplier,
            shift: 4,
            constant: 0,
            double_round: false,
            tie_window: None,
            zero_point,
            clamp: rule.clamp,
        };
        (-12..=12).any(|offset| (-3..=3).all(|acc| lane.apply(acc + offset) == rule.apply(acc)))
    })
}

/// Every staircase of four values on seven accumulators.
#[test]
fn constants_are_found_wherever_brute_force_finds_some() {
    let reach = Interval::new(-3, 3);
    let mut solved = 0;
    for values in all_functions() {
        let rule = as_requantizer(&values);
        match solve_lanes(&[channel(&rule, reach)]) {
            Ok(lanes) => {
                assert_eq!(differs(&rule, &lanes[0], reach), None, "{values:?}");
                solved += 1;
            }
            Err(error) => assert!(!exists(&rule), "{values:?}: {error}"),
        }
    }
    assert!(solved > 60, "only {solved} of 120");
}

#[test]
fn one_and_two_steps_always_have_constants() {
    let reach = Interval::new(-2000, 2000);
    for first in (-1999..=2000).step_by(37) {
        let sign = staircase(-1, vec![first, first], 0, Clamp { lo: -1, hi: 1 });
        let rules: Vec<Requantizer> = (first..=2000)
            .step_by(211)
            .map(|second| staircase(-1, vec![first, second], 0, Clamp { lo: -1, hi: 1 }))
            .filter(|rule| rule.apply(2000) == 1)
            .collect();
        for rule in rules.iter().chain([&sign]) {
            let lanes = solve_lanes(&[channel(rule, reach)]).unwrap();
            assert_eq!(differs(rule, &lanes[0], reach), None);
        }
    }
}

#[test]
fn the_channels_of_a_layer_share_one_zero_point() {
    let reach = Interval::new(-300, 300);
    let clamp = Clamp { lo: -1, hi: 1 };
    let rules: Vec<Requantizer> = (0..40)
        .map(|i| staircase(-1, vec![7 * i - 150, 7 * i - 150 + i % 5], 0, clamp))
        .collect();
    let channels: Vec<_> = rules.iter().map(|r| channel(r, reach)).collect();
    let lanes = solve_lanes(&channels).unwrap();
    for (rule, solved) in rules.iter().zip(&lanes) {
        assert_eq!(solved.lane.zero_point, lanes[0].lane.zero_point);
        assert_eq!(differs(rule, solved, reach), None);
    }
}

#[test]
fn irregular_steps_have_no_constants_and_the_error_names_the_channel() {
    let good = staircase(0, vec![10, 20, 31, 41], 0, Clamp { lo: 0, hi: 4 });
    let bad = staircase(0, vec![0, 1, 100, 101], 0, Clamp { lo: 0, hi: 4 });
    let reach = Interval::new(-200, 200);
    let error = solve_lanes(&[channel(&good, reach), channel(&bad, reach)]).unwrap_err();
    let NumericError::NoLane {
        channel,
        steps,
        range,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((channel, steps, range), (1, 4, reach));
}

/// Clamped values alone would allow constants that count other saturations than the rule.
#[test]
fn saturations_of_the_lane_are_those_of_the_rule() {
    let at: Vec<i32> = (0..256).map(|i| 10 * i).collect();
    let reach = Interval::new(-9, 2600);
    let counting = staircase(-128, at.clone(), 0, Clamp::INT8);
    let solved = solve_lanes(&[channel(&counting, reach)]).unwrap()[0];
    for acc in reach.lo..=reach.hi {
        let (rule, lane) = (
            counting.unclamped(acc),
            solved.lane.unclamped(acc + solved.offset),
        );
        let count = |y| Clamp::INT8.saturates(y, false);
        assert_eq!(count(rule), count(lane), "at {acc}: {rule} {lane}");
    }
}

/// Halves that go to even move every second step by one: only the tie rule does that.
#[test]
fn division_by_a_power_of_two_to_even_needs_the_tie_rule() {
    let even = |acc: i64| ((acc + 7) as f64 / 32.0).round_ties_even() as i64;
    let reach = Interval::new(-3000, 3000);
    let steps = Thresholds::of_function(even, reach, Interval::new(0, 63)).unwrap();
    let rule = staircase(
        steps.base(),
        steps.at().to_vec(),
        0,
        Clamp { lo: 0, hi: 63 },
    );
    let mut channel = channel(&rule, reach);
    assert!(solve_lanes(&[channel]).is_err());
    channel.ties = true;
    let solved = solve_lanes(&[channel]).unwrap()[0];
    assert!(solved.lane.tie_window.is_some());
    assert_eq!(differs(&rule, &solved, reach), None);
}

/// A phase of half an accumulator, which whole offsets cannot give for any zero point.
#[test]
fn multiplied_accumulators_make_the_offset_finer() {
    let (at, clamp) = (
        (0..40).map(|i| 2 * i + i / 39).collect::<Vec<_>>(),
        Clamp { lo: 0, hi: 40 },
    );
    let at: Vec<i32> = at.into_iter().map(|t| 3 * t / 2).collect();
    let rule = staircase(0, at, 0, clamp);
    let reach = Interval::new(-100, 300);
    let mut channel = channel(&rule, reach);
    let coarse = solve_lanes(&[channel]).is_ok();
    channel.factor = 16;
    let solved = solve_lanes(&[channel]).unwrap()[0];
    assert!(!coarse || solved.lane.multiplier > 0);
    for acc in reach.lo..=reach.hi {
        let lane = solved.lane.apply(16 * acc + solved.offset);
        assert_eq!(lane, rule.apply(acc), "at {acc}");
    }
}

/// The reachable range and the offset decide, nothing else.
#[test]
fn offsets_outside_the_allowed_ones_are_not_used() {
    let rule = staircase(0, vec![1000], 0, Clamp { lo: 0, hi: 1 });
    let mut channel = channel(&rule, Interval::new(-5000, 5000));
    channel.offsets = Interval::new(-4, 4);
    if let Ok(lanes) = solve_lanes(&[channel]) {
        assert!(channel.offsets.contains(lanes[0].offset));
    }
    channel.offsets = Interval::new(-1 << 24, (1 << 24) - 5001);
    assert!(solve_lanes(&[channel]).is_ok());
}

proptest! {
    /// What a lane computes is a staircase that has lane constants: its own.
    #[test]
    fn a_lane_s_own_staircase_is_solved(
        multiplier in 1u32..(1 << 20), shift in 8u8..24, offset in -500i64..500,
        zero_point in -20i32..20, lo in -4000i64..0, length in 1i64..6000,
    ) {
        let clamp = Clamp { lo: -100, hi: 100 };
        let lane = LaneConstants {
            multiplier, shift, constant: 0, double_round: false, tie_window: None, zero_point, clamp,
        };
        let reach = Interval::new(lo, lo + length);
        let f = |acc: i64| lane.unclamped(acc + offset) - 5;
        let steps = Thresholds::of_function(f, reach, Interval::new(-150, 100)).unwrap();
        let rule = Requantizer { rule: RequantRule::Staircase(steps), zero_point: 5, clamp };
        let lanes = solve_lanes(&[channel(&rule, reach)]);
        prop_assert!(lanes.is_ok(), "{:?}", lanes);
        prop_assert_eq!(differs(&rule, &lanes.unwrap()[0], reach), None);
    }
}

/// A line of 256 values whose phase is a fraction of an accumulator, and its reachable accumulators.
fn line(multiplier: i64, constant: i64, shift: u32) -> (Requantizer, Interval) {
    let reach = Interval::new(-400_000, 400_000);
    let clamp = Clamp { lo: 0, hi: 255 };
    let f = |acc: i64| (acc * multiplier + constant) >> shift;
    let steps = Thresholds::of_function(f, reach, clamp.interval()).unwrap();
    let rule = Requantizer {
        rule: RequantRule::Staircase(steps),
        zero_point: 0,
        clamp,
    };
    (rule, reach)
}

fn with_constant(rule: &Requantizer, reach: Interval) -> StaircaseChannel<'_> {
    StaircaseChannel {
        constants: true,
        lower_is_activation: true,
        ..channel(rule, reach)
    }
}

/// The rule that the lane states, too, equals the staircase.
fn assert_as_rule(rule: &Requantizer, solved: &SolvedLane, reach: Interval) {
    let lane = solved.lane;
    let stated = Requantizer {
        rule: RequantRule::MultiplyAdd {
            multiplier: lane.multiplier as i32,
            shift: lane.shift,
            constant: lane.constant,
        },
        zero_point: lane.zero_point,
        clamp: lane.clamp,
    };
    assert_eq!(LaneConstants::from_requantizer(&stated), Ok(lane));
    let near = macforge_numeric::thresholds(|acc| rule.apply(acc), reach);
    for acc in near.iter().flat_map(|&(at, _)| [at - 1, at]) {
        assert_eq!(stated.apply(acc + solved.offset), rule.apply(acc));
    }
}

#[test]
fn a_phase_within_an_accumulator_needs_a_constant_at_product_scale() {
    let lines: Vec<_> = (0..6)
        .map(|i| line(87_643 + 1_111 * i, 51_234_567 - 7_654_321 * i, 24))
        .collect();
    let channels = |constants| -> Vec<StaircaseChannel> {
        let channels = lines.iter().map(|(rule, reach)| StaircaseChannel {
            constants,
            ..with_constant(rule, *reach)
        });
        channels.collect()
    };
    let error = solve_lanes(&channels(false)).unwrap_err();
    assert!(matches!(error, NumericError::NoLane { .. }), "{error}");
    let lanes = solve_lanes(&channels(true)).unwrap();
    assert!(lanes.iter().any(|l| l.lane.constant > 0));
    for ((rule, reach), lane) in lines.iter().zip(&lanes) {
        assert_eq!(differs(rule, lane, *reach), None);
        assert_as_rule(rule, lane, *reach);
    }
}

#[test]
fn constants_that_the_lane_does_not_store_are_refused() {
    for (multiplier, constant) in [(1 << 30, 1), (1 << 30, 1 << 31), (-1, 0)] {
        let rule = Requantizer {
            rule: RequantRule::MultiplyAdd {
                multiplier,
                shift: 30,
                constant,
            },
            zero_point: 0,
            clamp: Clamp::INT8,
        };
        let refused = LaneConstants::from_requantizer(&rule);
        assert!(matches!(refused, Err(NumericError::NotALane { .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every rule of NEMO's form, whatever its slope and phase.
    #[test]
    fn lines_of_256_values_always_have_constants(
        multiplier in 20_000i64..1 << 20,
        constant in -(1i64 << 31)..1 << 31,
        shift in 20u32..27,
    ) {
        let (rule, reach) = line(multiplier, constant, shift);
        let lanes = solve_lanes(&[with_constant(&rule, reach)]).unwrap();
        prop_assert_eq!(differs(&rule, &lanes[0], reach), None);
        assert_as_rule(&rule, &lanes[0], reach);
    }
}
