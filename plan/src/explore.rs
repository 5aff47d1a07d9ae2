//! Chooses the array shape: every candidate that the device can hold is judged by the cycle and
//! resource model of the whole network.

use crate::allocate;
use crate::cycles::LayerCycles;
use crate::error::PlanError;
use crate::hwplan::{self, Options};
use crate::layers::{HwLayer, Layers};
use crate::layout::{self, Layout, Placement, gcd};
use crate::loops::Loops;
use crate::lower::{Lowered, Saving};
use crate::macs;
use crate::memories::Words;
use crate::narrow;
use crate::params;
use crate::resources::{self, Budget, Estimate, Features, LstmSize};
use crate::shape::{Packing, Shape};
use crate::stream::{WeightSource, WeightStream};
use crate::{input, memories, strips};
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

const PIXELS: std::ops::RangeInclusive<usize> = 1..=16;
const OUT_CHANNELS: [usize; 11] = [2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128];
const IN_CHANNELS: [usize; 14] = [1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 16, 18, 24, 32];
const LANES: [usize; 7] = [1, 2, 4, 8, 12, 16, 32];

/// All pairs of both.
fn channels() -> impl Iterator<Item = (usize, usize)> {
    (OUT_CHANNELS.into_iter()).flat_map(|oc| IN_CHANNELS.map(move |ic| (oc, ic)))
}

/// Activation words in multiples of what the array and the lanes need.
const WORD_MULTIPLES: [usize; 8] = [1, 2, 3, 4, 6, 8, 12, 16];

/// What is built: a shape, and where its weights and activations lie.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The shape.
    pub shape: Shape,
    /// Where its weights come from.
    pub source: WeightSource,
    /// How activation memory is saved.
    pub saving: Saving,
}

/// The user's shape with the best lanes and word, or the best shape of all.
pub fn resolve_shape(lowered: &Lowered, options: &Options) -> Result<Choice, PlanError> {
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
    let packing = options
        .packing
        .unwrap_or(match asked.p > 1 && layers.fit_quads() {
            true => Packing::Four,
            false => Packing::Two,
        });
    let single = simplest([asked.p, asked.oc, asked.ic], packing);
    check_shape(&layers, &single, explorer.sources()[0])?;
    place(&layers, &single)?;
    let best = |source: WeightSource| {
        let variants = explorer.variants(single, source);
        (variants.iter())
            .filter_map(|&(_, shape)| explorer.judge(shape, source))
            .min_by_key(|c| (!c.estimate.fits(&options.budget), c.cycles, c.estimate.lut))
    };
    let sources = explorer.sources();
    let fits = |c: &Candidate| c.estimate.fits(&options.budget);
    let mut of_sources = sources.iter().filter_map(|&source| best(source));
    let first = of_sources.next();
    let judged = match first {
        Some(first) if !fits(&first) => of_sources.find(fits).or(Some(first)),
        _ => first,
    };
    let unjudged = Choice {
        shape: single,
        source: sources[0],
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

/// Geometry and addresses on a shape, or why there are none.
fn place(layers: &Layers, shape: &Shape) -> Result<(Layout, Vec<Placement>), PlanError> {
    let mode = input::choose(layers, shape);
    let layout = layout::arrange(layers, &mode, shape)?;
    let placements = allocate::place(layers, &layout, shape);
    Ok((layout, placements))
}

/// Whether the layers can run on the shape at all with weights from `source`.
pub fn check_shape(layers: &Layers, shape: &Shape, source: WeightSource) -> Result<(), PlanError> {
    shape.check()?;
    if shape.packing == Packing::Four && !layers.fit_quads() {
        return Err(PlanError::Shape {
            shape: shape.to_string(),
            reason:
                "four products per DSP, but the layers of the dot array have more than four bits"
                    .into(),
        });
    }
    let recurrent = layers.layers.iter().find(|l| l.lstm().is_some());
    let short = source == WeightSource::Memory && shape.oc * shape.ic < LstmSize::GATES;
    if let Some(layer) = recurrent.filter(|_| short) {
        return Err(PlanError::Shape {
            shape: shape.to_string(),
            reason: format!(
                "{} needs a weight for each of its {} gates at once, more than a word of OC x IC weights \
                 from memory has; a larger OC x IC or --weights chip gives them",
                layer.source,
                LstmSize::GATES
            ),
        });
    }
    let depthwise = layers.layers.iter().find(|l| l.multiplies_channels());
    if let Some(layer) = depthwise.filter(|_| shape.word > shape.oc * shape.ic) {
        return Err(PlanError::Shape {
            shape: shape.to_string(),
            reason: format!(
                "{} needs a weight for each of the {} channels of an activation word, more than \
                 OC x IC",
                layer.source, shape.word
            ),
        });
    }
    Ok(())
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

/// Ways to save activation memory, those that cost least first; in each list every one saves more than the
/// one before.
fn savings(layers: &Layers) -> [Vec<Saving>; 3] {
    let compact = |strips| Saving {
        compact: true,
        strips,
    };
    let in_strips = strips::choices(layers).into_iter();
    [
        vec![Saving::default()],
        vec![compact(None)],
        in_strips.map(|values| compact(Some(values))).collect(),
    ]
}

/// What keeps all weights on chip, as the error for whoever asks for them to be in memory.
fn only_on_chip(layers: &Layers) -> Option<PlanError> {
    let refused = |layer: &HwLayer, found: &str, remedy: &str| PlanError::Unsupported {
        layer: layer.source.clone(),
        found: found.into(),
        remedy: remedy.into(),
    };
    if let Some(layer) = layers.layers.iter().find(|l| l.computed().is_some()) {
        return Some(refused(
            layer,
            "a product of two computed tensors in a design with weights in memory",
            "the second one becomes weights on chip; compile with --weights chip",
        ));
    }
    let mut resets = layers.layers[..layers.reset_layers].iter();
    let layer = resets.find(|layer| layer.weighted().is_some())?;
    Some(refused(
        layer,
        "a state whose initial value is not constant, with weights in memory",
        "every inference reads all weights, and the layer that writes this value runs after a reset only; \
         compile with --weights chip",
    ))
}

/// Where everything lies on a shape.
type Placed = (Layout, Vec<Placement>);

/// What that depends on: P, IC, word, whether it is written as a whole, and what saves memory.
type PlaceKey = ([usize; 3], bool, Saving);

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
    savings: [Vec<Saving>; 3],
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
        let source = *self.sources().last().expect("at least one");
        let name = &self.lowered.graphs()[0].name;
        let budget = &self.options.budget;
        let needs = match self.judge(*least, source) {
            Some(c) if c.estimate.bram36 > budget.bram36 as f64 => {
                let held = if source.streamed() {
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
        PlanError::NoFit(needs)
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

    /// All shapes that fit, each with its best lanes and word, best first; with weights from memory
    /// only where they fit nowhere on chip. What takes more than `slack` times as many cycles as the best is of
    /// no interest.
    fn explore(&self, slack: u64) -> Vec<Candidate> {
        let mut found = self
            .sources()
            .iter()
            .map(|&source| self.explore_with(source, slack));
        found.find(|found| !found.is_empty()).unwrap_or_default()
    }

    fn explore_with(&self, source: WeightSource, slack: u64) -> Vec<Candidate> {
        let macs: u64 = self.lowered.graphs().into_iter().map(macs::of_graph).sum();
        let mut found: Vec<Candidate> = Vec::new();
        let mut best = u64::MAX;
        for shape in self.arrays(source) {
            // no shape is faster than its peak
            if macs / shape.macs_per_cycle() > best.saturating_mul(slack) {
                break;
            }
            if let Some(candidate) = self.best_variant(shape, best.saturating_mul(slack), source) {
                best = best.min(candidate.cycles);
                found.push(candidate);
            }
        }
        found.sort_by_key(|c| (c.cycles, c.estimate.lut, c.shape));
        found
    }

    /// The shape with as many chains in LUTs as the DSPs do not suffice for: large networks, whose weights
    /// come from memory, are worth them; for others it stays as it is.
    fn with_fabric(&self, shape: Shape, source: WeightSource) -> Shape {
        if !source.streamed() {
            return shape;
        }
        let dsps = resources::dsps(&shape, self.features.placed(&shape, source));
        shape.without_dsps(dsps.saturating_sub(self.options.budget.dsp as usize))
    }

    /// DSPs of a design on a shape.
    fn dsps(&self, shape: &Shape, source: WeightSource) -> u64 {
        resources::dsps(shape, self.features.placed(shape, source)) as u64
    }

    /// How many products a DSP may make.
    fn packings(&self) -> &'static [Packing] {
        match self.layers.fit_quads() {
            true => &[Packing::Two, Packing::Four],
            false => &[Packing::Two],
        }
    }

    /// Arrays with one lane that DSPs and LUTs suffice for, largest first.
    fn arrays(&self, source: WeightSource) -> Vec<Shape> {
        let mut arrays = Vec::new();
        for &packing in self.packings() {
            // a pixel alone gives a DSP two products
            for p in PIXELS.filter(|&p| packing == Packing::Two || p > 1) {
                for (oc, ic) in channels() {
                    let single = simplest([p, oc, ic], packing);
                    let shape = self.with_fabric(single, source);
                    if self.dsps(&shape, source) <= self.options.budget.dsp
                        && resources::fabric(&shape)[0] as u64 <= self.options.budget.lut
                        && check_shape(&self.layers, &shape, source).is_ok()
                    {
                        arrays.push(single);
                    }
                }
            }
        }
        arrays.sort_by_key(|shape| std::cmp::Reverse(shape.macs_per_cycle()));
        arrays
    }

    /// The fastest variant of an array that fits, if it takes less than `limit` cycles.
    fn best_variant(&self, array: Shape, limit: u64, source: WeightSource) -> Option<Candidate> {
        let mut best: Option<Candidate> = None;
        for (bound, shape) in self.variants(array, source) {
            if bound > best.map_or(limit, |c| c.cycles) {
                break;
            }
            if let Some(candidate) = self.judge(shape, source)
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

    /// Lanes and words for an array, with a bound that no layout undercuts, lowest first.
    fn variants(&self, array: Shape, source: WeightSource) -> Vec<(u64, Shape)> {
        let Shape { p, ic, .. } = array;
        let mut variants = Vec::new();
        let drains = (1..=p).filter(|d| p % d == 0);
        for (drained, lanes) in drains.flat_map(|d| LANES.map(|lanes| (d, lanes))) {
            let least = ic / gcd(ic, lanes) * lanes;
            for multiple in WORD_MULTIPLES {
                let word = least * multiple;
                let plain = Shape {
                    drained,
                    lanes,
                    word,
                    ..array
                };
                let shape = self.with_fabric(plain, source);
                // channels beyond the widest layer's would be idle
                let useful = multiple == 1 || word < self.widest + least;
                if useful
                    && self.dsps(&shape, source) <= self.options.budget.dsp
                    && check_shape(&self.layers, &shape, source).is_ok()
                {
                    variants.push((self.bound(&shape), shape));
                }
            }
        }
        variants.sort_unstable();
        variants
    }

    /// Cycles without the columns that a layout adds and without the pipelines' lengths.
    fn bound(&self, shape: &Shape) -> u64 {
        let layers = self.layers.layers.iter().skip(self.layers.reset_layers);
        layers
            .filter(|layer| !layer.is_unit())
            .map(|layer| {
                let [rows, columns, channels] = layer.output.hwc;
                let tiles = channels.div_ceil(shape.tile(layer));
                let groups = (rows * columns).div_ceil(shape.p);
                let drain = shape.p / shape.drained * Loops::drain_groups(shape, layer, channels);
                // weights per output channel; the first layer's may share steps
                let weights = layer.weighted().map_or(0, |w| w.weights.len() / channels);
                let steps = layer.passes(shape.packing)
                    * if layer.is_dot() {
                        weights.div_ceil(shape.ic)
                    } else {
                        weights
                    };
                (tiles * groups * drain.max(steps)) as u64
            })
            .sum()
    }

    /// Estimates one shape; `None` if the layers cannot be laid out on it. An LSTM's weights take block RAM
    /// where they are on chip and time in every step where they are in memory; unless all weights are to
    /// be in memory, both are looked at.
    fn judge(&self, shape: Shape, source: WeightSource) -> Option<Candidate> {
        let judged = self.judge_source(shape, source);
        let asked = self.options.weights.source.is_some();
        if source != WeightSource::Memory || asked || self.features.lstm.is_none() {
            return judged;
        }
        let mixed = self.judge_source(shape, WeightSource::Mixed);
        let fits = |c: &Candidate| c.estimate.fits(&self.options.budget);
        let both = mixed.into_iter().chain(judged);
        both.min_by_key(|c| (!fits(c), c.cycles, c.estimate.lut))
    }

    /// The same for one place of the weights. Where they come from memory, what the activations leave of the
    /// block RAM makes their ring deeper; of the ways to save activation memory the first one that fits is
    /// taken.
    fn judge_source(&self, shape: Shape, source: WeightSource) -> Option<Candidate> {
        let budget = &self.options.budget;
        let more_memory = Budget {
            bram36: u64::MAX,
            ..*budget
        };
        let judge = |&saving: &Saving| self.judge_saving(shape, source, saving);
        let lists = self
            .savings
            .iter()
            .take(if source.streamed() { usize::MAX } else { 1 });
        let mut best: Option<Candidate> = None;
        for list in lists {
            // what saves most, before the others are looked at; the most strips may be too many layers
            let exists = |&saving: &Saving| self.lowered.layers(shape.word, saving).is_ok();
            let Some(last) = list.iter().rposition(exists) else {
                continue;
            };
            let (most, others) = (&list[last], &list[..last]);
            let Some(most) = judge(most) else {
                continue;
            };
            if most.estimate.fits(budget) {
                let mut others = others.iter().filter_map(judge);
                return others.find(|c| c.estimate.fits(budget)).or(Some(most));
            }
            if !most.estimate.fits(&more_memory) {
                return Some(most);
            }
            if best.is_none_or(|b| most.estimate.bram36 < b.estimate.bram36) {
                best = Some(most);
            }
        }
        best
    }

    /// Geometry and addresses; they are the same for all arrays with these numbers.
    fn placed(&self, layers: &Layers, shape: Shape, saving: Saving) -> Option<Rc<Placed>> {
        let Shape {
            p, ic, word, lanes, ..
        } = shape;
        let key = ([p, ic, word], word == lanes, saving);
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        let placed = place(layers, &shape).ok().map(Rc::new);
        self.known.borrow_mut().insert(key, placed.clone());
        placed
    }

    fn judge_saving(
        &self,
        shape: Shape,
        source: WeightSource,
        saving: Saving,
    ) -> Option<Candidate> {
        let options = self.options;
        let layers = self.lowered.layers(shape.word, saving).ok()?;
        check_shape(&layers, &shape, source).ok()?;
        let features = hwplan::features(&layers).placed(&shape, source);
        let placed = self.placed(&layers, shape, saving)?;
        let (layout, placements) = placed.as_ref();
        let activations = allocate::depths(placements);
        let layers = layers.as_ref();
        let loops: Vec<Loops> = (layers.layers.iter().enumerate())
            .map(|(index, layer)| Loops::new(&shape, layer, layout, index))
            .collect();
        let stream = source
            .streamed()
            .then(|| WeightStream::new(&shape, layers, &loops, features, &options.weights));
        // with an LSTM's weights on chip there may be none left
        if stream.as_ref().is_some_and(|s| !s.serves_all()) {
            return None;
        }
        let stream = stream.as_ref();
        let latencies = &options.latencies;
        let cycles =
            hwplan::layer_cycles(layers, features, &loops, layout, &shape, latencies, stream);
        let cycles: Vec<u64> = cycles.iter().map(LayerCycles::total).collect();
        let fresh = |&(index, (layer, _)): &(usize, (&HwLayer, &Loops))| {
            !layer.again && stream.is_none_or(|s| s.layers[index].params == 0)
        };
        let of_layers = layers.layers.iter().zip(&loops).enumerate().filter(fresh);
        let words = Words {
            activations,
            params: of_layers
                .map(|(_, (layer, l))| params::word_count(layer, l))
                .sum(),
        };
        // the program word is close to this for all networks seen
        let program_bits = 420 + 45 * shape.p;
        let mut total: u64 = cycles[layers.reset_layers..].iter().sum();
        let estimate = if let Some(stream) = stream {
            let (_, estimate, depth) = memories::choose_streamed(
                &shape,
                features,
                program_bits,
                words,
                (stream, &cycles),
                &options.budget,
            );
            total += stream.stalls(depth, &cycles).iter().sum::<u64>();
            estimate
        } else {
            let parts = narrow::parts(&shape, layers, &loops);
            let weights = [narrow::words(layers, &loops, parts), parts];
            let budget = &options.budget;
            memories::choose(&shape, features, program_bits, (weights, words), budget).1
        };
        Some(Candidate {
            shape,
            cycles: total,
            estimate,
            source,
            saving,
        })
    }
}
