//! The operators, one file each.

mod attention;
mod average_pool;
mod binary;
mod conv2d;
mod conv_transpose2d;
mod dequantize;
mod fully_connected;
mod host;
mod lstm;
mod matmul;
mod max_pool;
mod movement;
mod quantize;
mod reshape;
mod softmax;
mod table;
mod window;

use macforge_numeric::{AffineParams, Clamp};
use macforge_quant::{DType, QGraph, QNode, QOp, TensorId};
use ndarray::{ArrayD, ArrayView3, IxDyn};

use crate::dot::Elements;
use crate::error::ReferenceError;
use crate::prepare::Prepared;
use crate::run::check_dtype;
use crate::value::Value;

/// What an operator produces.
pub(crate) struct Output {
    pub value: Value,
    /// See [`crate::Run::saturations`].
    pub saturations: u64,
}

/// A node with the values computed so far.
pub(crate) struct Context<'a> {
    pub graph: &'a QGraph,
    pub node: &'a QNode,
    pub tensors: &'a [Option<Value>],
    /// The node's prepared form.
    pub prepared: &'a Prepared,
}

/// Evaluates one node.
pub(crate) fn eval(cx: &Context) -> Result<Output, ReferenceError> {
    match &cx.node.op {
        QOp::Conv2d(op) => conv2d::eval(cx, op),
        QOp::FullyConnected(op) => fully_connected::eval(cx, op),
        QOp::Binary(rule) => binary::eval(cx, rule),
        QOp::MaxPool(window, clamp) => max_pool::eval(cx, window, *clamp),
        QOp::AveragePool(window, rule) => average_pool::eval(cx, window, rule),
        QOp::ConvTranspose2d(op) => conv_transpose2d::eval(cx, op),
        QOp::MatMul(op) => matmul::eval(cx, op),
        QOp::Transpose(perm) => movement::transpose(cx, perm),
        QOp::Concat(axis) => movement::concat(cx, *axis),
        QOp::Slice { start, step } => movement::slice(cx, start, step),
        QOp::Pad { before, value } => movement::pad(cx, before, *value),
        QOp::Resize { rows, columns } => movement::resize(cx, rows, columns),
        QOp::Reshape => reshape::eval(cx),
        QOp::Table(table) => table::eval(cx, table),
        QOp::Softmax(rule) => softmax::eval(cx, rule),
        QOp::Lstm(op) => lstm::eval(cx, op),
        QOp::Attention(op) => attention::eval(cx, op),
        QOp::Quantize => quantize::eval(cx),
        QOp::Dequantize => dequantize::eval(cx),
        QOp::Host(op) => host::eval(cx, op),
    }
}

impl<'a> Context<'a> {
    fn input_value(&self, index: usize) -> Result<(TensorId, &'a Value), ReferenceError> {
        self.node
            .inputs
            .get(index)
            .and_then(|&id| Some((id, self.tensors[id.0].as_ref()?)))
            .ok_or_else(|| ReferenceError::MissingInput {
                node: self.node.name.clone(),
                index,
            })
    }

    fn wrong_type(&self, id: TensorId, found: DType, wanted: DType) -> ReferenceError {
        check_dtype(&self.graph.tensor(id).name, found, wanted)
            .expect_err("called for a mismatch only")
    }

    /// The int8 value of input `index`.
    fn input(&self, index: usize) -> Result<&'a ArrayD<i8>, ReferenceError> {
        let (id, value) = self.input_value(index)?;
        value
            .as_i8()
            .ok_or_else(|| self.wrong_type(id, value.dtype(), DType::I8))
    }

    /// The float32 value of input `index`.
    fn input_f32(&self, index: usize) -> Result<&'a ArrayD<f32>, ReferenceError> {
        let (id, value) = self.input_value(index)?;
        value
            .as_f32()
            .ok_or_else(|| self.wrong_type(id, value.dtype(), DType::F32))
    }

    /// Input 0 as `[H, W, C]`.
    fn input_image(&self) -> Result<ArrayView3<'a, i8>, ReferenceError> {
        let array = self.input(0)?;
        let shape = self.graph.tensor(self.node.inputs[0]).hwc();
        Ok(array
            .view()
            .into_shape_with_order(shape)
            .expect("hwc() keeps the number of elements"))
    }

    /// Output shape as `[H, W, C]`.
    fn output_hwc(&self) -> [usize; 3] {
        self.graph.tensor(self.node.output).hwc()
    }

    fn params(&self, id: TensorId) -> Result<AffineParams, ReferenceError> {
        let tensor = self.graph.tensor(id);
        tensor.quant.ok_or_else(|| ReferenceError::NoAffineParams {
            tensor: tensor.name.clone(),
        })
    }

    /// Affine parameters of input 0.
    fn input_params(&self) -> Result<AffineParams, ReferenceError> {
        self.params(self.node.inputs[0])
    }

    /// Affine parameters of the output.
    fn output_params(&self) -> Result<AffineParams, ReferenceError> {
        self.params(self.node.output)
    }

    /// Checks one quantity that parameters and tensors must agree on.
    pub(crate) fn expect(
        &self,
        what: &'static str,
        found: usize,
        wanted: usize,
    ) -> Result<(), ReferenceError> {
        if found == wanted {
            return Ok(());
        }
        Err(ReferenceError::Parameters {
            node: self.node.name.clone(),
            what,
            found,
            wanted,
        })
    }

    fn shapes_differ(&self) -> ReferenceError {
        let output = self.graph.tensor(self.node.output);
        ReferenceError::Shape {
            tensor: output.name.clone(),
            found: self.graph.tensor(self.node.inputs[0]).shape.clone(),
            wanted: output.shape.clone(),
        }
    }

    /// What a layer with accumulators has computed, in the output's shape.
    fn accumulated(&self, elements: Elements) -> Result<Output, ReferenceError> {
        let (value, saturations) = match elements {
            Elements::I8(values, saturations) => (Value::I8(self.array(values)?), saturations),
            Elements::I16(values, saturations) => (Value::I16(self.array(values)?), saturations),
            Elements::I32(values) => (Value::I32(self.array(values)?), 0),
        };
        Ok(Output { value, saturations })
    }

    /// Row-major elements in the output's shape.
    fn output(&self, elements: Vec<i8>, saturations: u64) -> Result<Output, ReferenceError> {
        Ok(Output {
            value: Value::I8(self.array(elements)?),
            saturations,
        })
    }

    /// Elements of any type in the output's shape.
    fn array<T>(&self, elements: Vec<T>) -> Result<ArrayD<T>, ReferenceError> {
        let shape = &self.graph.tensor(self.node.output).shape;
        self.expect(
            "number of output elements",
            elements.len(),
            shape.iter().product(),
        )?;
        let array = ArrayD::from_shape_vec(IxDyn(shape), elements);
        Ok(array.expect("the number of elements was checked"))
    }

    /// Limits of the output's type.
    fn output_limits(&self) -> Clamp {
        let limits = self.graph.tensor(self.node.output).dtype.limits();
        limits.unwrap_or(Clamp::INT8)
    }

    /// Input 0, int8 or int16, less its zero point, in row-major order.
    fn centred_input(&self) -> Result<Vec<i16>, ReferenceError> {
        let zero_point = self.input_params()?.zero_point as i16;
        match self.input_value(0)? {
            (_, Value::I16(x)) => Ok(x.iter().copied().collect()),
            _ => Ok(self
                .input(0)?
                .iter()
                .map(|&q| i16::from(q) - zero_point)
                .collect()),
        }
    }
}
