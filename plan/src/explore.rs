//! Chooses the array shape: every candidate that the device can hold is judged by the cycle and
//! resource model of the whole network.

use crate::allocate::{self, Placements};
use crate::error::PlanError;
use crate::hwplan::{self, Options};
use crate::layers::{self, Layers};
use crate::layout::{self, Layout};
use crate::loops::Loops;
use crate::resources::{self, Budget, Estimate, Features};
use crate::shape::Shape;
use crate::{cycles, input, memories};
use macforge_quant::QGraph;

/// A shape with its estimates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The shape.
    pub shape: Shape,
    /// Estimated cycles of one inference.
    pub cycles: u64,
    /// Estimated resources.
    pub estimate: Estimate,
}

const PIXELS: std::ops::RangeInclusive<usize> = 1..=16;
const OUT_CHANNELS: [usize; 11] = [2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128];
const IN_CHANNELS: [usize; 13] = [1, 2, 3, 4, 6, 8, 9, 10, 12, 16, 18, 24, 32];
const LANES: [usize; 7] = [1, 2, 4, 8, 12, 16, 32];

/// The user's shape with the best number of lanes, or the best shape of all.
pub fn resolve_shape(
    graph: &QGraph,
    layers: &Layers,
    options: &Options,
) -> Result<Shape, PlanError> {
    let features = hwplan::features(layers);
    let Some(asked) = options.shape else {
        // one lane of everything; what has no place there has no place anywhere
        let smallest = Shape {
            p: 1,
            oc: 2,
            ic: 1,
            lanes: 1,
        };
        place(graph, layers, &smallest)?;
        let best = explore(graph, layers, options).into_iter().next();
        return best.map(|c| c.shape).ok_or_else(|| {
            PlanError::NoFit(format!(
                "{} needs more than {:?}",
                graph.name, options.budget
            ))
        });
    };
    let with_lanes = |lanes: usize| Shape { lanes, ..asked };
    let single = with_lanes(1);
    check_shape(layers, &single, features)?;
    place(graph, layers, &single)?;
    let legal = |shape: &Shape| check_shape(layers, shape, features).is_ok();
    let judged = LANES
        .iter()
        .map(|&lanes| with_lanes(lanes))
        .filter(legal)
        .filter_map(|shape| judge(graph, layers, options, features, shape))
        .min_by_key(|c| (!c.estimate.fits(&options.budget), c.cycles, c.estimate.lut));
    Ok(judged.map_or(single, |c| c.shape))
}

/// Geometry and addresses on a shape, or why there are none.
fn place(
    graph: &QGraph,
    layers: &Layers,
    shape: &Shape,
) -> Result<(Layout, Placements), PlanError> {
    let mode = input::choose(graph, layers, shape);
    let layout = layout::arrange(graph, layers, &mode, shape)?;
    let placements = allocate::place(layers, &layout)?;
    Ok((layout, placements))
}

/// Whether the layers can run on the shape at all.
pub fn check_shape(layers: &Layers, shape: &Shape, features: Features) -> Result<(), PlanError> {
    shape.check()?;
    if features.channel && shape.ic > shape.oc {
        let pooling = layers
            .layers
            .iter()
            .find(|l| l.is_channel())
            .expect("the feature says so");
        return Err(PlanError::Shape {
            shape: shape.to_string(),
            reason: format!(
                "IC > OC, but {} needs IC accumulators per pixel",
                pooling.source
            ),
        });
    }
    Ok(())
}

/// All shapes of a graph that fit the device, best first.
///
/// # Errors
/// The graph has an operator that the engine cannot run.
pub fn candidates(graph: &QGraph, options: &Options) -> Result<Vec<Candidate>, PlanError> {
    Ok(explore(graph, &layers::lower(graph)?, options))
}

/// All shapes that fit, best first.
fn explore(graph: &QGraph, layers: &Layers, options: &Options) -> Vec<Candidate> {
    let features = hwplan::features(layers);
    let macs: u64 = (0..graph.nodes.len()).map(|n| graph.macs(n)).sum();
    let mut shapes = legal_shapes(layers, features, &options.budget);
    shapes.sort_by_key(|s| std::cmp::Reverse(s.macs_per_cycle()));
    let mut found: Vec<Candidate> = Vec::new();
    let mut best = u64::MAX;
    for shape in shapes {
        // no shape is faster than its peak; slower than twice the best is of no interest
        if macs / shape.macs_per_cycle() > best.saturating_mul(2) {
            break;
        }
        if let Some(candidate) = judge(graph, layers, options, features, shape)
            && candidate.estimate.fits(&options.budget)
        {
            best = best.min(candidate.cycles);
            found.push(candidate);
        }
    }
    found.sort_by_key(|c| (c.cycles, c.estimate.lut, c.shape));
    found
}

fn legal_shapes(layers: &Layers, features: Features, budget: &Budget) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for p in PIXELS {
        for oc in OUT_CHANNELS {
            for ic in IN_CHANNELS {
                for lanes in LANES {
                    let shape = Shape { p, oc, ic, lanes };
                    if resources::dsps(&shape, features) as u64 <= budget.dsp
                        && check_shape(layers, &shape, features).is_ok()
                    {
                        shapes.push(shape);
                    }
                }
            }
        }
    }
    shapes
}

/// Estimates one shape; `None` if the layers cannot be laid out on it.
fn judge(
    graph: &QGraph,
    layers: &Layers,
    options: &Options,
    features: Features,
    shape: Shape,
) -> Option<Candidate> {
    let (layout, placements) = place(graph, layers, &shape).ok()?;
    let act_depth = placements.values().map(|p| p.base + p.size()).max()?;
    let (mut total, mut weight_words, mut param_words) = (0, 0, 0);
    for (index, layer) in layers.layers.iter().enumerate() {
        let [rows, _, channels] = graph.tensor(layer.output).hwc();
        if layer.is_softmax() {
            total += cycles::softmax_cycles(channels, options.latencies.softmax_fixed).total();
            continue;
        }
        let view = &layout.views[index];
        let l = Loops::new(
            &shape,
            layer,
            view.window.kernel,
            layout.storages[&layer.input].hwc[2],
            rows * view.enum_cols,
            channels,
        );
        let drain = shape.p * l.drain_groups;
        let lane_path = hwplan::lane_path(&options.latencies, features, layer);
        total += cycles::estimate(
            &shape,
            &l,
            drain,
            layer.is_channel(),
            lane_path,
            view.reduce,
        )
        .total();
        if layer.is_dot() {
            weight_words += l.tiles * l.steps();
            param_words += l.tiles * l.drain_groups;
        } else {
            param_words += 1;
        }
    }
    // the program word is close to this for all networks seen
    let program_bits = 420 + 45 * shape.p;
    let words = [act_depth, weight_words, param_words];
    let (_, estimate) = memories::choose(&shape, features, program_bits, words, &options.budget);
    Some(Candidate {
        shape,
        cycles: total,
        estimate,
    })
}
