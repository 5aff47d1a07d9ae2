//! Float inference, through `rten`: any values of a graph from any others.

use std::collections::BTreeMap;

use macforge_model::onnx::OnnxGraph;
use ndarray::{ArrayD, IxDyn};
use rten::{Model, ModelOptions, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{Tensor, TensorView};

use crate::PtqError;

/// Values by name.
pub type Values = BTreeMap<String, ArrayD<f32>>;

/// A loaded graph. Nodes are evaluated as they are written; the library's own fusions are off, so
/// that every value keeps its name.
pub struct Session {
    model: Model,
}

impl Session {
    /// Loads a graph.
    ///
    /// # Errors
    /// [`PtqError::Inference`] for operators that the library does not know.
    pub fn new(graph: &OnnxGraph) -> Result<Self, PtqError> {
        let mut options = ModelOptions::with_all_ops();
        options.enable_optimization(false).prepack_weights(true);
        let model = options
            .load(graph.to_bytes()?)
            .map_err(|e| PtqError::Inference(e.to_string()))?;
        Ok(Session { model })
    }

    /// Values `wanted`, computed from the values `given`. Names must be different.
    ///
    /// # Errors
    /// [`PtqError::Inference`]: a name that does not occur, a shape that does not fit, a value that
    /// is not float32.
    pub fn run<'a>(
        &self,
        given: impl IntoIterator<Item = (&'a str, &'a ArrayD<f32>)>,
        wanted: &[&str],
    ) -> Result<Values, PtqError> {
        let failed = |e: rten::RunError| PtqError::Inference(e.to_string());
        let mut inputs = Vec::new();
        for (name, array) in given {
            let data = array
                .as_slice()
                .expect("arrays are made in row-major order");
            let view = TensorView::from_data(array.shape(), data);
            let id = self.model.node_id(name).map_err(failed)?;
            inputs.push((id, ValueOrView::from(view)));
        }
        let outputs = wanted.iter().map(|name| self.model.node_id(name));
        let outputs = outputs.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let results = self.model.run(inputs, &outputs, None).map_err(failed)?;
        let named = wanted.iter().zip(results).map(|(name, value)| {
            let tensor: Tensor<f32> = value
                .try_into()
                .map_err(|_| PtqError::Inference(format!("`{name}` is not float32")))?;
            let shape = IxDyn(tensor.shape());
            let array = ArrayD::from_shape_vec(shape, tensor.to_vec());
            Ok(((*name).to_string(), array.expect("the tensor's own shape")))
        });
        named.collect()
    }
}
