//! Chooses the array shape: every candidate that the device can hold is judged by the cycle and
//! resource model of the whole network.

mod arrays;
mod judge;
mod limits;

pub use limits::check_shape;

use crate::error::PlanError;
use crate::hwplan::{self, Options};
use crate::layers::{HwLayer, Layers};
use crate::lower::{Lowered, Saving};
use crate::macs;
use crate::resources::{Estimate, Features};
use crate::shape::{Packing, Shape};
use crate::stream::{MAX_PORTS, WeightSource};
use judge::{PlaceKey, Placed, place};
use limits::{IN_MEMORY, only_on_chip, savings};
use macforge_quant::QGraph;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// A shape with its estimates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The shape.
    pub shape: Shape,
    /// Estimated cycles of one inference.
    pub cycles: u64,
    /// Estimated resources.
    pub estimate: Estimate,
    /// Where its weights come from.
    pub source: WeightSource,
    /// How activation memory is saved.
    pub saving: Saving,
}

/// What is built: a shape, and where its weights and activations lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The shape.
    pub shape: Shape,
    /// Where its weights come from.
    pub source: WeightSource,
    /// How activation memory is saved.
    pub saving: Saving,
}

/// What was chosen before, the user's shape with the best lanes and word, or the best shape of all.
pub fn resolve_shape(lowered: &Lowered, options: &Options) -> Result<Choice, PlanError> {
    if let Some(choice) = options.choice {
        choice.shape.check()?;
        return Ok(choice);
    }
    let explorer = Explorer::new(lowered, options)?;
    let Some(asked) = options.shape else {
        // one lane of everything; what has no place there has no place anywhere
        place(&explorer.layers, &simplest([1, 2, 1], Packing::Two))?;
        let best = explorer.explore(1).into_iter().next();
        return best
            .map(|c| c.choice())
            .ok_or_else(|| explorer.no_fit(&simplest([1, 2, 1], Packing::Two)));
    };
    let layers = lowered.layers(asked.ic, Saving::default())?;
    // half the DSPs where two pixels can share them
    let packing = match asked.p > 1 && layers.fit_quads() {
        true => Packing::Four,
        false => Packing::Two,
    };
    let single = simplest([asked.p, asked.oc, asked.ic], packing);
    check_shape(&layers, &single, explorer.places()[0].source)?;
    place(&layers, &single)?;
    let best = |places: Places| {
        let variants = explorer.variants(single, places.source);
        (variants.iter())
            .filter_map(|&(_, shape)| explorer.judge(shape, places))
            .min_by_key(|c| (!c.estimate.fits(&options.budget), c.cycles, c.estimate.lut))
    };
    let all = explorer.places();
    let fits = |c: &Candidate| c.estimate.fits(&options.budget);
    let mut of_places = all.iter().filter_map(|&places| best(places));
    let first = of_places.next();
    let judged = match first {
        Some(first) if !fits(&first) => of_places.find(fits).or(Some(first)),
        _ => first,
    };
    let unjudged = Choice {
        shape: single,
        source: all[0].source,
        saving: Saving::default(),
    };
    Ok(judged.map_or(unjudged, |c| c.choice()))
}

impl Candidate {
    fn choice(&self) -> Choice {
        Choice {
            shape: self.shape,
            source: self.source,
            saving: self.saving,
        }
    }
}

/// Where weights and activations may lie.
#[derive(Clone, Copy)]
struct Places {
    source: WeightSource,
    /// Large activations lie in memory.
    spill: bool,
}

/// A shape with one lane.
fn simplest([p, oc, ic]: [usize; 3], packing: Packing) -> Shape {
    Shape {
        p,
        oc,
        ic,
        drained: 1,
        lanes: 1,
        word: ic,
        fabric: 0,
        packing,
    }
}

/// How much slower than the best a shape may be that is listed.
const SLACK: u64 = 2;

/// All shapes of a graph that fit the device, best first.
///
/// # Errors
/// The graph has an operator that the engine cannot run.
pub fn candidates(graph: &QGraph, options: &Options) -> Result<Vec<Candidate>, PlanError> {
    let lowered = Lowered::new(&[graph], options.budget.dsp)?;
    Ok(Explorer::new(&lowered, options)?.explore(SLACK))
}

/// What all shapes are judged by.
struct Explorer<'a> {
    lowered: &'a Lowered<'a>,
    options: &'a Options,
    /// Layers as they are where every part begins with a word.
    layers: Rc<Layers>,
    features: Features,
    /// Most channels of a depthwise layer.
    widest: usize,
    /// Ways to save activation memory.
    savings: [Vec<Saving>; 4],
    /// What was placed before.
    known: RefCell<BTreeMap<PlaceKey, Option<Rc<Placed>>>>,
}

impl<'a> Explorer<'a> {
    fn new(lowered: &'a Lowered<'a>, options: &'a Options) -> Result<Self, PlanError> {
        let layers = lowered.layers(1, Saving::default())?;
        if options.weights.source == Some(WeightSource::Memory)
            && let Some(error) = only_on_chip(&layers)
        {
            return Err(error);
        }
        let depthwise = layers.layers.iter().filter(|l| l.multiplies_channels());
        let widest = depthwise.map(|l| l.output.hwc[2]).max();
        Ok(Explorer {
            lowered,
            options,
            features: hwplan::features(&layers),
            widest: widest.unwrap_or(0),
            savings: savings(&layers),
            known: RefCell::default(),
            layers,
        })
    }

    /// What is missing, seen from the smallest array.
    fn no_fit(&self, least: &Shape) -> PlanError {
        let places = *self.places().last().expect("at least one");
        let name = &self.lowered.graphs()[0].name;
        let budget = &self.options.budget;
        let needs = match self.judge(*least, places) {
            Some(c) if c.estimate.bram36 > budget.bram36 as f64 => {
                let held = if places.source.streamed() {
                    "activations and parameters"
                } else {
                    "weights, activations and parameters"
                };
                format!(
                    "the {held} of {name} alone need {} BRAM36 of {}",
                    c.estimate.bram36, budget.bram36
                )
            }
            _ => format!("{name} needs more than {budget:?}"),
        };
        let hint = match self.has_port() || self.savings[IN_MEMORY].is_empty() {
            true => "",
            false => {
                "; activations can lie in memory where --hp-ports leaves one of the four ports for them"
            }
        };
        PlanError::NoFit(needs + hint)
    }

    /// What is tried in turn: activations lie in memory only where nothing else fits.
    fn places(&self) -> Vec<Places> {
        let sources = self.sources();
        let on_chip = sources.iter().map(|&source| Places {
            source,
            spill: false,
        });
        let last = sources.last().filter(|source| source.streamed());
        let spilled = last.filter(|_| !self.savings[IN_MEMORY].is_empty() && self.has_port());
        let spilled = spilled.map(|&source| Places {
            source,
            spill: true,
        });
        on_chip.chain(spilled).collect()
    }

    /// A port is left for activations.
    fn has_port(&self) -> bool {
        self.options
            .weights
            .ports
            .is_none_or(|ports| ports < MAX_PORTS)
    }

    /// Where the weights come from: what is tried in turn. With [`WeightSource::Memory`], an LSTM's weights may
    /// stay on chip unless all of them are to be in memory (see [`Self::judge`]).
    fn sources(&self) -> &'static [WeightSource] {
        use WeightSource::{Chip, Memory, Mixed};
        let weights = |l: &HwLayer| {
            let recurrent = l.lstm().map_or(0, |lstm| lstm.weights());
            recurrent + l.weighted().map_or(0, |w| w.weights.len())
        };
        // equal layers of several sets would share words on chip
        let of_set = |set: &Range<usize>| -> usize {
            let layers = &self.layers.layers[set.clone()];
            layers.iter().map(weights).sum()
        };
        let weights: Vec<usize> = self.layers.sets.iter().map(of_set).collect();
        let most = weights.iter().copied().max().unwrap_or(0);
        // bytes of block RAM, parity included
        let room = self.options.budget.bram36 * 4608;
        match self.options.weights.source {
            _ if weights.contains(&0) || only_on_chip(&self.layers).is_some() => &[Chip],
            Some(Chip) => &[Chip],
            Some(Memory) => &[Memory],
            Some(Mixed) => &[Mixed],
            None if most as u64 > 2 * room => &[Memory],
            None => &[Chip, Memory],
        }
    }

    /// All shapes that fit, each with its best lanes and word, best first; with weights from memory, and then with
    /// activations there, only where they fit nowhere on chip. What takes more than `slack` times as many cycles as the best is of
    /// no interest.
    fn explore(&self, slack: u64) -> Vec<Candidate> {
        let places = self.places();
        let mut found = places
            .iter()
            .map(|&places| self.explore_with(places, slack));
        found.find(|found| !found.is_empty()).unwrap_or_default()
    }

    fn explore_with(&self, places: Places, slack: u64) -> Vec<Candidate> {
        let macs: u64 = self.lowered.graphs().into_iter().map(macs::of_graph).sum();
        let mut found: Vec<Candidate> = Vec::new();
        let mut best = u64::MAX;
        for shape in self.arrays(places.source) {
            // no shape is faster than its peak
            if macs / shape.macs_per_cycle() > best.saturating_mul(slack) {
                break;
            }
            if let Some(candidate) = self.best_variant(shape, best.saturating_mul(slack), places) {
                best = best.min(candidate.cycles);
                found.push(candidate);
            }
        }
        found.sort_by_key(|c| (c.cycles, c.estimate.lut, c.shape));
        found
    }

    /// The fastest variant of an array that fits, if it takes less than `limit` cycles.
    fn best_variant(&self, array: Shape, limit: u64, places: Places) -> Option<Candidate> {
        let mut best: Option<Candidate> = None;
        for (bound, shape) in self.variants(array, places.source) {
            if bound > best.map_or(limit, |c| c.cycles) {
                break;
            }
            if let Some(candidate) = self.judge(shape, places)
                && candidate.estimate.fits(&self.options.budget)
                && best.is_none_or(|b| {
                    (candidate.cycles, candidate.estimate.lut) < (b.cycles, b.estimate.lut)
                })
            {
                best = Some(candidate);
            }
        }
        best
    }
}
