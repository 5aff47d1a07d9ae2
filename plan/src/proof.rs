//! Pass 8: what the compiler proves for every channel, over every accumulator that the actual
//! weights can reach: the lane's arithmetic equals the requantizer, the accumulator fits, and no
//! chain of packed products overflows its lane.

use crate::error::PlanError;
use crate::layers::{ComputedDot, HwLayer, ProductLayer};
use crate::params::ChannelConstants;
use crate::shape::{Packing, Shape};
use crate::weights::StoredKernel;
use macforge_numeric::packing::{LOW_LANE, MAX_CHAIN, fits_operand, lane_bound};
use macforge_numeric::quad_packing;
use macforge_numeric::{Interval, accumulator_interval, prove_equal};

/// Width of the accumulators in bits, in designs without int16 values.
pub const ACC_BITS: u32 = 25;

/// The proof record of one output channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelProof {
    /// Reachable accumulators, bias included.
    pub reach: Interval,
    /// Steps of the requantizer's staircase that were compared (at most 255).
    pub steps: usize,
    /// Reachable values of the sum of a chain where it shares the accumulator: in arrays of two products
    /// per DSP the low lane, which even channels have (the high lane is wide enough), in arrays of four
    /// every channel's field.
    pub low_lane: Option<Interval>,
}

/// Proofs of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proofs {
    /// One record per output channel of a layer with weights; empty otherwise (their lanes are proved when
    /// the constants are made).
    pub channels: Vec<ChannelProof>,
}

fn unproved(layer: &HwLayer, channel: usize, reason: String) -> PlanError {
    PlanError::Unproved {
        layer: layer.source.clone(),
        channel,
        reason,
    }
}

/// Every int8 value; padding is one of them.
pub fn activations() -> Interval {
    Interval { lo: -128, hi: 127 }
}

/// What a multiplier gets of an activation.
fn operands(packing: Packing) -> Interval {
    match packing {
        Packing::Two => activations(),
        Packing::Four => quad_packing::OPERAND,
    }
}

/// Sums that a channel's accumulator can reach, without its bias.
fn sums(layer: &HwLayer, weights: &[i16], packing: Packing) -> Interval {
    let form = match packing {
        Packing::Two => None,
        Packing::Four => layer.quad_form(),
    };
    let Some(form) = form else {
        return layer.sums(weights);
    };
    let inputs = match form.passes {
        1 => operands(packing),
        // both parts, each at its place
        _ => activations() + Interval::point(-i64::from(form.offset)),
    };
    accumulator_interval(weights, inputs, 0, 0, false)
}

/// Whether accumulators of [`ACC_BITS`] hold every value of a range.
pub fn fits_accumulator(range: Interval) -> bool {
    range.bits_signed() <= ACC_BITS
}

/// Proves one layer, or says which channel fails and why.
pub fn prove(
    layer: &HwLayer,
    constants: &[ChannelConstants],
    kernel: Option<&StoredKernel>,
    shape: &Shape,
) -> Result<Proofs, PlanError> {
    if let Some(dot) = layer.computed() {
        return prove_computed(layer, dot, constants);
    }
    if let Some(product) = layer.product() {
        return prove_product(layer, product, constants);
    }
    let Some(weighted) = layer.weighted() else {
        return Ok(Proofs {
            channels: Vec::new(),
        });
    };
    let mut channels = Vec::new();
    for (oc, rule) in weighted.requant.iter().enumerate() {
        let bias = constants[oc].bias;
        // the zero-point term is in the bias, and padding is passed as an ordinary value
        let sum = sums(layer, weighted.of_channel(oc), shape.packing);
        let reach = sum + Interval::point(bias);
        let bits = layer.most_acc_bits();
        if [sum, reach, Interval::point(bias)]
            .into_iter()
            .any(|range| range.bits_signed() > bits)
        {
            return Err(unproved(
                layer,
                oc,
                format!(
                    "the accumulator can reach {}..={} (bias {bias}), which needs more than \
                     {bits} bits",
                    reach.lo, reach.hi
                ),
            ));
        }
        let proof = prove_equal(rule, &constants[oc].lane, reach)
            .map_err(|counterexample| unproved(layer, oc, counterexample.to_string()))?;
        let low_lane = match kernel {
            Some(kernel) if oc % 2 == 0 || shape.packing == Packing::Four => {
                Some(chain_sum(layer, kernel, shape, oc)?)
            }
            _ => None,
        };
        channels.push(ChannelProof {
            reach,
            steps: proof.steps,
            low_lane,
        });
    }
    Ok(Proofs { channels })
}

/// Weights that are not known: any values of -127..=127, see `gather_unit`.
fn prove_computed(
    layer: &HwLayer,
    dot: &ComputedDot,
    constants: &[ChannelConstants],
) -> Result<Proofs, PlanError> {
    let any = [-127, 127];
    let bounds = any.map(|w| lane_bound(&[w; MAX_CHAIN], activations()));
    let packed = any
        .iter()
        .all(|&w1| any.iter().all(|&w0| fits_operand(w1, w0)));
    if !packed || !bounds.iter().all(|&bound| LOW_LANE.encloses(bound)) {
        return Err(unproved(
            layer,
            0,
            "computed weights do not fit a packed pair".into(),
        ));
    }
    if !fits_accumulator(dot.reach) {
        return Err(unproved(
            layer,
            0,
            format!(
                "the sum of products of two computed operands can reach {}..={}, which needs more than \
                 {ACC_BITS} bits; divide the summed dimension",
                dot.reach.lo, dot.reach.hi
            ),
        ));
    }
    prove_equal(&dot.requant, &constants[0].lane, dot.reach)
        .map_err(|counterexample| unproved(layer, 0, counterexample.to_string()))?;
    Ok(Proofs {
        channels: Vec::new(),
    })
}

/// The lane of a product, which all channels share.
fn prove_product(
    layer: &HwLayer,
    product: &ProductLayer,
    constants: &[ChannelConstants],
) -> Result<Proofs, PlanError> {
    let lane = &constants[0].lane;
    // far within the accumulator: three products and the bias
    debug_assert!(fits_accumulator(product.reach));
    prove_equal(&product.requant, lane, product.reach)
        .map_err(|counterexample| unproved(layer, 0, counterexample.to_string()))?;
    Ok(Proofs {
        channels: Vec::new(),
    })
}

/// Widest sum over all chains of channel `oc`.
fn chain_sum(
    layer: &HwLayer,
    kernel: &StoredKernel,
    shape: &Shape,
    oc: usize,
) -> Result<Interval, PlanError> {
    let [kh, kw, channels] = kernel.dims;
    let mut widest = Interval::point(0);
    for step in 0..kh * kw * kernel.passes {
        let (position, pass) = (step / kernel.passes, step % kernel.passes);
        let position = [position / kw, position % kw];
        for chunk in (0..channels.div_ceil(shape.ic)).map(|c| c * shape.ic) {
            for first in (0..shape.ic).step_by(shape.chain()) {
                let last = (first + shape.chain()).min(shape.ic);
                let places = chunk + first..chunk + last;
                let of_channel = |oc: usize| -> Vec<i8> {
                    let places = places.clone();
                    places.map(|k| kernel.at(pass, oc, position, k)).collect()
                };
                let chain = of_channel(oc);
                if shape.packing == Packing::Two {
                    pairs(layer, oc, &chain, &of_channel(oc + 1))?;
                }
                widest = widest.union(lane_bound(&chain, operands(shape.packing)));
            }
        }
    }
    let (holds, name, remedy) = match shape.packing {
        Packing::Two => (
            LOW_LANE,
            "17-bit low lane",
            "keep weights within -127..=127",
        ),
        Packing::Four => (
            quad_packing::FIELD,
            "10-bit field",
            "keep weights within -7..=7",
        ),
    };
    if !holds.encloses(widest) {
        return Err(unproved(
            layer,
            oc,
            format!(
                "a chain of {} packed products can reach {}..={}, beyond the {name}; {remedy}",
                shape.chain(),
                widest.lo,
                widest.hi
            ),
        ));
    }
    Ok(widest)
}

/// Every packed weight pair, of channels `oc` and `oc + 1`, fits the DSP's 25-bit port.
fn pairs(layer: &HwLayer, oc: usize, low: &[i8], high: &[i8]) -> Result<(), PlanError> {
    let mut pairs = high.iter().zip(low);
    match pairs.find(|&(&w1, &w0)| !fits_operand(w1, w0)) {
        None => Ok(()),
        Some((w1, w0)) => Err(unproved(
            layer,
            oc + 1,
            format!(
                "weights {w1} and {w0} do not fit one 25-bit DSP port; keep weights within -127..=127"
            ),
        )),
    }
}
