//! Passes over the float graph that make it easier to quantize without changing what it computes.

mod batch_norm;
mod bias;
mod equalize;
mod identity;
mod own_weights;
mod recurrent;
mod windows;

use macforge_model::onnx::{OnnxGraph, OnnxNode, OnnxTensor, TensorData};

use crate::PtqError;

pub use equalize::equalize;

/// All passes that always run, in order.
///
/// # Errors
/// The graph contradicts itself.
pub fn prepare(graph: &mut OnnxGraph) -> Result<(), PtqError> {
    identity::run(graph);
    recurrent::run(graph);
    own_weights::run(graph);
    windows::run(graph);
    batch_norm::run(graph);
    bias::run(graph)?;
    batch_norm::run(graph);
    graph.drop_unused_constants();
    Ok(())
}

/// Index of the only node that reads `value`, unless the value also leaves the graph.
pub(crate) fn only_consumer(graph: &OnnxGraph, value: &str) -> Option<usize> {
    if graph.outputs.iter().any(|o| o.name == value) {
        return None;
    }
    let mut readers = graph.nodes.iter().enumerate().flat_map(|(i, n)| {
        let reads = n.inputs.iter().filter(|v| v.as_str() == value);
        reads.map(move |_| i)
    });
    match (readers.next(), readers.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// Whether this is operator `op` of the standard set.
pub(crate) fn is(node: &OnnxNode, op: &str) -> bool {
    node.domain.is_empty() && node.op_type == op
}

/// A float constant with its shape.
pub(crate) fn floats<'g>(graph: &'g OnnxGraph, name: &str) -> Option<(&'g [usize], &'g [f32])> {
    let tensor = graph.initializers.get(name)?;
    Some((&tensor.shape, tensor.data.as_f32()?))
}

/// The weights of a Conv, ConvTranspose, Gemm or MatMul: where they lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Name of the weights, a float constant.
    pub name: String,
    /// Their shape.
    pub shape: Vec<usize>,
    /// Dimension of the output channels.
    pub axis: usize,
    /// Name of the bias, a float constant.
    pub bias: Option<String>,
}

impl Weights {
    /// Output channels.
    pub fn channels(&self) -> usize {
        self.shape[self.axis]
    }

    /// Output channel of the element at a row-major index.
    pub fn channel_of(&self, index: usize) -> usize {
        let inner: usize = self.shape[self.axis + 1..].iter().product();
        index / inner % self.shape[self.axis]
    }
}

/// The weights of a node that has constant float ones.
pub fn weights_of(graph: &OnnxGraph, node: &OnnxNode) -> Option<Weights> {
    let axis = if is(node, "Conv") {
        0
    } else if is(node, "Gemm") {
        usize::from(node.int("transB").unwrap_or(0) == 0)
    } else if is(node, "MatMul") {
        1
    } else {
        return None;
    };
    let name = node.input(1)?;
    let (shape, _) = floats(graph, name)?;
    if shape.len() < 2 || shape.contains(&0) {
        return None;
    }
    let bias = node.input(2).filter(|b| floats(graph, b).is_some());
    Some(Weights {
        name: name.to_string(),
        shape: shape.to_vec(),
        axis,
        bias: bias.map(str::to_string),
    })
}

/// The weights of an LSTM, of the input and of the hidden state; its bias stays as it is.
pub fn recurrent_weights(graph: &OnnxGraph, node: &OnnxNode) -> Option<[Weights; 2]> {
    if !is(node, "LSTM") {
        return None;
    }
    let weights = |operand: usize| {
        let name = node.input(operand)?;
        let (shape, _) = floats(graph, name)?;
        (shape.len() == 3 && !shape.contains(&0)).then(|| Weights {
            name: name.to_string(),
            shape: shape.to_vec(),
            axis: 1,
            bias: None,
        })
    };
    Some([weights(1)?, weights(2)?])
}

/// Multiplies every output channel of the weights by its factor.
pub(crate) fn scale_channels(graph: &mut OnnxGraph, weights: &Weights, factors: &[f32]) {
    edit(graph, &weights.name, |i, w| {
        w * factors[weights.channel_of(i)]
    });
}

/// Replaces the elements of a float constant.
pub(crate) fn edit(graph: &mut OnnxGraph, name: &str, change: impl Fn(usize, f32) -> f32) {
    if let Some(OnnxTensor {
        data: TensorData::F32(values),
        ..
    }) = graph.initializers.get_mut(name)
    {
        for (i, value) in values.iter_mut().enumerate() {
            *value = change(i, *value);
        }
    }
}

/// The bias as a vector, zeros where there is none.
pub(crate) fn bias_values(graph: &OnnxGraph, weights: &Weights) -> Vec<f32> {
    let stored = weights.bias.as_deref().and_then(|b| floats(graph, b));
    match stored {
        Some((_, values)) if values.len() == 1 => vec![values[0]; weights.channels()],
        Some((_, values)) => values.to_vec(),
        None => vec![0.0; weights.channels()],
    }
}

/// Gives node `index` this bias.
pub(crate) fn set_bias(graph: &mut OnnxGraph, index: usize, values: Vec<f32>) {
    let weight = graph.nodes[index].inputs[1].clone();
    let name = graph.fresh_name(&format!("{weight}_bias"));
    let tensor = OnnxTensor::new(vec![values.len()], TensorData::F32(values));
    graph.initializers.insert(name.clone(), tensor);
    let node = &mut graph.nodes[index];
    node.inputs.truncate(2);
    node.inputs.push(name);
}
