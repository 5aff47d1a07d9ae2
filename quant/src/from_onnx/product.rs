//! Gemm, MatMul and their integer forms: fully connected layers, pixel-wise convolutions, products
//! of two computed matrices.

use macforge_model::onnx::OnnxType;

use super::operands::{Weights, quantized};
use super::pending::{Layer, Pending};
use super::value::{Int, Place, Value};
use super::{Node, Pass, place};
use crate::QuantError;
use crate::graph::{Conv2d, FullyConnected, QOp, TensorId, Window};

impl Pass<'_> {
    pub(super) fn qgemm(&mut self, node: &Node) -> Result<(), QuantError> {
        self.plain_gemm(node)?;
        let x = self.int_at(node, 0)?;
        let transposed = node.op.int("transB").unwrap_or(0) != 0;
        let axis = usize::from(!transposed);
        let constant = self.constant_at(node, 3, axis)?;
        let weights = self.weights(node, &constant, axis)?;
        let bias = self.integer_bias(node, 6, weights.scales.len())?;
        if node.op.input(7).is_none() {
            return Err(node.parameter("a float32 result", "an output scale and zero point"));
        }
        let output = self.output_at(node, 7, 8)?;
        let pending = self.weighted_product(node, x, weights, transposed, bias)?;
        self.settle(node, pending, output)
    }

    /// Between DequantizeLinear and QuantizeLinear.
    pub(super) fn float_gemm(&mut self, node: &Node) -> Result<(), QuantError> {
        self.plain_gemm(node)?;
        let x = self.plain_operand(node, 0)?;
        let transposed = node.op.int("transB").unwrap_or(0) != 0;
        let weights = self.real_weights(node, 1, usize::from(!transposed))?;
        let bias = self.real_bias(node, 2, x.params.scale, &weights.scales)?;
        let pending = self.weighted_product(node, x, weights, transposed, bias)?;
        self.pend(node, pending)
    }

    fn plain_gemm(&self, node: &Node) -> Result<(), QuantError> {
        let one = |name: &str| node.op.float(name).is_none_or(|v| v == 1.0);
        if node.op.int("transA").unwrap_or(0) != 0 || !one("alpha") || !one("beta") {
            let found = "transA, or alpha or beta other than 1";
            return Err(self.unsupported(node, found, "fold them into the weights"));
        }
        Ok(())
    }

    pub(super) fn qlinear_matmul(&mut self, node: &Node) -> Result<(), QuantError> {
        let x = self.int_at(node, 0)?;
        let output = self.output_at(node, 6, 7)?;
        let pending = if self.model.constant(node.op, 3).is_some() {
            let last = self.constant(node, 3)?.shape.len().saturating_sub(1);
            let constant = self.constant_at(node, 3, last)?;
            let weights = self.weights(node, &constant, last)?;
            let bias = vec![0; weights.scales.len()];
            self.weighted_product(node, x, weights, false, bias)?
        } else {
            let b = self.int_at(node, 3)?;
            self.computed_product(node, x, b)?
        };
        self.settle(node, pending, output)
    }

    /// Between DequantizeLinear and QuantizeLinear.
    pub(super) fn float_matmul(&mut self, node: &Node) -> Result<(), QuantError> {
        if let Value::Scores(scores) = self.operand(node, 0)? {
            return self.attend(node, *scores);
        }
        let computed = !matches!(self.operand(node, 1)?, Value::Constant(_));
        if computed && self.leads_to_softmax(node.output(0)?) {
            return self.scores(node);
        }
        let x = self.plain_operand(node, 0)?;
        let pending = if let Value::Constant(constant) = self.operand(node, 1)? {
            let last = constant.shape.len().saturating_sub(1);
            let weights = self.weights(node, &constant, last)?;
            let bias = vec![0; weights.scales.len()];
            self.weighted_product(node, x, weights, false, bias)?
        } else {
            let b = self.plain_operand(node, 1)?;
            self.computed_product(node, x, b)?
        };
        self.pend(node, pending)
    }

    /// int32 accumulators as a graph output.
    pub(super) fn matmul_integer(&mut self, node: &Node) -> Result<(), QuantError> {
        let x = self.integer_operand(node, 0)?;
        let pending = if self.model.constant(node.op, 1).is_some() {
            let last = self.constant(node, 1)?.shape.len().saturating_sub(1);
            let weights = self.integer_weights(node, 1, 3, last)?;
            let bias = vec![0; weights.scales.len()];
            self.weighted_product(node, x, weights, false, bias)?
        } else {
            let b = self.integer_operand(node, 1)?;
            self.computed_product(node, x, b)?
        };
        self.pend(node, pending)
    }

    /// An operand of ConvInteger or MatMulInteger: the zero point is all that they state.
    pub(super) fn integer_operand(&self, node: &Node, index: usize) -> Result<Int, QuantError> {
        let Value::Int(value) = self.operand(node, index)? else {
            let found = self.operand(node, index)?.describe();
            return Err(node.parameter(format!("operand {index}: {found}"), "a quantized tensor"));
        };
        let zero_point = match self.model.constant(node.op, index + 2) {
            None if node.op.input(index + 2).is_some() => {
                return Err(node.parameter("a computed zero point", "a constant one"));
            }
            None => Some(0),
            Some(tensor) => match super::value::integers(&tensor.data).as_deref() {
                Some(&[zero]) => Some(zero),
                _ => None,
            },
        };
        let offset = if value.unsigned { 128 } else { 0 };
        match zero_point {
            Some(zero) if zero - offset == value.params.zero_point => Ok(value),
            _ => Err(node.parameter(
                format!("zero point {zero_point:?} of operand {index}"),
                format!("{}, which the tensor has", value.params.zero_point + offset),
            )),
        }
    }

    /// Constant weights of an integer operator, without scales.
    pub(super) fn integer_weights(
        &self,
        node: &Node,
        index: usize,
        zero_point: usize,
        axis: usize,
    ) -> Result<Weights, QuantError> {
        let tensor = self.constant(node, index)?;
        let zero_points = match node.op.input(zero_point) {
            Some(_) => Some(self.constant(node, zero_point)?),
            None => None,
        };
        let channels = tensor.shape.get(axis).copied().unwrap_or(1);
        let several = zero_points.filter(|z| z.elements() > 1);
        let ones = several.map(|_| {
            macforge_model::onnx::OnnxTensor::new(
                vec![channels],
                macforge_model::onnx::TensorData::F32(vec![1.0; channels]),
            )
        });
        let name = node.op.input(index).unwrap_or("");
        let constant = quantized(node, name, tensor, ones.as_ref(), zero_points, axis)?;
        self.weights(node, &constant, axis)
    }

    /// A product with constant weights: `[K, N]`, or `[N, K]` where `transposed`.
    fn weighted_product(
        &mut self,
        node: &Node,
        x: Int,
        weights: Weights,
        transposed: bool,
        bias: Vec<i32>,
    ) -> Result<Pending, QuantError> {
        let shape = self.output_shape(node)?;
        let &[rows, columns] = weights.shape.as_slice() else {
            let found = format!("weights of shape {:?}", weights.shape);
            return Err(node.parameter(found, "a matrix"));
        };
        let (inner, outer) = if transposed {
            (columns, rows)
        } else {
            (rows, columns)
        };
        let at = |o: usize, i: usize| {
            let index = if transposed {
                o * columns + i
            } else {
                i * columns + o
            };
            weights.values[index]
        };
        if x.elements() == inner {
            // where an image was flattened, its columns take the order that the image has here
            let column: Vec<usize> = match x.place {
                Place::FlatImage([h, w, c]) => {
                    (0..inner).map(|i| (i % c) * h * w + i / c).collect()
                }
                Place::Axes(_) => (0..inner).collect(),
            };
            let x = match x.place {
                Place::FlatImage(_) => x,
                Place::Axes(_) => self.placed(node, &x, place::plain(&x.shape))?,
            };
            let fc = FullyConnected {
                weights: super::conv::reorder([outer, inner], |[o, i]| at(o, column[i])),
                weight_zero_points: weights.zero_points,
                out_channels: outer,
                in_features: inner,
                bias,
                requant: Vec::new(),
                lower_is_activation: false,
            };
            let layer = Layer::FullyConnected(fc, weights.scales);
            let mut pending = Pending::new(node, vec![x], layer, shape).with_weights(weights.wide);
            pending.place = place::plain(&pending.shape);
            return Ok(pending);
        }
        // every row on its own: a pixel-wise convolution
        let x = self.placed(node, &x, place::plain(&x.shape))?;
        let conv = Conv2d {
            window: Window {
                kernel: [1, 1],
                stride: [1, 1],
                dilation: [1, 1],
                pad: [0, 0],
            },
            weights: super::conv::reorder([outer, inner], |[o, i]| at(o, i)),
            weight_zero_points: weights.zero_points,
            groups: 1,
            out_channels: outer,
            in_channels: inner,
            bias,
            requant: Vec::new(),
            lower_is_activation: false,
        };
        let layer = Layer::Conv(conv, weights.scales);
        let mut pending = Pending::new(node, vec![x], layer, shape).with_weights(weights.wide);
        pending.place = place::plain(&pending.shape);
        Ok(pending)
    }

    /// A product of two computed matrices.
    fn computed_product(&mut self, node: &Node, a: Int, b: Int) -> Result<Pending, QuantError> {
        let shape = self.output_shape(node)?;
        if a.shape.len() < 2 || b.shape.len() < 2 {
            return Err(node.parameter("a product with a vector", "two matrices"));
        }
        let a = self.placed(node, &a, place::plain(&a.shape))?;
        let b = self.placed(node, &b, place::plain(&b.shape))?;
        let layer = Layer::MatMul { transpose_b: false };
        let mut pending = Pending::new(node, vec![a, b], layer, shape);
        pending.place = place::plain(&pending.shape);
        Ok(pending)
    }

    /// A last layer's int32 accumulators under the name of a graph output.
    pub(super) fn raw(&mut self, pending: Pending, name: &str) -> Result<TensorId, QuantError> {
        let node = self.node(pending.node);
        let integer = matches!(node.op.op_type.as_str(), "ConvInteger" | "MatMulInteger");
        let op = match pending.layer {
            Layer::Conv(conv, _) if integer => QOp::Conv2d(conv),
            Layer::FullyConnected(fc, _) if integer => QOp::FullyConnected(fc),
            Layer::MatMul { transpose_b } if integer => QOp::MatMul(crate::graph::MatMul {
                transpose_b,
                requant: None,
            }),
            _ => return Err(node.parameter("a result that is not quantized", "QuantizeLinear")),
        };
        let id = self.float_tensor(name, &pending.shape, &pending.place);
        self.graph.tensors[id.0].dtype = crate::graph::DType::I32;
        debug_assert_eq!(self.types.get(name).map(|t| t.dtype), Some(OnnxType::I32));
        let inputs = pending.inputs.iter().map(|i| i.tensor).collect();
        self.push(&node, op, inputs, id);
        Ok(id)
    }
}
