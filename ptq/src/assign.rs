//! The grid of every activation.
//!
//! An addition is built in hardware as one multiply-add that must equal the rule on all 65,536 pairs.
//! For some scales there is none: the rule's own float32 rounding, or a tie, decides a pair the
//! other way. The output's scale is free, so it is widened by a few 4096ths until there is one.

use std::collections::BTreeMap;

use macforge_model::onnx::OnnxGraph;
use macforge_numeric::{BinaryRule, Clamp, FloatOperation, MulAdd};

use crate::PtqError;
use crate::layers::Layer;
use crate::observe::Observed;
use crate::policy::{LayerPolicy, Resolved, TensorPolicy};
use crate::scale::{Grid, Range};

/// A quantized activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assigned {
    /// Scale, zero point, bounds.
    pub grid: Grid,
    /// The range that the calibrator found; with shared scales the hull of all that share.
    pub range: Range,
    /// What the policy asked for.
    pub policy: TensorPolicy,
}

/// Values that must share one grid, because layers that only move them join them.
struct Groups<'g> {
    parent: BTreeMap<&'g str, &'g str>,
}

impl<'g> Groups<'g> {
    fn find(&self, value: &'g str) -> &'g str {
        let mut at = value;
        while let Some(&up) = self.parent.get(at) {
            at = up;
        }
        at
    }

    fn join(&mut self, a: &'g str, b: &'g str) {
        let (a, b) = (self.find(a), self.find(b));
        if a != b {
            self.parent.insert(b, a);
        }
    }
}

/// The grid of every value in `observed`.
///
/// # Errors
/// [`PtqError::Policy`] where values that share a scale are asked to have different bits, schemes
/// or kinds of scale.
pub fn assign(
    graph: &OnnxGraph,
    layers: &[Layer],
    policy: &Resolved,
    observed: &BTreeMap<String, Observed>,
) -> Result<BTreeMap<String, Assigned>, PtqError> {
    let mut groups = Groups {
        parent: BTreeMap::new(),
    };
    for layer in layers.iter().filter(|l| l.moves) {
        for value in layer.inputs.iter().skip(1).chain(&layer.outputs) {
            if let Some(first) = layer.inputs.first() {
                groups.join(first, value);
            }
        }
    }
    // all hidden states and the last one are one tensor
    for layer in layers.iter().filter(|l| l.recurrent.is_some()) {
        for value in layer.outputs.iter().skip(1) {
            groups.join(&layer.outputs[0], value);
        }
    }
    let mut found: BTreeMap<&str, (Range, &LayerPolicy, &str)> = BTreeMap::new();
    for (value, layer) in sources(graph, layers) {
        let (Some(seen), Some(own)) = (observed.get(value), policy.layers.get(layer)) else {
            continue;
        };
        let t = own.activations;
        let range = t.calibrator.range(&seen.histogram, t.bits, t.scheme);
        let group = groups.find(value);
        match found.get_mut(group) {
            None => {
                found.insert(group, (range, own, layer));
            }
            Some((hull, first, of)) => {
                check_alike(first, of, own, layer)?;
                *hull = hull.hull(range);
            }
        }
    }
    for layer in layers
        .iter()
        .filter(|l| l.op.split('+').next() == Some("Add"))
    {
        let [Some(a), Some(b), Some(y)] = [
            layer.inputs.first(),
            layer.inputs.get(1),
            layer.outputs.first(),
        ] else {
            continue;
        };
        let [a, b, y] = [a, b, y].map(|v| groups.find(v));
        let operands = [found.get(a), found.get(b)].map(|f| f.map(|(r, own, _)| grid(*r, own)));
        if let ([Some(qa), Some(qb)], Some((range, own, _)), true) =
            (operands, found.get_mut(y), a != y && b != y)
        {
            *range = buildable(&qa, &qb, *range, own);
        }
    }
    let assigned = observed.keys().filter_map(|value| {
        let &(range, own, _) = found.get(groups.find(value))?;
        let assigned = Assigned {
            grid: grid(range, own),
            range,
            policy: own.activations,
        };
        Some((value.clone(), assigned))
    });
    Ok(assigned.collect())
}

fn grid(range: Range, own: &LayerPolicy) -> Grid {
    let t = own.activations;
    Grid::cover(range, t.bits, t.scheme, own.power_of_two).widened()
}

/// How often the scale of an addition is widened before it is left as it is.
const TRIES: u32 = 64;

/// The range, or a slightly wider one, with which the sum of `a` and `b` has a multiply-add.
fn buildable(a: &Grid, b: &Grid, range: Range, own: &LayerPolicy) -> Range {
    let wider = |n: u32| {
        let factor = 1.0 + f64::from(n) / 4096.0;
        Range {
            lo: range.lo * factor,
            hi: range.hi * factor,
        }
    };
    // a power of two does not move
    let tries = if own.power_of_two { 1 } else { TRIES };
    let mut candidates = (0..tries).map(wider);
    candidates
        .find(|&range| has_multiply_add(a, b, &grid(range, own)))
        .unwrap_or(range)
}

fn has_multiply_add(a: &Grid, b: &Grid, y: &Grid) -> bool {
    let clamp = Clamp { lo: y.lo, hi: y.hi };
    let rule = BinaryRule::float(FloatOperation::Add, a.params, b.params, y.params);
    let rule = rule.map(|r| r.clamped(clamp, y.lo >= y.params.zero_point));
    rule.is_ok_and(|rule| MulAdd::solve(&rule).is_ok())
}

/// Values that are computed, not only moved, with the layer whose policy they follow.
fn sources<'g>(
    graph: &'g OnnxGraph,
    layers: &'g [Layer],
) -> impl Iterator<Item = (&'g str, &'g str)> {
    let inputs = graph
        .inputs
        .iter()
        .map(|i| (i.name.as_str(), i.name.as_str()));
    let computed = layers.iter().filter(|l| !l.moves).flat_map(|layer| {
        let outputs = layer.outputs.iter();
        outputs.map(move |o| (o.as_str(), layer.name.as_str()))
    });
    inputs.chain(computed)
}

fn check_alike(a: &LayerPolicy, of: &str, b: &LayerPolicy, layer: &str) -> Result<(), PtqError> {
    let key = |p: &LayerPolicy| (p.activations.bits, p.activations.scheme, p.power_of_two);
    if key(a) == key(b) {
        return Ok(());
    }
    Err(PtqError::Policy {
        at: format!("layers `{of}` and `{layer}`"),
        found: "their outputs are joined and share one scale, but the policy gives them \
                different bits, schemes or kinds of scale"
            .into(),
        remedy: "give both the same activations table".into(),
    })
}
