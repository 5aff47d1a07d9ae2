//! What can go wrong when a rule is built from real numbers.

use crate::format::Clamp;
use crate::interval::Interval;
use crate::staircase::StaircaseCounterexample;

/// Reasons why a rule cannot be built or proved.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NumericError {
    /// A scale must be a finite, normal, positive float32.
    #[error("scale {found} is not a positive normal float32")]
    BadScale {
        /// The value found.
        found: f64,
    },
    /// A multiplier must be finite and not negative.
    #[error("multiplier {found} is not a finite non-negative number")]
    BadMultiplier {
        /// The value found.
        found: f64,
    },
    /// The multiplier's exponent leaves the range that the rule is defined on.
    #[error("multiplier {found} is outside the range of {semantics}: {wanted}")]
    MultiplierRange {
        /// The value found.
        found: f64,
        /// Name of the semantics.
        semantics: &'static str,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// The zero point of an int8 tensor must itself be an int8.
    #[error("zero point {found} is outside -128..=127")]
    BadZeroPoint {
        /// The value found.
        found: i32,
    },
    /// A clamp with its bounds swapped or outside its type.
    #[error("clamp {lo}..={hi} is empty or outside {}..={}", limits.lo, limits.hi)]
    BadClamp {
        /// Lower bound.
        lo: i32,
        /// Upper bound.
        hi: i32,
        /// Limits of the type.
        limits: Clamp,
    },
    /// A semantics name that does not exist.
    #[error("unknown semantics `{found}`; wanted tflite-double, tflite-single, ort-x86 or pow2")]
    UnknownSemantics {
        /// The text found.
        found: String,
    },
    /// The rule cannot be expressed by the lane's integer formula.
    #[error("the requantizer lane cannot express {what}")]
    NotALane {
        /// Which parameter, and its value.
        what: String,
    },
    /// The constants were built but differ from the rule.
    #[error("the requantizer lane differs from its rule: {0}")]
    LaneDiffers(#[from] StaircaseCounterexample),
    /// Steps of a general staircase: too many, or not in order.
    #[error("{count} thresholds (in order: {sorted}), wanted at most 257 that never decrease")]
    BadThresholds {
        /// How many.
        count: usize,
        /// Whether they never decrease.
        sorted: bool,
    },
    /// A function that must not decrease does.
    #[error("the function decreases over the accumulators {range}; negate the channel's weights")]
    Decreasing {
        /// Where.
        range: Interval,
    },
    /// No lane constants equal the staircases of a layer.
    #[error(
        "no bias, multiplier and shift of the requantizer lane equal the staircase of {steps} steps \
         over the accumulators {range} (output channel {channel}), whatever the layer's zero point"
    )]
    NoLane {
        /// Output channel that admits no zero point which the others admit.
        channel: usize,
        /// Its steps within the range.
        steps: usize,
        /// Its reachable accumulators.
        range: Interval,
    },
    /// A rule of two operands that is no weighted sum of them.
    #[error("{name} is no weighted sum of its operands, so no multiply-add equals it")]
    NotLinear {
        /// The operation.
        name: &'static str,
    },
    /// A rule of two operands that is no function of their product.
    #[error(
        "{name} is no function of its operands' integer product (float32 roundings give equal products \
         different results)"
    )]
    NotProduct {
        /// The operation.
        name: &'static str,
    },
    /// No multiply-add with 25-bit factors equals the rule on all 65,536 pairs.
    #[error(
        "no multiply-add with shift up to {max_shift} equals the rule on all 65,536 input pairs, \
         saturations included"
    )]
    NoMulAdd {
        /// Largest shift that was tried.
        max_shift: u8,
    },
    /// An averaging window without elements, or one whose sums the lane cannot hold.
    #[error("average over {count} elements with sums in {range} is not supported")]
    BadAverage {
        /// Number of elements.
        count: u32,
        /// Range of the sums.
        range: Interval,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, NumericError>;
