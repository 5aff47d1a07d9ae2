//! What shapes, places of the weights and ways to save activation memory a network allows.

use crate::error::PlanError;
use crate::layers::{HwLayer, Layers};
use crate::lower::Saving;
use crate::resources::LstmSize;
use crate::shape::{Packing, Shape};
use crate::stream::WeightSource;
use crate::{spill, strips};

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

/// What keeps all weights on chip, as the error for whoever asks for them to be in memory.
pub(super) fn only_on_chip(layers: &Layers) -> Option<PlanError> {
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

/// The list of [`savings`] with activations in memory.
pub(super) const IN_MEMORY: usize = 3;

/// Ways to save activation memory, those that cost least first; in each list every one saves more than the
/// one before.
pub(super) fn savings(layers: &Layers) -> [Vec<Saving>; 4] {
    let compact = Saving {
        compact: true,
        ..Saving::default()
    };
    let in_strips = strips::choices(layers).into_iter().map(|values| Saving {
        strips: Some(values),
        ..compact
    });
    let in_memory = spill::choices(layers).into_iter().map(|most| Saving {
        spill: Some(most),
        ..compact
    });
    // sets would have to agree on what of their streams lies in memory
    let one_set = layers.sets.len() == 1;
    [
        vec![Saving::default()],
        vec![compact],
        in_strips.collect(),
        in_memory.filter(|_| one_set).collect(),
    ]
}
