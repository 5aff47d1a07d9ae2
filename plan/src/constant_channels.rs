//! Channels that training left nearly dead: small weights under a bias far outside of the accumulator.
//! Where the reachable accumulators give one value, or two neighbouring ones, an equal channel with
//! a small bias takes their place.

use crate::layers::{HwLayer, LayerKind};
use crate::proof::{activations, fits_accumulator};
use macforge_numeric::{Interval, RequantRule, Requantizer, accumulator_interval, thresholds};

/// Replaces such channels of a layer.
pub fn replace(layer: &mut HwLayer, input_zero_point: i32) {
    let lower_is_activation = layer.lower_is_activation;
    let (LayerKind::Dot {
        weights,
        bias,
        requant,
        ..
    }
    | LayerKind::Depthwise {
        weights,
        bias,
        requant,
        ..
    }) = &mut layer.kind
    else {
        return;
    };
    let each = weights.len() / bias.len();
    for (channel, of_channel) in weights.chunks_exact_mut(each).enumerate() {
        let (bias, requant) = (&mut bias[channel], &mut requant[channel]);
        let sum: i64 = of_channel.iter().map(|&w| i64::from(w)).sum();
        let folded = i64::from(*bias) - i64::from(input_zero_point) * sum;
        let reach = accumulator_interval(of_channel, activations(), 0, folded, false);
        let int32 = |acc: i64| i32::try_from(acc).is_ok();
        if fits_accumulator(reach) || !int32(reach.lo) || !int32(reach.hi) {
            continue;
        }
        if let Some(value) = constant(requant, reach, lower_is_activation) {
            of_channel.fill(0);
            *bias = value - requant.zero_point;
            requant.rule = RequantRule::Pow2 { shift: 0 };
        } else if let Some((less, shift)) = one_step(requant, reach)
            && let Ok(small) = i32::try_from(i64::from(*bias) - less)
        {
            *bias = small;
            requant.rule = RequantRule::Pow2 { shift };
        }
    }
}

/// The value before the clamp, near int8, if output and saturation are the same at both ends of the
/// range; the requantizer is monotone, so they are the same between them.
fn constant(requant: &Requantizer, reach: Interval, lower_is_activation: bool) -> Option<i32> {
    let [lo, hi] = [reach.lo, reach.hi].map(|acc| requant.unclamped(acc));
    let clamp = requant.clamp;
    let same = clamp.apply(lo) == clamp.apply(hi)
        && clamp.saturates(lo, lower_is_activation) == clamp.saturates(hi, lower_is_activation);
    // 256 away from int8 is as far outside as any value
    same.then(|| lo.clamp(-384, 383) as i32)
}

/// Where the value before the clamp steps once, by one, at an accumulator T: what to subtract from
/// the bias, and the shift of the power of two with `(acc - less + half) >> shift = y + ((acc - T) >>
/// shift)`, `y` the value from T on.
fn one_step(requant: &Requantizer, reach: Interval) -> Option<(i64, u32)> {
    let value = |acc: i64| {
        let offset = requant.unclamped(acc) - i64::from(requant.zero_point);
        offset.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    };
    if value(reach.hi) != value(reach.lo).saturating_add(1) {
        return None;
    }
    let &[(at, above)] = thresholds(value, reach).as_slice() else {
        return None;
    };
    let distance = (at - reach.lo).max(reach.hi - at + 1);
    let shift = (distance as u64).next_power_of_two().trailing_zeros();
    if !(1..=24).contains(&shift) {
        return None;
    }
    let half = 1i64 << (shift - 1);
    Some((at + half - (i64::from(above) << shift), shift))
}
