//! The graph as a list of layers: what is fused, what shares its scale, what the policy names.

use std::collections::BTreeMap;

use macforge_model::onnx::{OnnxGraph, OnnxNode};

use crate::attention::attention_at;
use crate::policy::LayerName;
use crate::prepare::{Weights, floats, is, only_consumer, recurrent_weights, weights_of};

/// Operators that only move values: what comes out has the scale of what goes in.
const MOVES: [&str; 13] = [
    "MaxPool",
    "Slice",
    "Pad",
    "Concat",
    "Split",
    "Flatten",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Resize",
    "Gather",
    "DepthToSpace",
];

/// A node with the activation function behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// The node's name, or that of its output; unique.
    pub name: String,
    /// Operators joined by `+`.
    pub op: String,
    /// Nodes in front of it whose results only it reads and that stay float: the scores of attention.
    pub before: Vec<usize>,
    /// Index of the node.
    pub node: usize,
    /// The activation function behind it.
    pub activation: Option<Activation>,
    /// Values that it reads and that are computed.
    pub inputs: Vec<String>,
    /// Values that leave it, behind the activation function.
    pub outputs: Vec<String>,
    /// Weights, if it has constant ones.
    pub weights: Option<Weights>,
    /// Weights of an LSTM: of the input, of the hidden state.
    pub recurrent: Option<[Weights; 2]>,
    /// Whether it only moves values.
    pub moves: bool,
}

/// A fused Relu or Clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activation {
    /// Index of the node.
    pub node: usize,
    /// Lower bound, if there is one.
    pub lo: Option<f32>,
    /// Upper bound, if there is one.
    pub hi: Option<f32>,
}

/// All layers in execution order.
pub fn layers(graph: &OnnxGraph) -> Vec<Layer> {
    let mut fused = vec![false; graph.nodes.len()];
    let mut attentions = BTreeMap::new();
    for mut nodes in (0..graph.nodes.len()).filter_map(|index| attention_at(graph, index)) {
        if let Some(last) = nodes.pop() {
            nodes.iter().for_each(|&n| fused[n] = true);
            attentions.insert(last, nodes);
        }
    }
    let mut layers: Vec<Layer> = Vec::new();
    let mut names = BTreeMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if fused[index] {
            continue;
        }
        if let Some(before) = attentions.remove(&index) {
            layers.push(attention(graph, before, index, &mut names));
            continue;
        }
        let activation = activation_behind(graph, node);
        if let Some(a) = activation {
            fused[a.node] = true;
        }
        layers.push(layer(graph, index, activation, &mut names));
    }
    layers
}

fn layer(
    graph: &OnnxGraph,
    index: usize,
    activation: Option<Activation>,
    names: &mut BTreeMap<String, usize>,
) -> Layer {
    let node = &graph.nodes[index];
    let last = activation.map_or(node, |a| &graph.nodes[a.node]);
    let op = match activation {
        Some(_) => format!("{}+{}", node.op_type, last.op_type),
        None => node.op_type.clone(),
    };
    let computed = |v: &&String| !v.is_empty() && !graph.initializers.contains_key(*v);
    Layer {
        name: unique(own_name(node), names),
        op,
        before: Vec::new(),
        node: index,
        activation,
        inputs: node.inputs.iter().filter(computed).cloned().collect(),
        outputs: last
            .outputs
            .iter()
            .filter(|o| !o.is_empty())
            .cloned()
            .collect(),
        weights: weights_of(graph, node),
        recurrent: recurrent_weights(graph, node),
        moves: node.domain.is_empty() && MOVES.contains(&node.op_type.as_str()),
    }
}

/// Attention: the nodes `before`, and the product with the values at `index`.
fn attention(
    graph: &OnnxGraph,
    before: Vec<usize>,
    index: usize,
    names: &mut BTreeMap<String, usize>,
) -> Layer {
    let own = layer(graph, index, None, names);
    let first = before.first().map(|&n| &graph.nodes[n]);
    let queries_and_keys = first.into_iter().flat_map(|n| &n.inputs);
    Layer {
        op: "Attention".into(),
        // the product's own first operand is made inside
        inputs: queries_and_keys.chain(own.inputs.last()).cloned().collect(),
        before,
        ..own
    }
}

fn own_name(node: &OnnxNode) -> &str {
    match (node.name.as_str(), node.outputs.first()) {
        ("", Some(output)) => output,
        (name, _) => name,
    }
}

fn unique(name: &str, names: &mut BTreeMap<String, usize>) -> String {
    let count = names.entry(name.to_string()).or_default();
    *count += 1;
    match *count {
        1 => name.to_string(),
        n => unique(&format!("{name}_{n}"), names),
    }
}

/// Operators whose integer form ends in a clamp of its own.
const CLAMPED: [&str; 6] = ["Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub"];

fn activation_behind(graph: &OnnxGraph, node: &OnnxNode) -> Option<Activation> {
    if !node.domain.is_empty() || !CLAMPED.contains(&node.op_type.as_str()) {
        return None;
    }
    let index = only_consumer(graph, node.output(0)?)?;
    let behind = &graph.nodes[index];
    let (lo, hi) = if is(behind, "Relu") {
        (Some(0.0), None)
    } else if is(behind, "Clip") && behind.input(0) == node.output(0) {
        (
            bound(graph, behind, "min", 1)?,
            bound(graph, behind, "max", 2)?,
        )
    } else {
        return None;
    };
    // the integers of a clamp include zero
    let holds_zero = lo.is_none_or(|lo| lo <= 0.0) && hi.is_none_or(|hi| hi >= 0.0);
    holds_zero.then_some(Activation {
        node: index,
        lo,
        hi,
    })
}

/// A bound of Clip, attribute or constant operand; `None` outside where it is computed.
fn bound(graph: &OnnxGraph, node: &OnnxNode, name: &str, operand: usize) -> Option<Option<f32>> {
    if let Some(value) = node.float(name) {
        return Some(Some(value));
    }
    match node.input(operand) {
        None => Some(None),
        Some(value) => match floats(graph, value)? {
            (_, &[value]) => Some(Some(value)),
            _ => None,
        },
    }
}

/// Layers and graph inputs as the policy names them.
pub fn policy_names(graph: &OnnxGraph, layers: &[Layer]) -> Vec<LayerName> {
    let inputs = graph.inputs.iter().map(|input| LayerName {
        name: input.name.clone(),
        aliases: Vec::new(),
    });
    let named = layers.iter().map(|layer| {
        let fused = layer.activation.map(|a| graph.nodes[a.node].name.clone());
        let mut aliases = layer.outputs.clone();
        aliases.extend(graph.nodes[layer.node].outputs.iter().cloned());
        aliases.extend(fused);
        aliases.extend(layer.before.iter().map(|&n| graph.nodes[n].name.clone()));
        aliases.retain(|alias| !alias.is_empty() && *alias != layer.name);
        LayerName {
            name: layer.name.clone(),
            aliases,
        }
    });
    inputs.chain(named).collect()
}
