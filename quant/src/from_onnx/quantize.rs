//! QuantizeLinear and DequantizeLinear: where real values become integers and back.

use macforge_model::onnx::OnnxType;

use super::operands::{StoredType, constant_value, quantized};
use super::pending::Pending;
use super::value::{Int, Value};
use super::{Node, Pass};
use crate::QuantError;
use crate::graph::{QOp, TensorId};

impl Pass<'_> {
    /// float32 to integers: ends a float part of the graph.
    pub(super) fn quantize_linear(&mut self, node: &Node) -> Result<(), QuantError> {
        let scales = self.constant(node, 1)?;
        if scales.elements() != 1 {
            let found = format!("{} scales", scales.elements());
            return Err(node.parameter(found, "one scale per activation tensor"));
        }
        let stored = match node.op.input(2) {
            Some(_) => self.stored_type(node, 2)?,
            // codes of ONNX's TensorProto.DataType
            None => match node.op.int("output_dtype").unwrap_or(0) {
                0 | 2 => StoredType::U8,
                3 => StoredType::I8,
                5 => StoredType::I16,
                code => {
                    let found = format!("output_dtype {code}");
                    return Err(node.parameter(found, "int8, uint8 or int16"));
                }
            },
        };
        let output = self.output_of(node, 1, 2, stored)?;
        match self.operand(node, 0)? {
            Value::RealInput(index) => {
                let input = self.graph.inputs[index];
                let shape = self.output_shape(node)?;
                let place = self.input_place(index);
                self.emit(node, QOp::Quantize, vec![input], shape, place, output);
                Ok(())
            }
            Value::Mapped(of, reals) if output.wide => {
                let of = self.plain(node, &of, &reals)?;
                self.rescaled(node, &of, output)
            }
            Value::Wide(of) => self.rescaled(node, &of, output),
            Value::Mapped(of, reals) => {
                let value = self.requantized(node, &of, &reals, &output)?;
                self.set(&output.name, Value::Int(value));
                Ok(())
            }
            Value::Pending(pending) => self.settle(node, *pending, output),
            other => Err(node.parameter(other.describe(), "a float32 value")),
        }
    }

    /// Integers to float32: starts a float part of the graph, or states what a constant means.
    pub(super) fn dequantize_linear(&mut self, node: &Node) -> Result<(), QuantError> {
        let name = node.output(0)?;
        if let Some(tensor) = self.model.constant(node.op, 0) {
            if node.op.int("block_size").unwrap_or(0) != 0 {
                return Err(node.parameter("block_size", "one scale, or one per channel"));
            }
            let axis = node.op.int("axis").unwrap_or(1);
            let rank = tensor.shape.len() as i64;
            let axis = if axis < 0 { axis + rank } else { axis };
            let axis = usize::try_from(axis).unwrap_or(usize::MAX);
            let zero_points = match node.op.input(2) {
                Some(_) => Some(self.constant(node, 2)?),
                None => None,
            };
            let scales = self.constant(node, 1)?;
            let own = node.op.input(0).unwrap_or("");
            let constant = quantized(node, own, tensor, Some(scales), zero_points, axis)?;
            self.set(name, constant_value(constant));
            return Ok(());
        }
        let Value::Int(value) = self.operand(node, 0)? else {
            let found = self.operand(node, 0)?.describe();
            return Err(node.parameter(found, "a quantized tensor"));
        };
        let stated = self.params_at(node, 1, 2, value.unsigned)?;
        let states_type = node.op.input(2).is_some();
        if states_type && self.stored_type(node, 2)? != value.stored_type() {
            return Err(node.parameter("a zero point of another type", "the tensor's own type"));
        }
        // the integers stand for what the last DequantizeLinear says
        let value = Int {
            params: stated,
            ..value
        };
        let known = self.graph.tensor(value.tensor).quant == Some(stated);
        if !known {
            return Err(node.parameter(
                format!(
                    "scale {} and zero point {}",
                    stated.scale, stated.zero_point
                ),
                "the parameters that the tensor was written with",
            ));
        }
        let meaning = if value.wide {
            Value::Wide(value)
        } else {
            let reals = value.dequantized();
            Value::Mapped(value, reals)
        };
        self.set(name, meaning);
        Ok(())
    }

    /// A float32 graph output.
    pub(super) fn dequantize(&mut self, node: &Node, name: &str, value: &Int) -> TensorId {
        let id = self.float_tensor(name, &value.shape, &value.place);
        let tensor = self.graph.tensor(value.tensor);
        let (shape, first) = (tensor.shape.clone(), tensor.channels_first);
        self.graph.tensors[id.0].shape = shape;
        self.graph.tensors[id.0].channels_first = first;
        self.push(node, QOp::Dequantize, vec![value.tensor], id);
        id
    }

    /// The accumulators of a last layer as an int32 graph output, for integer-only operators.
    pub(super) fn accumulators(
        &mut self,
        node: &Node,
        pending: Pending,
        name: &str,
    ) -> Result<TensorId, QuantError> {
        let integer = self
            .types
            .get(name)
            .is_some_and(|t| t.dtype == OnnxType::I32);
        if !integer {
            return Err(node.parameter(
                "a float32 layer whose result is not quantized",
                "QuantizeLinear and DequantizeLinear in front of the output",
            ));
        }
        self.raw(pending, name)
    }
}
