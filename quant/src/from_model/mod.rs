//! The first pass: every operator of the imported model becomes one node of the [`QGraph`].
//!
//! One file per operator family. Importers have checked types, ranks and shapes; here quantization
//! parameters are judged and turned into integer rules. The batch dimension, which must be 1, is
//! dropped.

mod activation;
mod add;
mod affine;
mod lstm;
mod names;
mod pool;
mod quantize;
mod softmax;
mod weighted;

use macforge_model::{ElementType, Model, OpKind, Operator, Tensor};
use macforge_numeric::{AffineParams, NumericError, Semantics};

use crate::QuantError;
use crate::graph::{DType, QGraph, QNode, QOp, QTensor, TensorId};
pub(crate) use names::UniqueNames;

/// Both TFLite builds: they differ only where a product is shifted right after rounding.
const TFLITE: &[Semantics] = &[Semantics::TfliteDouble, Semantics::TfliteSingle];

/// Weights of all nodes together; beyond it no Zynq-7000 board has the memory.
const MAX_WEIGHT_BYTES: usize = 256 << 20;

/// Lowers all operators, in the file's order.
pub(crate) fn run(model: &Model, semantics: Semantics) -> Result<QGraph, QuantError> {
    if !model.unsupported.is_empty() {
        return Err(QuantError::Unsupported {
            model: model.name.clone(),
            operators: model.unsupported.clone(),
        });
    }
    let mut pass = Pass {
        model,
        ids: vec![None; model.tensors.len()],
        names: UniqueNames::default(),
        weight_bytes: 0,
        graph: QGraph {
            name: model.name.clone(),
            semantics,
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            states: Vec::new(),
        },
    };
    for &tensor in &model.inputs {
        let id = pass.tensor(tensor, "graph input")?;
        pass.graph.inputs.push(id);
    }
    for index in 0..model.operators.len() {
        pass.operator(index)?;
    }
    for &tensor in &model.outputs {
        let id = pass.tensor(tensor, "graph output")?;
        pass.graph.outputs.push(id);
    }
    Ok(pass.graph)
}

struct Pass<'a> {
    model: &'a Model,
    /// Where each tensor of the model went.
    ids: Vec<Option<TensorId>>,
    names: UniqueNames,
    weight_bytes: usize,
    graph: QGraph,
}

impl Pass<'_> {
    /// The graph's tensor for a tensor of the model, made on first use.
    fn tensor(&mut self, index: usize, user: &str) -> Result<TensorId, QuantError> {
        if let Some(id) = self.ids[index] {
            return Ok(id);
        }
        let tensor = &self.model.tensors[index];
        let (dtype, quant) = match tensor.dtype {
            ElementType::I8 => (DType::I8, Some(affine::params(user, tensor)?)),
            ElementType::F32 => (DType::F32, None),
            other => {
                return Err(QuantError::Parameter {
                    node: user.to_string(),
                    found: format!("tensor `{}` of type {other}", tensor.name),
                    wanted: "int8, or float32 at the graph's boundary".into(),
                });
            }
        };
        let id = TensorId(self.graph.tensors.len());
        self.graph.tensors.push(QTensor {
            name: self.names.unique(&tensor.name, index),
            shape: without_batch(user, tensor)?,
            dtype,
            quant,
            unsigned: false,
            channels_first: false,
        });
        self.ids[index] = Some(id);
        Ok(id)
    }

    fn operator(&mut self, index: usize) -> Result<(), QuantError> {
        let operator = &self.model.operators[index];
        let node = Node {
            model: self.model,
            operator,
            semantics: self.graph.semantics,
            source: self.model.source(index),
        };
        let op = node.lower()?;
        self.weight_bytes += match &op {
            QOp::Conv2d(c) => c.weights.len(),
            QOp::FullyConnected(f) => f.weights.len(),
            QOp::Lstm(l) => l.weights(),
            _ => 0,
        };
        if self.weight_bytes > MAX_WEIGHT_BYTES {
            return Err(QuantError::Parameter {
                node: node.source,
                found: format!("more than {MAX_WEIGHT_BYTES} bytes of weights up to here"),
                wanted: "a model that fits the board's memory".into(),
            });
        }
        let operands = match op {
            QOp::Binary(_) => 2,
            _ => 1,
        };
        let inputs = (0..operands)
            .map(|i| self.tensor(node.input(i), &node.source))
            .collect::<Result<_, _>>()?;
        let output = self.tensor(operator.outputs[0], &node.source)?;
        self.graph.nodes.push(QNode {
            // TFLite's own names are upper case with _2D; the index makes them unique.
            name: format!(
                "{}_{index}",
                operator.name.to_lowercase().replace("_2d", "2d")
            ),
            source: node.source,
            inputs,
            output,
            op,
        });
        Ok(())
    }
}

/// Shape without the batch dimension; a lone element is `[1]`.
fn without_batch(user: &str, tensor: &Tensor) -> Result<Vec<usize>, QuantError> {
    match tensor.shape.as_slice() {
        [] | [1] => Ok(vec![1]),
        [1, rest @ ..] => Ok(rest.to_vec()),
        shape => Err(QuantError::Parameter {
            node: user.to_string(),
            found: format!("tensor `{}` of shape {shape:?}", tensor.name),
            wanted: "batch 1 as the first dimension".into(),
        }),
    }
}

/// The operator that is being lowered.
struct Node<'a> {
    model: &'a Model,
    operator: &'a Operator,
    semantics: Semantics,
    source: String,
}

impl Node<'_> {
    fn lower(&self) -> Result<QOp, QuantError> {
        match self.operator.kind {
            OpKind::Conv2d(options) => self.conv2d(options),
            OpKind::DepthwiseConv2d(options) => self.depthwise_conv2d(options),
            OpKind::FullyConnected(activation) => self.fully_connected(activation),
            OpKind::Add(activation) => self.add(activation),
            OpKind::AveragePool2d(options) => self.average_pool(options),
            OpKind::MaxPool2d(options) => self.max_pool(options),
            OpKind::Reshape => {
                self.same_params()?;
                Ok(QOp::Reshape)
            }
            OpKind::Activation(activation) => self.activation(activation),
            OpKind::Softmax { beta } => self.softmax(beta),
            OpKind::Lstm(options) => self.lstm(options),
            OpKind::Quantize => self.quantize(),
            OpKind::Dequantize => Ok(QOp::Dequantize),
            OpKind::Unsupported => unreachable!("refused before lowering"),
        }
    }

    /// Index of operand `position`, which the importer has found present.
    fn input(&self, position: usize) -> usize {
        self.operator.inputs[position].expect("the importer requires this operand")
    }

    fn input_tensor(&self, position: usize) -> &Tensor {
        &self.model.tensors[self.input(position)]
    }

    fn output_tensor(&self) -> &Tensor {
        &self.model.tensors[self.operator.outputs[0]]
    }

    fn input_params(&self, position: usize) -> Result<AffineParams, QuantError> {
        affine::params(&self.source, self.input_tensor(position))
    }

    fn output_params(&self) -> Result<AffineParams, QuantError> {
        affine::params(&self.source, self.output_tensor())
    }

    /// Input and output must share their parameters, as operators that move raw integers demand.
    fn same_params(&self) -> Result<AffineParams, QuantError> {
        let (x, y) = (self.input_params(0)?, self.output_params()?);
        // TFLite's own tolerance (pooling's Prepare).
        if (x.scale - y.scale).abs() <= 1e-6 && x.zero_point == y.zero_point {
            return Ok(y);
        }
        Err(self.parameter(
            format!(
                "input scale {} zero point {}, output scale {} zero point {}",
                x.scale, x.zero_point, y.scale, y.zero_point
            ),
            "the same quantization on both",
        ))
    }

    /// Refuses semantics under which this operator has no exact rule.
    fn require(&self, wanted: &'static [Semantics]) -> Result<(), QuantError> {
        if wanted.contains(&self.semantics) {
            return Ok(());
        }
        Err(QuantError::Semantics {
            node: self.source.clone(),
            semantics: self.semantics,
            wanted,
        })
    }

    fn parameter(&self, found: impl Into<String>, wanted: impl Into<String>) -> QuantError {
        QuantError::Parameter {
            node: self.source.clone(),
            found: found.into(),
            wanted: wanted.into(),
        }
    }

    fn rule(&self, what: impl Into<String>) -> impl FnOnce(NumericError) -> QuantError {
        let (node, what) = (self.source.clone(), what.into());
        move |source| QuantError::Rule { node, what, source }
    }
}
