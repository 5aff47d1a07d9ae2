//! Pass 6: requantizer constants. One word holds the constants of the D channels that the drain
//! handles in one cycle; layers with weights have one word per group of channels, others a single word.

use crate::bits::BitWord;
use crate::error::PlanError;
use crate::layers::{HwLayer, LayerKind};
use crate::loops::Loops;
use crate::resources::Features;
use crate::shape::Packing;
use macforge_numeric::{
    Clamp, FRACTION_BITS, FRACTION_PLACES, Interval, LaneConstants, NumericError, RequantRule,
    Requantizer,
};

const MULTIPLIER_BITS: usize = 31;
const SHIFT_BITS: usize = 6;

/// Lane constants of one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelConstants {
    /// Added to the accumulator: bias and zero-point term.
    pub bias: i64,
    /// Multiplier, shift, correction.
    pub lane: LaneConstants,
}

/// The constants of all channels of a layer (one entry for channel layers, none for the units
/// without lanes).
pub fn constants(layer: &HwLayer, packing: Packing) -> Result<Vec<ChannelConstants>, PlanError> {
    // the array gets the input less this
    let offset: i64 = match packing {
        Packing::Two => 0,
        Packing::Four => layer.quad_form().map_or(0, |form| form.offset.into()),
    };
    let numeric = |source| PlanError::Numeric {
        layer: layer.source.clone(),
        source,
    };
    if let Some(weighted) = layer.weighted() {
        return (0..weighted.bias.len())
            .map(|oc| {
                let (weights, bias) = (weighted.of_channel(oc), weighted.bias[oc]);
                let sum: i64 = weights.iter().map(|&w| i64::from(w)).sum();
                Ok(ChannelConstants {
                    bias: layer.folded_bias(weights, bias) + offset * sum,
                    lane: LaneConstants::from_requantizer(&weighted.requant[oc])
                        .map_err(numeric)?,
                })
            })
            .collect();
    }
    match &layer.kind {
        LayerKind::Max(_, clamp) => Ok(vec![ChannelConstants {
            bias: 0,
            lane: copy(*clamp).map_err(numeric)?,
        }]),
        LayerKind::Copy(..) => Ok(vec![ChannelConstants {
            bias: 0,
            lane: copy(Clamp { lo: -128, hi: 127 }).map_err(numeric)?,
        }]),
        LayerKind::ComputedDot(dot) => {
            let lane = LaneConstants::from_requantizer(&dot.requant).map_err(numeric)?;
            Ok(vec![ChannelConstants { bias: 0, lane }])
        }
        LayerKind::Product(product) => {
            let lane = LaneConstants::from_requantizer(&product.requant).map_err(numeric)?;
            let bias = i64::from(product.bias);
            Ok(vec![ChannelConstants { bias, lane }])
        }
        LayerKind::Average { rule, count, .. } => {
            let count = *count;
            let reach = Interval {
                lo: -128 * count as i64,
                hi: 127 * count as i64,
            };
            let lane = rule.lane(count as u32, reach).map_err(numeric)?;
            Ok(vec![ChannelConstants {
                bias: rule.bias(count as u32),
                lane,
            }])
        }
        _ => Ok(Vec::new()),
    }
}

/// The lane as a plain clamp.
fn copy(clamp: Clamp) -> Result<LaneConstants, NumericError> {
    let rule = RequantRule::Pow2 { shift: 0 };
    LaneConstants::from_requantizer(&Requantizer {
        rule,
        zero_point: 0,
        clamp,
    })
}

/// Zero point and clamp of a layer's lanes; the same for all channels.
pub fn lane_bounds(constants: &[ChannelConstants]) -> (i32, Clamp) {
    constants
        .first()
        .map_or((0, Clamp { lo: -128, hi: 127 }), |c| {
            (c.lane.zero_point, c.lane.clamp)
        })
}

/// Parameter words of a layer.
pub fn words(
    layer: &HwLayer,
    constants: &[ChannelConstants],
    loops: &Loops,
    lanes: usize,
    features: Features,
) -> Vec<BitWord> {
    let per_channel = layer.weighted().is_some();
    let groups = word_count(layer, loops);
    (0..groups)
        .map(|group| {
            let mut word = BitWord::default();
            for d in 0..lanes {
                let index = if per_channel { group * lanes + d } else { 0 };
                push(&mut word, constants.get(index), features);
            }
            word
        })
        .collect()
}

/// How many parameter words a layer has.
pub fn word_count(layer: &HwLayer, loops: &Loops) -> usize {
    if layer.weighted().is_some() {
        loops.tiles * loops.drain_groups
    } else {
        usize::from(!layer.is_unit())
    }
}

/// An unused channel multiplies by zero, so its output is the zero point.
fn push(word: &mut BitWord, constants: Option<&ChannelConstants>, features: Features) {
    let (bias, lane) = constants.map_or((0, None), |c| (c.bias, Some(c.lane)));
    if features.product_constants {
        let fraction = lane.map_or(0, |l| l.constant >> FRACTION_PLACES);
        word.push(fraction.into(), FRACTION_BITS as usize);
    }
    word.push(bias, features.acc_bits as usize);
    word.push(lane.map_or(0, |l| l.multiplier.into()), MULTIPLIER_BITS);
    word.push(lane.map_or(1, |l| l.shift.into()), SHIFT_BITS);
    // gemmlowp's first rounding, or onnxruntime's tie window: a design has one kind of lane
    let special = lane.is_some_and(|l| l.double_round || l.tie_window.is_some());
    word.push(special.into(), 1);
}

/// Bits of one lane's bias in a parameter word, with its fraction where the lanes of a design have constants
/// at product scale.
pub fn bias_bits(features: Features) -> usize {
    let fraction = if features.product_constants {
        FRACTION_BITS
    } else {
        0
    };
    (features.acc_bits + fraction) as usize
}

/// Bits of one lane's constants in a parameter word.
pub fn lane_bits(features: Features) -> usize {
    bias_bits(features) + MULTIPLIER_BITS + SHIFT_BITS + 1
}
