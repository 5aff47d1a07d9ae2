//! A mixed 4/8-bit policy from sensitivity.

use std::collections::BTreeMap;

use crate::PtqError;
use crate::assign::Assigned;
use crate::calibrate::Calibrator;
use crate::data::Dataset;
use crate::monitor::{Monitor, Silent, step};
use crate::network::Network;
use crate::outputs::{Answers, Compared};
use crate::policy::{
    CalibratorName, Granularity, LayerTable, Patch, PolicyFile, Resolved, TensorPolicy,
};
use crate::scale::Scheme;
use crate::sensitivity::answers_of;
use crate::session::Session;

/// Share of the calibration samples whose largest output may change.
const MAX_CHANGED: f64 = 0.05;
/// Noise over signal at the outputs of a network that does not classify (20 dB).
const MAX_NOISE: f64 = 0.01;

/// Weights of a suggested layer.
const FOUR_BITS: TensorPolicy = TensorPolicy {
    bits: 4,
    scheme: Scheme::Symmetric,
    granularity: Granularity::Channel,
    calibrator: Calibrator::Mse,
};

/// A layer that may go to four bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Layer name.
    pub layer: String,
    /// Noise over signal at the outputs with its weights alone in four bits.
    pub noise: f64,
}

/// What is suggested.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// All candidates, least sensitive first.
    pub candidates: Vec<Candidate>,
    /// How many of them, from the first on, get four bits.
    pub taken: usize,
    /// The policy: `base` with one entry per layer taken.
    pub policy: PolicyFile,
}

/// Ranks the layers by what four-bit weights in each alone do to the outputs, and takes as many of
/// them, from the least sensitive on, as keep the outputs of the float network on the data: at most
/// [`MAX_CHANGED`] of the largest outputs may change, or [`MAX_NOISE`] where there is one output.
///
/// # Errors
/// Inference fails; the monitor stops.
pub fn suggest(
    network: &Network,
    activations: &BTreeMap<String, Assigned>,
    base: &PolicyFile,
    answers: &Answers,
    data: &Dataset,
    monitor: &mut dyn Monitor,
) -> Result<Suggestion, PtqError> {
    let layers: Vec<&str> = network
        .inside()
        .filter(|l| l.weights.is_some() && network.policy.layers[&l.name].weights.bits > 4)
        .map(|l| l.name.as_str())
        .collect();
    monitor.stage("mixed precision", layers.len() + bisections(layers.len()));
    let mut candidates = Vec::new();
    for layer in layers {
        let compared = with_four_bits(network, activations, &[layer], answers, data)?;
        candidates.push(Candidate {
            layer: layer.to_string(),
            noise: compared.sums.noise_share(),
        });
        step(monitor)?;
    }
    candidates.sort_by(|a, b| {
        a.noise
            .total_cmp(&b.noise)
            .then_with(|| a.layer.cmp(&b.layer))
    });
    // the largest count that holds, by bisection: more layers in four bits do more harm
    let (mut taken, mut too_many) = (0, candidates.len() + 1);
    while too_many - taken > 1 {
        let middle = taken.midpoint(too_many);
        let names: Vec<&str> = candidates[..middle]
            .iter()
            .map(|c| c.layer.as_str())
            .collect();
        let compared = with_four_bits(network, activations, &names, answers, data)?;
        if holds(&compared, answers) {
            taken = middle;
        } else {
            too_many = middle;
        }
        step(monitor)?;
    }
    let mut policy = base.clone();
    policy.layer.extend(candidates[..taken].iter().map(table));
    Ok(Suggestion {
        candidates,
        taken,
        policy,
    })
}

fn holds(compared: &Compared, answers: &Answers) -> bool {
    if answers.classifies() {
        compared.top1_changed <= MAX_CHANGED
    } else {
        compared.sums.noise_share() <= MAX_NOISE
    }
}

/// The entry of the policy file for a layer in four bits.
fn table(candidate: &Candidate) -> LayerTable {
    LayerTable {
        pattern: candidate.layer.clone(),
        weights: Patch {
            bits: Some(FOUR_BITS.bits),
            scheme: Some(FOUR_BITS.scheme),
            granularity: Some(crate::policy::WeightGranularity::Channel),
            calibrator: Some(CalibratorName::Mse),
            ..Patch::default()
        },
        bias_correction: Some(true),
        ..LayerTable::default()
    }
}

/// The outputs with the weights of `layers` in four bits, their biases corrected, all else as the
/// policy has it but with float activations.
fn with_four_bits(
    network: &Network,
    activations: &BTreeMap<String, Assigned>,
    layers: &[&str],
    answers: &Answers,
    data: &Dataset,
) -> Result<Compared, PtqError> {
    let mut policy: Resolved = network.policy.clone();
    for layer in layers {
        let own = policy.layers.get_mut(*layer).expect("layers have policies");
        own.weights = FOUR_BITS;
        own.bias_correction = true;
    }
    let decided = network.decide(&policy, activations.clone(), data, &mut Silent)?;
    let session = Session::new(&decided.simulated)?;
    let others = answers_of(&session, answers, data)?;
    Ok(answers.compare(&others, data.labels.as_deref()))
}

/// Most steps that the bisection over `0..=count` takes.
fn bisections(count: usize) -> usize {
    (count + 1).next_power_of_two().ilog2() as usize
}
