//! A prepared float network: graph, layers, what was observed, float inference.

use std::collections::{BTreeMap, BTreeSet};

use macforge_model::onnx::{OnnxGraph, OnnxType};

use crate::PtqError;
use crate::assign::{Assigned, assign};
use crate::bias_correction;
use crate::data::Dataset;
use crate::emit::{Plan, WeightPlan};
use crate::layers::{Layer, layers, policy_names};
use crate::monitor::Monitor;
use crate::observe::{Observed, observe};
use crate::policy::{PolicyFile, Resolved};
use crate::prepare::{bias_values, equalize, prepare};
use crate::session::Session;
use crate::weights::{Operands, QuantizedWeights, quantize, quantize_bias};

/// Everything about the float network that does not depend on bits.
pub struct Network {
    /// The prepared graph.
    pub graph: OnnxGraph,
    /// Its layers.
    pub layers: Vec<Layer>,
    /// Float inference of the graph.
    pub session: Session,
    /// The policy for every layer.
    pub policy: Resolved,
    /// Statistics per activation.
    pub observed: BTreeMap<String, Observed>,
    /// Layers that stay float.
    pub outside: BTreeSet<String>,
}

/// The network with all decisions taken.
pub struct Decided {
    /// Grid and origin of every activation.
    pub activations: BTreeMap<String, Assigned>,
    /// Weights per layer name.
    pub weights: BTreeMap<String, QuantizedWeights>,
    /// What is emitted.
    pub plan: Plan,
    /// The float graph with the real values of the quantized weights, and corrected biases.
    pub simulated: OnnxGraph,
}

impl Network {
    /// Prepares `graph`, applies the policy, and observes the calibration data.
    ///
    /// # Errors
    /// The policy, the graph or the data do not fit each other; the monitor stops.
    pub fn new(
        mut graph: OnnxGraph,
        policy: &PolicyFile,
        data: &Dataset,
        monitor: &mut dyn Monitor,
    ) -> Result<Self, PtqError> {
        refuse_quantized(&graph)?;
        data.check("calibration data")?;
        prepare(&mut graph)?;
        if policy.default.equalize == Some(true) {
            equalize(&mut graph);
        }
        let layers = layers(&graph);
        let policy = policy.resolve(&policy_names(&graph, &layers))?;
        let outside = outside(&layers, &policy)?;
        let session = Session::new(&graph)?;
        let mut names: Vec<&str> = graph.inputs.iter().map(|i| i.name.as_str()).collect();
        let inside = layers.iter().filter(|l| !outside.contains(&l.name));
        names.extend(inside.flat_map(|l| l.outputs.iter().map(String::as_str)));
        let observed = observe(&session, data, &names, monitor)?;
        Ok(Network {
            graph,
            layers,
            session,
            policy,
            observed,
            outside,
        })
    }

    /// Layers that are quantized.
    pub fn inside(&self) -> impl Iterator<Item = &Layer> {
        self.layers
            .iter()
            .filter(|l| !self.outside.contains(&l.name))
    }

    /// Grids of the activations under the network's own policy.
    ///
    /// # Errors
    /// Scales that must be shared are asked to differ.
    pub fn activations(&self) -> Result<BTreeMap<String, Assigned>, PtqError> {
        if self.policy.weights_only {
            return Ok(BTreeMap::new());
        }
        assign(&self.graph, &self.layers, &self.policy, &self.observed)
    }

    /// Weights and biases under a policy, behind these activations.
    ///
    /// # Errors
    /// A bias does not fit; the monitor stops.
    pub fn decide(
        &self,
        policy: &Resolved,
        activations: BTreeMap<String, Assigned>,
        data: &Dataset,
        monitor: &mut dyn Monitor,
    ) -> Result<Decided, PtqError> {
        let input_scale = |layer: &Layer| {
            let input = activations.get(&layer.inputs[0]);
            input.map_or(1.0, |a| a.grid.params.scale)
        };
        let is_wide = |value: &String| activations.get(value).is_some_and(|a| a.grid.is_wide());
        let mut weights = BTreeMap::new();
        for layer in self.inside() {
            if let Some(w) = &layer.weights {
                let own = &policy.layers[&layer.name];
                let operands = Operands {
                    input_scale: input_scale(layer),
                    wide_input: is_wide(&layer.inputs[0]),
                    wide_output: layer.outputs.iter().any(is_wide),
                };
                let q = quantize(&self.graph, w, &own.weights, own.power_of_two, operands);
                weights.insert(layer.name.clone(), q);
            }
        }
        let corrected = self.corrected(policy, &weights, data, monitor)?;
        let biased = corrected.as_ref().unwrap_or(&self.graph);
        let mut plan = Plan {
            grids: activations
                .iter()
                .map(|(n, a)| (n.clone(), a.grid))
                .collect(),
            outside: self.outside.clone(),
            weights: BTreeMap::new(),
            recurrent: self.recurrent(policy),
        };
        for layer in self.inside() {
            let (Some(w), Some(q)) = (&layer.weights, weights.get(&layer.name)) else {
                continue;
            };
            // a corrected bias may be one that the layer did not have before
            let now = crate::prepare::weights_of(biased, &biased.nodes[layer.node]);
            let bias = bias_values(biased, now.as_ref().unwrap_or(w));
            let bias = match policy.weights_only {
                true => None,
                false => Some(quantize_bias(
                    &layer.name,
                    &bias,
                    input_scale(layer),
                    &q.grids,
                )?),
            };
            let quantized = q.clone();
            plan.weights
                .insert(layer.name.clone(), WeightPlan { quantized, bias });
        }
        let mut simulated = bias_correction::with_quantized_weights(biased, &self.layers, &weights);
        for layer in self.inside() {
            plan.quantize_recurrent(layer, &mut simulated);
        }
        Ok(Decided {
            activations,
            weights,
            plan,
            simulated,
        })
    }

    /// Weights of the LSTMs. Their bias stays float: it is rounded where the integer graph is made.
    fn recurrent(&self, policy: &Resolved) -> BTreeMap<String, [QuantizedWeights; 2]> {
        let quantized = self.inside().filter_map(|layer| {
            let own = &policy.layers[&layer.name];
            let both = layer.recurrent.as_ref()?.each_ref();
            let operands = Operands {
                input_scale: 1.0,
                wide_input: false,
                wide_output: false,
            };
            let quantized = |w| quantize(&self.graph, w, &own.weights, own.power_of_two, operands);
            let both = both.map(quantized);
            Some((layer.name.clone(), both))
        });
        quantized.collect()
    }

    /// The graph with corrected biases, where the policy asks for any.
    fn corrected(
        &self,
        policy: &Resolved,
        weights: &BTreeMap<String, QuantizedWeights>,
        data: &Dataset,
        monitor: &mut dyn Monitor,
    ) -> Result<Option<OnnxGraph>, PtqError> {
        let chosen: Vec<&Layer> = self
            .inside()
            .filter(|l| l.weights.is_some() && policy.layers[&l.name].bias_correction)
            .collect();
        if chosen.is_empty() {
            return Ok(None);
        }
        let lossy = bias_correction::with_quantized_weights(&self.graph, &self.layers, weights);
        let lossy = Session::new(&lossy)?;
        let mut graph = self.graph.clone();
        bias_correction::correct(&mut graph, &chosen, &lossy, &self.session, data, monitor)?;
        Ok(Some(graph))
    }
}

fn refuse_quantized(graph: &OnnxGraph) -> Result<(), PtqError> {
    for (index, node) in graph.nodes.iter().enumerate() {
        let op = node.op_type.as_str();
        let quantizes = [
            "QuantizeLinear",
            "DequantizeLinear",
            "Quant",
            "BipolarQuant",
        ];
        if quantizes.contains(&op) || op.starts_with("QLinear") {
            return Err(PtqError::model(
                node.source(index),
                "the model is quantized already",
                "compile it as it is, or start from its float form",
            ));
        }
    }
    if let Some(input) = graph.inputs.iter().find(|i| i.dtype != Some(OnnxType::F32)) {
        return Err(PtqError::model(
            format!("graph input `{}`", input.name),
            "it is not float32",
            "export the model with float32 inputs",
        ));
    }
    Ok(())
}

/// Layers that the policy keeps in float: only at the end of the network.
fn outside(layers: &[Layer], policy: &Resolved) -> Result<BTreeSet<String>, PtqError> {
    let is_float = |l: &&Layer| policy.layers[&l.name].float;
    let float: BTreeSet<&str> = layers
        .iter()
        .filter(is_float)
        .map(|l| l.name.as_str())
        .collect();
    for layer in layers.iter().filter(|l| float.contains(l.name.as_str())) {
        let mut readers = layers
            .iter()
            .filter(|r| r.inputs.iter().any(|v| layer.outputs.contains(v)));
        if let Some(reader) = readers.find(|r| !float.contains(r.name.as_str())) {
            return Err(PtqError::Policy {
                at: format!("layer `{}`", layer.name),
                found: format!(
                    "float = true, but `{}` behind it is quantized; float layers in the middle \
                     of a network have no integer form",
                    reader.name
                ),
                remedy: "set float = true for all layers behind it as well, or for none".into(),
            });
        }
    }
    if float.len() == layers.len() {
        return Err(PtqError::Policy {
            at: "float".into(),
            found: "every layer stays float".into(),
            remedy: "leave at least one layer to be quantized".into(),
        });
    }
    Ok(float.into_iter().map(str::to_string).collect())
}
