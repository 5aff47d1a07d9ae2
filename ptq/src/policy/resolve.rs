//! The policy of every layer of a graph.

use std::collections::BTreeMap;

use super::file::{LayerTable, PolicyFile, refuse};
use super::pattern::matches;
use super::{Granularity, TensorPolicy};
use crate::PtqError;
use crate::calibrate::Calibrator;
use crate::scale::Scheme;

/// A layer as the policy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerName {
    /// Unique name.
    pub name: String,
    /// Other names that it answers to: nodes and values that were fused into it.
    pub aliases: Vec<String>,
}

/// What holds for one layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerPolicy {
    /// Its weights, if it has any.
    pub weights: TensorPolicy,
    /// Its output.
    pub activations: TensorPolicy,
    /// Scales are powers of two.
    pub power_of_two: bool,
    /// Mean error of the weights goes into the bias.
    pub bias_correction: bool,
    /// Not quantized.
    pub float: bool,
}

/// A policy applied to a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Per layer name.
    pub layers: BTreeMap<String, LayerPolicy>,
    /// Cross-layer equalisation.
    pub equalize: bool,
    /// Activations stay float.
    pub weights_only: bool,
}

/// Without a policy file: 8 bits, weights symmetric per channel, activations asymmetric, from the
/// smallest to the largest value.
const BASE: LayerPolicy = LayerPolicy {
    weights: TensorPolicy {
        bits: 8,
        scheme: Scheme::Symmetric,
        granularity: Granularity::Channel,
        calibrator: Calibrator::MinMax,
    },
    activations: TensorPolicy {
        bits: 8,
        scheme: Scheme::Asymmetric,
        granularity: Granularity::Tensor,
        calibrator: Calibrator::MinMax,
    },
    power_of_two: false,
    bias_correction: false,
    float: false,
};

impl PolicyFile {
    /// What holds for each of `layers`.
    ///
    /// # Errors
    /// [`PtqError::Policy`]: a value that the integer path cannot express, or a pattern that
    /// matches no layer.
    pub fn resolve(&self, layers: &[LayerName]) -> Result<Resolved, PtqError> {
        let d = &self.default;
        let default = LayerPolicy {
            weights: d.weights.apply(BASE.weights, "default.weights")?,
            activations: activations(&d.activations, BASE.activations, "default.activations")?,
            power_of_two: d.power_of_two.unwrap_or(BASE.power_of_two),
            bias_correction: d.bias_correction.unwrap_or(BASE.bias_correction),
            float: false,
        };
        let names = layers.iter().map(|l| (l.name.clone(), default));
        let mut resolved = Resolved {
            layers: names.collect(),
            equalize: d.equalize.unwrap_or(false),
            weights_only: d.weights_only.unwrap_or(false),
        };
        for (index, table) in self.layer.iter().enumerate() {
            let at = format!("layer[{index}] (match = \"{}\")", table.pattern);
            let mut any = false;
            for layer in layers.iter().filter(|l| answers(l, &table.pattern)) {
                any = true;
                let policy = resolved.layers.get_mut(&layer.name);
                change(policy.expect("made from the same names"), table, &at)?;
            }
            if !any {
                return Err(no_match(at, layers));
            }
        }
        Ok(resolved)
    }
}

fn answers(layer: &LayerName, pattern: &str) -> bool {
    let mut names = std::iter::once(&layer.name).chain(&layer.aliases);
    names.any(|name| matches(pattern, name))
}

fn change(policy: &mut LayerPolicy, table: &LayerTable, at: &str) -> Result<(), PtqError> {
    let weights = table
        .weights
        .apply(policy.weights, &format!("{at}.weights"))?;
    let at = format!("{at}.activations");
    let activations = activations(&table.activations, policy.activations, &at)?;
    *policy = LayerPolicy {
        weights,
        activations,
        power_of_two: table.power_of_two.unwrap_or(policy.power_of_two),
        bias_correction: table.bias_correction.unwrap_or(policy.bias_correction),
        float: table.float.unwrap_or(policy.float),
    };
    Ok(())
}

fn activations(
    patch: &super::Patch,
    base: TensorPolicy,
    at: &str,
) -> Result<TensorPolicy, PtqError> {
    let policy = patch.apply(base, at)?;
    if policy.granularity != Granularity::Tensor {
        return Err(refuse(
            format!("{at}.granularity"),
            format!("activations quantized per {}", policy.granularity),
            "the integer path sums over the input's channels, so they share one scale; set \
             granularity = \"tensor\"",
        ));
    }
    Ok(policy)
}

fn no_match(at: String, layers: &[LayerName]) -> PtqError {
    const MOST: usize = 12;
    let names: Vec<&str> = layers.iter().take(MOST).map(|l| l.name.as_str()).collect();
    let more = if layers.len() > MOST { ", ..." } else { "" };
    refuse(
        at,
        "no layer of that name",
        format!("the layers are {}{more}", names.join(", ")),
    )
}
