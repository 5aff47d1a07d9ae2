//! The operator that is being lowered, and what it becomes.

use macforge_model::{Activation, ElementType, Model, OpKind, Operator, Tensor};
use macforge_numeric::{AffineParams, NumericError, Semantics, unary};

use super::affine;
use crate::QuantError;
use crate::graph::{DType, QOp, QTensor};

/// The nodes that an operator becomes, in execution order.
#[derive(Default)]
pub(super) struct Steps {
    /// Tensors between the nodes.
    pub temporaries: Vec<QTensor>,
    pub steps: Vec<Step>,
}

/// One node.
pub(super) struct Step {
    pub op: QOp,
    pub inputs: Vec<Operand>,
    pub output: Operand,
}

/// A tensor that a node reads or writes.
#[derive(Clone, Copy)]
pub(super) enum Operand {
    /// Index in [`Model::tensors`].
    Model(usize),
    /// Index in [`Steps::temporaries`].
    Temporary(usize),
}

impl Steps {
    /// A tensor between two nodes; the name need not be unique.
    pub fn temporary(&mut self, tensor: QTensor) -> Operand {
        self.temporaries.push(tensor);
        Operand::Temporary(self.temporaries.len() - 1)
    }

    pub fn push(&mut self, op: QOp, inputs: Vec<Operand>, output: Operand) {
        self.steps.push(Step { op, inputs, output });
    }
}

pub(super) struct Node<'a> {
    pub model: &'a Model,
    pub operator: &'a Operator,
    pub semantics: Semantics,
    pub source: String,
}

impl Node<'_> {
    pub fn lower(&self) -> Result<Steps, QuantError> {
        match &self.operator.kind {
            OpKind::Conv2d(options) => self.one(self.conv2d(*options)?),
            OpKind::DepthwiseConv2d(options) => self.one(self.depthwise_conv2d(*options)?),
            OpKind::TransposeConv(options) => self.transpose_conv(*options),
            OpKind::FullyConnected(activation) => self.one(self.fully_connected(*activation)?),
            OpKind::BatchMatMul {
                transpose_a,
                transpose_b,
            } => self.batch_matmul(*transpose_a, *transpose_b),
            OpKind::Binary(kind, activation) => self.binary(*kind, *activation),
            OpKind::Prelu => self.prelu(),
            OpKind::AveragePool2d(options) => self.one(self.average_pool(*options)?),
            OpKind::MaxPool2d(options) => self.one(self.max_pool(*options)?),
            OpKind::Mean { axes } => self.mean(axes),
            OpKind::Reshape => {
                self.same_params()?;
                self.one(QOp::Reshape)
            }
            OpKind::Concat { axis } => self.concat(*axis),
            OpKind::Slices(slices) => self.slices(slices),
            OpKind::Pad { before } => self.pad(before),
            OpKind::Transpose(perm) => self.transpose(perm),
            OpKind::ResizeNearest {
                align_corners,
                half_pixel_centers,
            } => self.resize(*align_corners, *half_pixel_centers),
            OpKind::Activation(activation) => self.one(self.activation(*activation)?),
            OpKind::LeakyRelu { alpha } => {
                let (x, y) = (self.input_params(0)?, self.output_params()?);
                let table = unary::leaky_relu(self.semantics, x, *alpha, y);
                self.one(QOp::Table(table.map_err(self.rule("scales and slope"))?))
            }
            OpKind::Unary(function) => self.one(self.unary(*function)?),
            OpKind::Softmax { beta } => self.one(self.softmax(*beta)?),
            OpKind::Lstm(options) => self.one(self.lstm(*options)?),
            OpKind::Quantize => self.one(self.quantize()?),
            OpKind::Dequantize => self.one(QOp::Dequantize),
            OpKind::ReadVariable(_)
            | OpKind::AssignVariable(_)
            | OpKind::Bookkeeping
            | OpKind::Unsupported => unreachable!("handled before lowering"),
        }
    }

    /// One node from operand 0 to the output.
    pub fn one(&self, op: QOp) -> Result<Steps, QuantError> {
        let mut steps = Steps::default();
        steps.push(op, vec![Operand::Model(self.input(0))], self.output());
        Ok(steps)
    }

    /// Index of operand `position`, which the importer has found present.
    pub fn input(&self, position: usize) -> usize {
        self.operator.inputs[position].expect("the importer requires this operand")
    }

    pub fn output(&self) -> Operand {
        Operand::Model(self.operator.outputs[0])
    }

    pub fn input_tensor(&self, position: usize) -> &Tensor {
        &self.model.tensors[self.input(position)]
    }

    pub fn output_tensor(&self) -> &Tensor {
        &self.model.tensors[self.operator.outputs[0]]
    }

    pub fn input_params(&self, position: usize) -> Result<AffineParams, QuantError> {
        affine::params(&self.source, self.input_tensor(position))
    }

    pub fn output_params(&self) -> Result<AffineParams, QuantError> {
        affine::params(&self.source, self.output_tensor())
    }

    /// The output's tensor in the graph, under another shape.
    pub fn output_shaped(&self, shape: Vec<usize>) -> Result<QTensor, QuantError> {
        let tensor = tensor(&self.source, self.output_tensor())?;
        Ok(QTensor { shape, ..tensor })
    }

    /// The input's dimension `d` in the graph, where a leading batch dimension is dropped.
    pub fn axis(&self, position: usize, d: usize) -> Result<usize, QuantError> {
        let dropped = usize::from(drops_batch(&self.input_tensor(position).shape));
        d.checked_sub(dropped).ok_or_else(|| {
            self.parameter(
                "an operation along the batch dimension",
                "batch 1 left alone",
            )
        })
    }

    /// Input and output must share their parameters, as operators that move raw integers demand.
    pub fn same_params(&self) -> Result<AffineParams, QuantError> {
        let (x, y) = (self.input_params(0)?, self.output_params()?);
        self.expect_same(x, y)?;
        Ok(y)
    }

    pub fn expect_same(&self, x: AffineParams, y: AffineParams) -> Result<(), QuantError> {
        // TFLite's own tolerance (pooling's Prepare).
        if (x.scale - y.scale).abs() <= 1e-6 && x.zero_point == y.zero_point {
            return Ok(());
        }
        Err(self.parameter(
            format!(
                "input scale {} zero point {}, output scale {} zero point {}",
                x.scale, x.zero_point, y.scale, y.zero_point
            ),
            "the same quantization on both",
        ))
    }

    pub fn unsigned(&self) -> bool {
        self.output_tensor().dtype == ElementType::U8
    }

    /// Refuses semantics under which this operator has no exact rule.
    pub fn require(&self, wanted: &'static [Semantics]) -> Result<(), QuantError> {
        if wanted.contains(&self.semantics) {
            return Ok(());
        }
        Err(QuantError::Semantics {
            node: self.source.clone(),
            semantics: self.semantics,
            wanted,
        })
    }

    pub fn parameter(&self, found: impl Into<String>, wanted: impl Into<String>) -> QuantError {
        QuantError::Parameter {
            node: self.source.clone(),
            found: found.into(),
            wanted: wanted.into(),
        }
    }

    pub fn rule(&self, what: impl Into<String>) -> impl FnOnce(NumericError) -> QuantError {
        let (node, what) = (self.source.clone(), what.into());
        move |source| QuantError::Rule { node, what, source }
    }
}

/// Whether an activation function bounds its result from below.
pub(super) fn bounds_below(activation: Activation) -> bool {
    activation != Activation::None
}

/// The graph's tensor for a tensor of the model; the name need not be unique.
pub(super) fn tensor(user: &str, tensor: &Tensor) -> Result<QTensor, QuantError> {
    let (dtype, quant) = match tensor.dtype {
        ElementType::I8 | ElementType::U8 => (DType::I8, Some(affine::params(user, tensor)?)),
        ElementType::F32 => (DType::F32, None),
        other => {
            return Err(QuantError::Parameter {
                node: user.to_string(),
                found: format!("tensor `{}` of type {other}", tensor.name),
                wanted: "int8 or uint8, or float32 at the graph's boundary".into(),
            });
        }
    };
    Ok(QTensor {
        name: tensor.name.clone(),
        shape: without_batch(user, tensor)?,
        dtype,
        quant,
        unsigned: tensor.dtype == ElementType::U8,
        channels_first: false,
    })
}

/// A graph input is one sample: its first dimension is 1.
pub(super) fn expect_batch_of_one(tensor: &Tensor) -> Result<(), QuantError> {
    match tensor.shape.as_slice() {
        [] | [_] | [1, ..] => Ok(()),
        shape => Err(QuantError::Parameter {
            node: "graph input".into(),
            found: format!("tensor `{}` of shape {shape:?}", tensor.name),
            wanted: "batch 1 as the first dimension".into(),
        }),
    }
}

/// Whether the first dimension is a batch of 1 that the graph leaves out.
pub(super) fn drops_batch(shape: &[usize]) -> bool {
    shape.len() > 1 && shape[0] == 1
}

/// Shape without the batch dimension; a lone element is `[1]`. Two or three dimensions without a
/// leading 1 stay: rows of one sample.
pub(super) fn without_batch(user: &str, tensor: &Tensor) -> Result<Vec<usize>, QuantError> {
    match tensor.shape.as_slice() {
        [] => Ok(vec![1]),
        shape if drops_batch(shape) && shape.len() <= 4 => Ok(shape[1..].to_vec()),
        shape if shape.len() <= 3 => Ok(shape.to_vec()),
        shape => Err(QuantError::Parameter {
            node: user.to_string(),
            found: format!("tensor `{}` of shape {shape:?}", tensor.name),
            wanted: "batch 1 as the first dimension, and at most three more".into(),
        }),
    }
}
