//! Pass 0: general staircases become scales and shifts that the requantizer lane has.
//!
//! For each layer the constants are solved for and proved on every accumulator that its input's
//! values can reach ([`macforge_numeric::solve_lanes`]). What is free is an offset in the bias, a
//! zero point of the lanes of a layer (which need not be the tensor's: the lane only adds it), and,
//! where all weights are narrow, a factor of weights and bias that makes the offset finer. Where that
//! is not enough, the lanes get a constant at product scale.

use crate::error::PlanError;
use crate::proof::{ACC_BITS, activations};
use macforge_numeric::{
    Interval, LaneConstants, RequantRule, Requantizer, Semantics, SolvedLane, StaircaseChannel,
    accumulator_interval, solve_lanes,
};
use macforge_quant::{QGraph, QNode, QOp};
use std::borrow::Cow;

/// Factors of weights and bias that are tried, smallest first.
const FACTORS: [i64; 12] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 127];

/// The graph with every staircase replaced; the same graph where there is none.
///
/// # Errors
/// [`PlanError::Numeric`] names the layer and the channel that has no lane constants.
pub fn as_lane_rules(graph: &QGraph) -> Result<Cow<'_, QGraph>, PlanError> {
    if !graph.nodes.iter().any(|n| has_staircases(&n.op)) {
        return Ok(Cow::Borrowed(graph));
    }
    let ranges = graph
        .value_ranges()
        .map_err(|error| PlanError::Verify(error.to_string()))?;
    let mut lanes = graph.clone();
    for (node, out) in graph.nodes.iter().zip(&mut lanes.nodes) {
        if has_staircases(&node.op) {
            replace(graph, node, ranges[node.inputs[0].0], &mut out.op)?;
        }
    }
    Ok(Cow::Owned(lanes))
}

fn has_staircases(op: &QOp) -> bool {
    let requant = match op {
        QOp::Conv2d(c) => &c.requant,
        QOp::FullyConnected(f) => &f.requant,
        _ => return false,
    };
    let general = |r: &Requantizer| matches!(r.rule, RequantRule::Staircase(_));
    !requant.is_empty() && requant.iter().all(general)
}

fn replace(graph: &QGraph, node: &QNode, input: Interval, op: &mut QOp) -> Result<(), PlanError> {
    let zero_point = graph
        .tensor(node.inputs[0])
        .quant
        .map_or(0, |q| q.zero_point);
    let reach = graph.accumulator_ranges(node, input);
    let (weights, bias, requant, lower_is_activation) = match op {
        QOp::Conv2d(c) => (
            &mut c.weights,
            &mut c.bias,
            &mut c.requant,
            c.lower_is_activation,
        ),
        QOp::FullyConnected(f) => (
            &mut f.weights,
            &mut f.bias,
            &mut f.requant,
            f.lower_is_activation,
        ),
        _ => return Ok(()),
    };
    let layer = Layer {
        weights,
        bias,
        requant,
        reach,
        zero_point,
        lower_is_activation,
        ort_x86: graph.semantics == Semantics::OrtX86,
    };
    let (factor, solved) = layer.solve().map_err(|source| PlanError::Numeric {
        layer: node.source.clone(),
        source,
    })?;
    for weight in weights.iter_mut() {
        *weight = (i64::from(*weight) * factor) as i16;
    }
    for ((bias, rule), lane) in bias.iter_mut().zip(requant.iter_mut()).zip(solved) {
        // both terms lie within the 25 bits of the lane's bias
        *bias = (i64::from(*bias) * factor + lane.offset) as i32;
        rule.rule = lane_rule(&lane.lane);
        rule.zero_point = lane.lane.zero_point;
    }
    Ok(())
}

/// The rule of solved lane constants.
pub fn lane_rule(lane: &LaneConstants) -> RequantRule {
    let (multiplier, shift) = (lane.multiplier, i32::from(lane.shift));
    match lane.tie_window {
        // both parts of the scale are exact in float32
        Some(_) => RequantRule::OrtX86 {
            scale: multiplier as f32 * (-f64::from(shift)).exp2() as f32,
        },
        None if lane.constant > 0 => RequantRule::MultiplyAdd {
            multiplier: multiplier as i32,
            shift: lane.shift,
            constant: lane.constant,
        },
        None => RequantRule::TfliteSingle {
            multiplier: multiplier as i32,
            shift: 31 - shift,
        },
    }
}

struct Layer<'a> {
    weights: &'a [i16],
    bias: &'a [i32],
    requant: &'a [Requantizer],
    reach: Vec<Interval>,
    zero_point: i32,
    lower_is_activation: bool,
    /// The lanes are those of onnxruntime's rule.
    ort_x86: bool,
}

impl Layer<'_> {
    /// The smallest factor that has a solution, or a solution with constants at product scale; the error
    /// is that of factor 1.
    fn solve(&self) -> Result<(i64, Vec<SolvedLane>), macforge_numeric::NumericError> {
        let widest = self.weights.iter().map(|w| i64::from(w.unsigned_abs()));
        let widest = widest.max().unwrap_or(1).max(1);
        let mut first = None;
        let factors = FACTORS.into_iter();
        for factor in factors.take_while(|f| f * widest <= 127 || *f == 1) {
            match solve_lanes(&self.channels(factor, false)) {
                Ok(solved) => return Ok((factor, solved)),
                Err(error) => first = first.or(Some(error)),
            }
        }
        if self.ort_x86 {
            match solve_lanes(&self.channels(1, true)) {
                Ok(solved) => return Ok((1, solved)),
                Err(error) => first = Some(error),
            }
        }
        Err(first.expect("factor 1 is always tried"))
    }

    fn channels(&self, factor: i64, constants: bool) -> Vec<StaircaseChannel<'_>> {
        let per_channel = (self.weights.len() / self.bias.len().max(1)).max(1);
        let rows = self.weights.chunks_exact(per_channel).zip(self.bias);
        rows.zip(self.requant)
            .zip(&self.reach)
            .map(|(((row, &bias), rule), &reach)| StaircaseChannel {
                rule,
                reach,
                factor,
                offsets: self.offsets(row, bias, factor),
                lower_is_activation: self.lower_is_activation,
                ties: self.ort_x86,
                constants,
            })
            .collect()
    }

    /// Offsets that leave the folded bias, and every accumulator of any input, within the
    /// accumulator's bits.
    fn offsets(&self, row: &[i16], bias: i32, factor: i64) -> Interval {
        let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
        let folded = factor * (i64::from(bias) - i64::from(self.zero_point) * sum);
        let all = accumulator_interval(row, activations(), 0, 0, false);
        let used = Interval::new(
            (factor * all.lo + folded).min(folded),
            (factor * all.hi + folded).max(folded),
        );
        let limit = 1i64 << (ACC_BITS - 1);
        Interval {
            lo: -limit - used.lo,
            hi: limit - 1 - used.hi,
        }
    }
}
