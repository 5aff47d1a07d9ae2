//! The requantizers of a layer's channels, applied to many accumulators at a time.

use crate::format::Clamp;
use crate::requant::{RequantRule, Requantizer, ort_x86};

/// Requantizers of consecutive output channels, in a form that vectorizes where all follow
/// onnxruntime's rule with one zero point and clamp. It is applied to `N` channels at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct RequantRow<const N: usize> {
    requant: Vec<Requantizer>,
    ort_x86: Option<OrtX86Row<N>>,
}

/// Scales of all channels, and what they share.
#[derive(Clone, Debug, PartialEq)]
struct OrtX86Row<const N: usize> {
    /// The last group is filled up with 0, which gives the zero point.
    scales: Vec<[f32; N]>,
    zero_point: i32,
    clamp: Clamp,
}

impl<const N: usize> RequantRow<N> {
    /// The row of these requantizers, one per channel.
    pub fn new(requant: &[Requantizer]) -> Self {
        Self {
            ort_x86: OrtX86Row::new(requant),
            requant: requant.to_vec(),
        }
    }

    /// The values of the accumulators of channels `group * N..`, and how many of them saturate
    /// ([`Clamp::saturates`]). What lies behind the last channel has no meaning.
    #[inline(always)]
    pub fn apply(&self, group: usize, acc: &[i32; N], lower_is_activation: bool) -> ([i8; N], u32) {
        if let Some(row) = &self.ort_x86 {
            return row.apply(group, acc, lower_is_activation);
        }
        let mut values = [0; N];
        let mut saturations = 0;
        let channels = &self.requant[group * N..];
        for ((requant, &acc), value) in channels.iter().zip(acc).zip(&mut values) {
            let y = requant.unclamped(acc.into());
            *value = requant.clamp.apply(y) as i8;
            saturations += u32::from(requant.clamp.saturates(y, lower_is_activation));
        }
        (values, saturations)
    }
}

impl<const N: usize> OrtX86Row<N> {
    fn new(requant: &[Requantizer]) -> Option<Self> {
        let first = requant.first()?;
        let (zero_point, clamp) = (first.zero_point, first.clamp);
        let scale = |r: &Requantizer| match r.rule {
            RequantRule::OrtX86 { scale } if (r.zero_point, r.clamp) == (zero_point, clamp) => {
                Some(scale)
            }
            _ => None,
        };
        let scales: Vec<f32> = requant.iter().map(scale).collect::<Option<_>>()?;
        let groups = scales.chunks(N).map(|group| {
            let mut filled = [0.0; N];
            filled[..group.len()].copy_from_slice(group);
            filled
        });
        Some(Self {
            scales: groups.collect(),
            zero_point,
            clamp,
        })
    }

    #[inline(always)]
    fn apply(&self, group: usize, acc: &[i32; N], lower_is_activation: bool) -> ([i8; N], u32) {
        let scales = &self.scales[group];
        let mut values = [0; N];
        let mut saturations = 0;
        for lane in 0..N {
            let y = small_integer(ort_x86(acc[lane], scales[lane])) + self.zero_point;
            values[lane] = y.clamp(self.clamp.lo, self.clamp.hi) as i8;
            saturations += u32::from(self.clamp.saturates(y.into(), lower_is_activation));
        }
        (values, saturations)
    }
}

/// An integer-valued float32 as int32, brought to +-2^22: far beyond every int8 clamp.
///
/// A cast would not vectorize, because it has NaN and large values to care for. Between 2^23 and
/// 2^24 a float32 counts in ones, so the low bits of `value + 1.5 * 2^23` are the integer.
#[inline(always)]
fn small_integer(value: f32) -> i32 {
    const BOUND: f32 = (1 << 22) as f32;
    const ORIGIN: f32 = (3 << 22) as f32;
    let shifted = value.clamp(-BOUND, BOUND) + ORIGIN;
    shifted.to_bits().cast_signed() - ORIGIN.to_bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_integers_are_kept_and_large_ones_stay_large() {
        for value in (-(1 << 22)..=1 << 22).step_by(7).chain(-300..300) {
            assert_eq!(small_integer(value as f32), value);
        }
        assert_eq!(small_integer(1e30), 1 << 22);
        assert_eq!(small_integer(-1e30), -(1 << 22));
    }

    #[test]
    fn a_row_is_its_requantizers() {
        let alike = |channel: usize| Requantizer {
            rule: RequantRule::OrtX86 {
                scale: 3.1e-3 * (channel + 1) as f32,
            },
            zero_point: -7,
            clamp: Clamp { lo: -7, hi: 127 },
        };
        let unlike = |channel: usize| Requantizer {
            zero_point: channel as i32,
            ..alike(channel)
        };
        for make in [&alike as &dyn Fn(usize) -> Requantizer, &unlike] {
            let channels: Vec<_> = (0..6).map(make).collect();
            let row = RequantRow::<4>::new(&channels);
            for acc in (-60_000..60_000).step_by(101).chain([i32::MIN, i32::MAX]) {
                let found = row.apply(1, &[acc; 4], false);
                let wanted = channels[4..].iter().map(|r| r.apply(acc.into()) as i8);
                assert_eq!(found.0[..2], wanted.collect::<Vec<_>>());
                let saturates =
                    |r: &&Requantizer| r.clamp.saturates(r.unclamped(acc.into()), false);
                let count = channels[4..].iter().filter(saturates).count();
                assert_eq!(found.1 as usize, count);
            }
        }
    }
}
