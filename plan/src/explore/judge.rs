//! What a shape takes: cycles and resources of the whole network.

use super::limits::{IN_MEMORY, check_shape};
use super::{Candidate, Explorer, Places};
use crate::allocate;
use crate::cycles::LayerCycles;
use crate::error::PlanError;
use crate::hwplan;
use crate::layers::{HwLayer, Layers};
use crate::layout::{self, Layout, Placement};
use crate::loops::Loops;
use crate::lower::Saving;
use crate::memories::{self, Words};
use crate::narrow;
use crate::params;
use crate::resources::Budget;
use crate::shape::Shape;
use crate::stream::{WeightSource, WeightStream};
use crate::{activation_memory, input};
use std::rc::Rc;

/// Where everything lies on a shape.
pub(super) type Placed = (Layout, Vec<Placement>);

/// What that depends on: P, IC, word, whether it is written as a whole, and what saves memory.
pub(super) type PlaceKey = ([usize; 3], bool, Saving);

/// Geometry and addresses on a shape, or why there are none.
pub(super) fn place(layers: &Layers, shape: &Shape) -> Result<(Layout, Vec<Placement>), PlanError> {
    let mode = input::choose(layers, shape);
    if !activation_memory::input_has_room(layers, &mode, shape) {
        return Err(PlanError::Shape {
            shape: shape.to_string(),
            reason: "the input is folded into too many words for memory".into(),
        });
    }
    let layout = layout::arrange(layers, &mode, shape)?;
    let placements = allocate::place(layers, &layout, shape);
    Ok((layout, placements))
}

impl Explorer<'_> {
    /// Estimates one shape; `None` if the layers cannot be laid out on it. An LSTM's weights take block RAM
    /// where they are on chip and time in every step where they are in memory; unless all weights are to
    /// be in memory, both are looked at.
    pub(super) fn judge(&self, shape: Shape, places: Places) -> Option<Candidate> {
        let judged = self.judge_source(shape, places);
        let source = places.source;
        let asked = self.options.weights.source.is_some();
        if source != WeightSource::Memory || asked || self.features.lstm.is_none() {
            return judged;
        }
        let mixed = Places {
            source: WeightSource::Mixed,
            ..places
        };
        let mixed = self.judge_source(shape, mixed);
        let fits = |c: &Candidate| c.estimate.fits(&self.options.budget);
        let both = mixed.into_iter().chain(judged);
        both.min_by_key(|c| (!fits(c), c.cycles, c.estimate.lut))
    }

    /// The same for one place of the weights. Where they come from memory, what the activations leave of the
    /// block RAM makes their ring deeper; of the ways to save activation memory the first one that fits is
    /// taken.
    fn judge_source(&self, shape: Shape, places: Places) -> Option<Candidate> {
        let Places { source, spill } = places;
        let budget = &self.options.budget;
        let more_memory = Budget {
            bram36: u64::MAX,
            ..*budget
        };
        let judge = |&saving: &Saving| self.judge_saving(shape, source, saving);
        let lists = match (source.streamed(), spill) {
            (false, _) => &self.savings[..1],
            (true, false) => &self.savings[..IN_MEMORY],
            (true, true) => &self.savings[IN_MEMORY..],
        };
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
