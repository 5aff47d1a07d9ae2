//! Operands: scales, zero points, weights and biases, as constants of the file.

use std::rc::Rc;

use macforge_model::onnx::{OnnxTensor, OnnxType};
use macforge_numeric::{AffineParams, Clamp, Requantizer, Semantics};

use super::value::{Constant, Int, RealTable, Value, integers, table_of};
use super::{Node, Output, Pass};
use crate::QuantError;
use crate::graph::QOp;

/// Weights of one layer; beyond it no Zynq-7000 board has the memory.
const MAX_WEIGHTS: usize = 256 << 20;

/// Weights with what the rules need, output channel first.
pub(super) struct Weights {
    pub shape: Vec<usize>,
    pub values: Vec<i16>,
    /// They are int16, not int8.
    pub wide: bool,
    /// One per output channel.
    pub zero_points: Vec<i32>,
    /// One per output channel.
    pub scales: Vec<f32>,
}

/// How a tensor's integers are held in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredType {
    I8,
    U8,
    I16,
}

impl Pass<'_> {
    /// Parameters of an activation from two constant operands.
    pub(super) fn params_at(
        &self,
        node: &Node,
        scale: usize,
        zero_point: usize,
        unsigned: bool,
    ) -> Result<AffineParams, QuantError> {
        let scale_value = self.float_scalar(node, scale)?;
        let zero = match node.op.input(zero_point) {
            None => 0,
            Some(_) => {
                let tensor = self.constant(node, zero_point)?;
                match integers(&tensor.data).as_deref() {
                    Some(&[zero]) => zero,
                    _ => {
                        let found =
                            format!("operand {zero_point} with {} values", tensor.elements());
                        return Err(node.parameter(found, "one integer zero point"));
                    }
                }
            }
        };
        let zero = if unsigned { zero - 128 } else { zero };
        AffineParams::new(scale_value, zero)
            .map_err(|e| node.rule(format!("operands {scale} and {zero_point}"), e))
    }

    /// A constant float32 operand of one element.
    pub(super) fn float_scalar(&self, node: &Node, index: usize) -> Result<f32, QuantError> {
        let tensor = self.constant(node, index)?;
        match tensor.data.as_f32() {
            Some(&[value]) => Ok(value),
            _ => Err(node.parameter(
                format!(
                    "operand {index} of type {} with {} elements",
                    tensor.data.dtype(),
                    tensor.elements()
                ),
                "one float32",
            )),
        }
    }

    /// Parameters of an integer graph input: those of the first node that reads it with some.
    pub(super) fn stated_params(
        &self,
        name: &str,
        unsigned: bool,
    ) -> Result<AffineParams, QuantError> {
        for index in 0..self.model.nodes.len() {
            let node = self.node(index);
            let operands = node.op.inputs.iter();
            let Some(at) = operands.clone().position(|i| i == name) else {
                continue;
            };
            let (scale, zero_point) = match (node.op.op_type.as_str(), at) {
                ("DequantizeLinear" | "QLinearConv" | "QLinearMatMul" | "QGemm", 0)
                | ("QLinearAdd" | "QLinearMul" | "QLinearSigmoid" | "QLinearLeakyRelu", 0)
                | ("QLinearGlobalAveragePool" | "QLinearAveragePool", 0) => (1, 2),
                ("QLinearMatMul" | "QLinearAdd" | "QLinearMul", 3) => (4, 5),
                ("QLinearConcat", at) => (at + 1, at + 2),
                // integer products state a zero point only; the scale plays no part
                ("ConvInteger" | "MatMulInteger", at @ (0 | 1)) => {
                    let zero_point = match node.op.input(at + 2) {
                        None => 0,
                        Some(_) => self.integer_scalar(&node, at + 2)?,
                    };
                    let zero_point = if unsigned {
                        zero_point - 128
                    } else {
                        zero_point
                    };
                    return AffineParams::new(1.0, zero_point)
                        .map_err(|e| node.rule(format!("operand {}", at + 2), e));
                }
                _ => continue,
            };
            return self.params_at(&node, scale, zero_point, unsigned);
        }
        // nothing asks what the integers mean: they are only moved
        AffineParams::new(1.0, if unsigned { -128 } else { 0 }).map_err(|source| QuantError::Rule {
            node: "graph input".into(),
            what: name.to_string(),
            source,
        })
    }

    fn integer_scalar(&self, node: &Node, index: usize) -> Result<i32, QuantError> {
        match integers(&self.constant(node, index)?.data).as_deref() {
            Some(&[value]) => Ok(value),
            _ => Err(node.parameter(format!("several values in operand {index}"), "one")),
        }
    }

    /// The type of the integers that a zero point operand stands for; uint8 without one.
    pub(super) fn stored_type(
        &self,
        node: &Node,
        zero_point: usize,
    ) -> Result<StoredType, QuantError> {
        if node.op.input(zero_point).is_none() {
            return Ok(StoredType::U8);
        }
        match self.constant(node, zero_point)?.data.dtype() {
            OnnxType::I8 => Ok(StoredType::I8),
            OnnxType::U8 => Ok(StoredType::U8),
            OnnxType::I16 => Ok(StoredType::I16),
            other => Err(node.parameter(
                format!("activations of type {other}"),
                "int8, uint8 or int16 activations",
            )),
        }
    }

    /// Output `name` with the parameters of two constant operands.
    pub(super) fn output_at(
        &self,
        node: &Node,
        scale: usize,
        zero_point: usize,
    ) -> Result<Output, QuantError> {
        let stored = self.stored_type(node, zero_point)?;
        self.output_of(node, scale, zero_point, stored)
    }

    /// The same with the type of the integers given.
    pub(super) fn output_of(
        &self,
        node: &Node,
        scale: usize,
        zero_point: usize,
        stored: StoredType,
    ) -> Result<Output, QuantError> {
        let unsigned = stored == StoredType::U8;
        let params = self.params_at(node, scale, zero_point, unsigned)?;
        let wide = stored == StoredType::I16;
        if wide && params.zero_point != 0 {
            let found = format!("int16 with zero point {}", params.zero_point);
            return Err(node.parameter(found, "symmetric int16, zero point 0"));
        }
        Ok(Output {
            name: node.output(0)?.to_string(),
            params,
            unsigned,
            wide,
        })
    }

    /// An integer operand whose parameters the node states as well; they must be the tensor's own.
    pub(super) fn int_at(&self, node: &Node, index: usize) -> Result<Int, QuantError> {
        let Value::Int(value) = self.operand(node, index)? else {
            let found = self.operand(node, index)?.describe();
            return Err(node.parameter(format!("operand {index}: {found}"), "a quantized tensor"));
        };
        let stated = self.params_at(node, index + 1, index + 2, value.unsigned)?;
        if stated != value.params {
            return Err(node.parameter(
                format!(
                    "operand {index} with scale {} and zero point {}, written with {} and {}",
                    stated.scale, stated.zero_point, value.params.scale, value.params.zero_point
                ),
                "the parameters that the tensor was written with",
            ));
        }
        Ok(value)
    }

    /// The quantized constant behind three operands: values, scales, zero points.
    pub(super) fn constant_at(
        &self,
        node: &Node,
        index: usize,
        axis: usize,
    ) -> Result<Constant, QuantError> {
        let tensor = self.constant(node, index)?;
        let scales = self.constant(node, index + 1)?;
        let zero_points = match node.op.input(index + 2) {
            Some(_) => Some(self.constant(node, index + 2)?),
            None => None,
        };
        let name = node.op.input(index).unwrap_or("");
        quantized(node, name, tensor, Some(scales), zero_points, axis)
    }

    /// Weights as integers with one scale per output channel, which is dimension `axis`.
    pub(super) fn weights(
        &self,
        node: &Node,
        constant: &Constant,
        axis: usize,
    ) -> Result<Weights, QuantError> {
        let name = &constant.name;
        let offset = match constant.dtype {
            OnnxType::U8 => 128,
            OnnxType::I16 if constant.zero_points.iter().any(|&z| z != 0) => {
                let found = format!("int16 weights `{name}` with zero points");
                return Err(node.parameter(found, "symmetric int16 weights"));
            }
            OnnxType::I8 | OnnxType::I16 => 0,
            OnnxType::I4 | OnnxType::U4 | OnnxType::I2 | OnnxType::U2 => 0,
            other => {
                let found = format!("weights `{name}` of type {other}");
                return Err(node.parameter(found, "weights of at most 16 bits"));
            }
        };
        if constant.values.len() > MAX_WEIGHTS {
            let found = format!("{} weights in `{name}`", constant.values.len());
            return Err(node.parameter(found, "a model that fits the board's memory"));
        }
        let channels = constant.shape.get(axis).copied().unwrap_or(1);
        let count = constant.scales.len();
        if count != 1 && (count != channels || constant.axis != axis) {
            let found = format!(
                "weights `{name}` with {count} scales along {}",
                constant.axis
            );
            let wanted = format!("1 scale, or {channels} along dimension {axis}");
            return Err(node.parameter(found, wanted));
        }
        let per_channel = |list: &[i32]| {
            list.iter()
                .copied()
                .cycle()
                .take(channels)
                .collect::<Vec<_>>()
        };
        let zero_points = per_channel(&constant.zero_points);
        Ok(Weights {
            shape: constant.shape.clone(),
            values: constant
                .values
                .iter()
                .map(|&v| (v - offset) as i16)
                .collect(),
            wide: constant.dtype == OnnxType::I16,
            zero_points: zero_points.iter().map(|z| z - offset).collect(),
            scales: constant
                .scales
                .iter()
                .copied()
                .cycle()
                .take(channels)
                .collect(),
        })
    }

    /// The bias of `channels` output channels in accumulator units: a constant int32 operand.
    pub(super) fn integer_bias(
        &self,
        node: &Node,
        index: usize,
        channels: usize,
    ) -> Result<Vec<i32>, QuantError> {
        if node.op.input(index).is_none() {
            return Ok(vec![0; channels]);
        }
        let tensor = self.constant(node, index)?;
        let values = integers(&tensor.data).filter(|_| tensor.data.dtype() == OnnxType::I32);
        values.filter(|v| v.len() == channels).ok_or_else(|| {
            let found = format!(
                "bias of type {} and shape {:?}",
                tensor.data.dtype(),
                tensor.shape
            );
            node.parameter(found, format!("{channels} int32 values"))
        })
    }

    /// The bias of a float operator: a dequantized int32 constant at input scale times weight scale,
    /// or float32 values that are whole numbers of that unit.
    pub(super) fn real_bias(
        &self,
        node: &Node,
        index: usize,
        x: f32,
        scales: &[f32],
    ) -> Result<Vec<i32>, QuantError> {
        let Some(name) = node.op.input(index) else {
            return Ok(vec![0; scales.len()]);
        };
        let units: Vec<f32> = scales.iter().map(|w| x * w).collect();
        let wanted = "a DequantizeLinear of int32 whose scale is input scale times weight scale";
        if let Some(Value::Constant(bias)) = self.values.get(name) {
            let stated = bias.scales.iter().copied().cycle().take(units.len());
            let fits = bias.values.len() == units.len()
                && bias.zero_points.iter().all(|&z| z == 0)
                && (bias.scales.len() == 1 || bias.scales.len() == units.len())
                && stated.eq(units.iter().copied());
            if fits {
                return Ok(bias.values.clone());
            }
            return Err(node.parameter(format!("bias `{name}` of another scale"), wanted));
        }
        let tensor = self.constant(node, index)?;
        let Some(values) = tensor.data.as_f32().filter(|v| v.len() == units.len()) else {
            return Err(
                node.parameter(format!("bias `{name}` of shape {:?}", tensor.shape), wanted)
            );
        };
        let whole = |(&b, &unit): (&f32, &f32)| {
            let steps = (f64::from(b) / f64::from(unit)).round();
            let exact = steps.abs() < f64::from(i32::MAX) && (steps as f32) * unit == b;
            exact.then_some(steps as i32)
        };
        let steps: Option<Vec<i32>> = values.iter().zip(&units).map(whole).collect();
        steps.ok_or_else(|| node.parameter(format!("float32 bias `{name}`"), wanted))
    }

    /// Requantizers from accumulators in units of `x * w` to the output.
    pub(super) fn requantizers(
        &self,
        node: &Node,
        x: f32,
        scales: &[f32],
        y: AffineParams,
        clamp: Clamp,
    ) -> Result<Vec<Requantizer>, QuantError> {
        let requantizer = |(channel, &w): (usize, &f32)| {
            // onnxruntime's order: float32, left to right
            let real = f64::from(x * w / y.scale);
            Requantizer::from_real(Semantics::OrtX86, real, y.zero_point, clamp)
                .map_err(|e| node.rule(format!("output channel {channel}"), e))
        };
        scales.iter().enumerate().map(requantizer).collect()
    }

    /// Operand `index` of a float operator as integers that mean their affine values.
    pub(super) fn plain_operand(&mut self, node: &Node, index: usize) -> Result<Int, QuantError> {
        match self.operand(node, index)? {
            Value::Mapped(of, reals) => self.plain(node, &of, &reals),
            Value::Wide(of) => Ok(of),
            other => Err(node.parameter(
                format!("operand {index}: {}", other.describe()),
                "a tensor between QuantizeLinear and DequantizeLinear",
            )),
        }
    }

    /// Integers with the same parameters whose affine values are `reals`; a table of its own where
    /// an element-wise function (Relu, Clip, ...) came in between.
    pub(super) fn plain(
        &mut self,
        node: &Node,
        of: &Int,
        reals: &RealTable,
    ) -> Result<Int, QuantError> {
        let own = of.dequantized();
        if own == *reals {
            return Ok(of.clone());
        }
        let mut mapped = [0i8; 256];
        for (index, real) in reals.iter().enumerate() {
            let Some(to) = own.iter().position(|own| own == real) else {
                return Err(node.parameter(
                    format!(
                        "an element-wise function of `{}` without QuantizeLinear behind it",
                        self.graph.tensor(of.tensor).name
                    ),
                    "QuantizeLinear and DequantizeLinear behind it",
                ));
            };
            mapped[index] = to as u8 as i8;
        }
        let output = Output {
            name: self.fresh_tensor(of, "function"),
            params: of.params,
            unsigned: of.unsigned,
            wide: of.wide,
        };
        let op = QOp::Table(Box::new(mapped));
        let inputs = vec![of.tensor];
        Ok(self.emit_inner(node, op, inputs, of.shape.clone(), of.place.clone(), output))
    }

    /// Integers of other parameters that stand for the real values of `of`.
    pub(super) fn requantized(
        &mut self,
        node: &Node,
        of: &Int,
        reals: &RealTable,
        output: &Output,
    ) -> Result<Int, QuantError> {
        let table = table_of(|q| output.params.quantize_even(reals[usize::from(q as u8)]));
        let same = of.params == output.params
            && of.unsigned == output.unsigned
            && table == table_of(|q| q);
        if same {
            return Ok(of.clone());
        }
        let output = Output {
            name: self.fresh_tensor(of, "quantized"),
            ..output.clone()
        };
        let op = QOp::Table(Box::new(table));
        let inputs = vec![of.tensor];
        Ok(self.emit_inner(node, op, inputs, of.shape.clone(), of.place.clone(), output))
    }
}

/// A quantized constant from its parts.
pub(super) fn quantized(
    node: &Node,
    name: &str,
    tensor: &OnnxTensor,
    scales: Option<&OnnxTensor>,
    zero_points: Option<&OnnxTensor>,
    axis: usize,
) -> Result<Constant, QuantError> {
    let Some(values) = integers(&tensor.data) else {
        let found = format!("constant `{name}` of type {}", tensor.data.dtype());
        return Err(node.parameter(found, "integers of at most 32 bits"));
    };
    let scales = match scales.map(|s| s.data.as_f32()) {
        None => vec![1.0],
        Some(Some(scales)) if !scales.is_empty() => scales.to_vec(),
        Some(_) => return Err(node.parameter(format!("scales of `{name}`"), "float32 scales")),
    };
    if let Some(scale) = scales.iter().find(|s| !(s.is_normal() && **s > 0.0)) {
        let found = format!("scale {scale} of `{name}`");
        return Err(node.parameter(found, "positive normal float32 scales"));
    }
    let zero_points = match zero_points.map(|z| integers(&z.data)) {
        None => vec![0; scales.len()],
        Some(Some(zero_points)) if zero_points.len() == scales.len() => zero_points,
        Some(Some(zero_points)) if zero_points.len() == 1 => vec![zero_points[0]; scales.len()],
        Some(_) => {
            let found = format!("zero points of `{name}`");
            return Err(node.parameter(found, format!("{} integers", scales.len())));
        }
    };
    if scales.len() > 1 && tensor.shape.get(axis) != Some(&scales.len()) {
        let found = format!(
            "{} scales along dimension {axis} of `{name}` of shape {:?}",
            scales.len(),
            tensor.shape
        );
        return Err(node.parameter(found, "one scale per slice (blocks are not supported)"));
    }
    Ok(Constant {
        name: name.to_string(),
        shape: tensor.shape.clone(),
        values,
        dtype: tensor.data.dtype(),
        scales,
        zero_points,
        axis,
    })
}

/// A constant behind a reference count, as a value.
pub(super) fn constant_value(constant: Constant) -> Value {
    Value::Constant(Rc::new(constant))
}
