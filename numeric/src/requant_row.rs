//! The requantizers of a layer's channels, applied to many accumulators at a time.

use crate::format::Clamp;
use crate::requant::{RequantRule, Requantizer, ort_x86};

/// Requantizers of consecutive output channels, in a form that vectorizes where all follow
/// onnxruntime's rule with one zero point and clamp.
#[derive(Clone, Debug, PartialEq)]
pub struct RequantRow {
    requant: Vec<Requantizer>,
    /// Scales of all channels, with what they share.
    ort_x86: Option<(Vec<f32>, i32, Clamp)>,
}

impl RequantRow {
    /// The row of these requantizers, one per channel.
    pub fn new(requant: &[Requantizer]) -> Self {
        let scales: Option<Vec<f32>> = requant
            .iter()
            .map(|r| match r.rule {
                RequantRule::OrtX86 { scale } => Some(scale),
                _ => None,
            })
            .collect();
        let shared = requant.first().map(|r| (r.zero_point, r.clamp));
        let alike = requant
            .iter()
            .all(|r| Some((r.zero_point, r.clamp)) == shared);
        Self {
            ort_x86: scales
                .zip(shared)
                .filter(|_| alike)
                .map(|(scales, (zero_point, clamp))| (scales, zero_point, clamp)),
            requant: requant.to_vec(),
        }
    }

    /// Writes the values of the accumulators of channels `first..`; returns how many saturate
    /// ([`Clamp::saturates`]).
    #[inline(always)]
    pub fn apply(
        &self,
        first: usize,
        acc: &[i32],
        out: &mut [i8],
        lower_is_activation: bool,
    ) -> u64 {
        if let Some((scales, zero_point, clamp)) = &self.ort_x86 {
            let scales = &scales[first..first + acc.len()];
            return ort_x86_row(acc, scales, *zero_point, *clamp, out, lower_is_activation);
        }
        let mut saturations = 0;
        let channels = &self.requant[first..first + acc.len()];
        for ((requant, &acc), value) in channels.iter().zip(acc).zip(out) {
            let y = requant.unclamped(acc.into());
            *value = requant.clamp.apply(y) as i8;
            saturations += u64::from(requant.clamp.saturates(y, lower_is_activation));
        }
        saturations
    }
}

/// The float32 rule on a row. The rounded product is an integer of any size; it is brought to
/// +-2^24, where nothing is lost, before it becomes an int32.
#[inline(always)]
fn ort_x86_row(
    acc: &[i32],
    scales: &[f32],
    zero_point: i32,
    clamp: Clamp,
    out: &mut [i8],
    lower_is_activation: bool,
) -> u64 {
    const BOUND: f32 = (1 << 24) as f32;
    let mut saturations = 0u32;
    for ((&acc, &scale), value) in acc.iter().zip(scales).zip(out) {
        let y = ort_x86(acc, scale).clamp(-BOUND, BOUND) as i32 + zero_point;
        *value = y.clamp(clamp.lo, clamp.hi) as i8;
        saturations += u32::from(clamp.saturates(y.into(), lower_is_activation));
    }
    u64::from(saturations)
}
