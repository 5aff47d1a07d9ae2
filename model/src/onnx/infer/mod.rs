//! Element types and shapes of all values, by the rules of the operators that this tool handles.

mod movement;
mod products;
mod recurrent;
mod window;

use std::collections::BTreeMap;

use super::graph::{OnnxGraph, OnnxNode, TensorType};
use super::tensor::{OnnxTensor, checked_elements};
use super::types::OnnxType;
use crate::ModelError;

pub use movement::SliceRange;
pub(super) use movement::slice_ranges;
pub use window::{AutoPad, WindowSizes, window_sizes};

/// Why a node's outputs have no type.
#[derive(Debug)]
pub(super) enum Unclear {
    /// The operator, or something that it reads, is not known.
    Unknown,
    /// Operands contradict each other or the operator.
    Wrong(String),
}

type Types = Result<Vec<TensorType>, Unclear>;

fn wrong<T>(what: impl Into<String>) -> Result<T, Unclear> {
    Err(Unclear::Wrong(what.into()))
}

/// What is known in front of a node.
pub(super) struct Known<'a> {
    pub types: &'a BTreeMap<String, TensorType>,
    pub constants: &'a BTreeMap<String, OnnxTensor>,
    pub opset: i64,
}

impl Known<'_> {
    /// Type of operand `index`.
    pub fn of(&self, node: &OnnxNode, index: usize) -> Result<&TensorType, Unclear> {
        let name = node.input(index).ok_or(Unclear::Unknown)?;
        self.types.get(name).ok_or(Unclear::Unknown)
    }

    /// Constant operand `index`; `None` where it is left out.
    pub fn constant(&self, node: &OnnxNode, index: usize) -> Result<Option<&OnnxTensor>, Unclear> {
        match node.input(index) {
            None => Ok(None),
            Some(name) => match self.constants.get(name) {
                Some(tensor) => Ok(Some(tensor)),
                None => Err(Unclear::Unknown),
            },
        }
    }

    /// Integers from attribute `name` (older operator sets) or constant operand `index`.
    pub fn ints(
        &self,
        node: &OnnxNode,
        name: &str,
        index: usize,
    ) -> Result<Option<Vec<i64>>, Unclear> {
        if let Some(values) = node.ints(name) {
            return Ok(Some(values.to_vec()));
        }
        match self.constant(node, index)? {
            None => Ok(None),
            Some(tensor) => match tensor.data.to_i64() {
                Some(values) => Ok(Some(values)),
                None => wrong(format!("operand {index} holds no integers")),
            },
        }
    }
}

impl OnnxGraph {
    /// Types of graph inputs, initializers and every value whose node is understood; of others,
    /// what the file declares. Values without a fixed shape are missing.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] where operands contradict each other or their operator.
    pub fn infer_types(&self) -> Result<BTreeMap<String, TensorType>, ModelError> {
        let mut types = self.given_types();
        for (index, node) in self.nodes.iter().enumerate() {
            self.infer_node(index, node, &mut types)?;
        }
        Ok(types)
    }

    /// What a Slice node takes of an input of `shape`, per dimension; `None` where its positions
    /// are computed or make no sense.
    pub fn slice_of(&self, node: &OnnxNode, shape: &[usize]) -> Option<Vec<SliceRange>> {
        let known = Known {
            types: &BTreeMap::new(),
            constants: &self.initializers,
            opset: self.opset(),
        };
        slice_ranges(node, &known, shape).ok()
    }

    /// Types of graph inputs and initializers.
    pub(super) fn given_types(&self) -> BTreeMap<String, TensorType> {
        let mut types = BTreeMap::new();
        for value in &self.inputs {
            if let (Some(dtype), Some(shape)) = (value.dtype, value.sizes()) {
                types.insert(value.name.clone(), TensorType { dtype, shape });
            }
        }
        for (name, tensor) in &self.initializers {
            let (dtype, shape) = (tensor.data.dtype(), tensor.shape.clone());
            types.insert(name.clone(), TensorType { dtype, shape });
        }
        types
    }

    /// Adds the types of one node's outputs.
    pub(super) fn infer_node(
        &self,
        index: usize,
        node: &OnnxNode,
        types: &mut BTreeMap<String, TensorType>,
    ) -> Result<(), ModelError> {
        let at = || format!("graph: node {}", node.source(index));
        let known = Known {
            types,
            constants: &self.initializers,
            opset: self.opset(),
        };
        match node_types(node, &known) {
            Ok(inferred) => {
                for (name, of) in node.outputs.iter().zip(inferred) {
                    checked_elements(&of.shape, of.dtype.bits().unwrap_or(64))
                        .map_err(|e| e.within(at()))?;
                    if !name.is_empty() {
                        types.insert(name.clone(), of);
                    }
                }
                Ok(())
            }
            Err(Unclear::Unknown) => {
                self.declared_types(node, types);
                Ok(())
            }
            Err(Unclear::Wrong(what)) => Err(ModelError::malformed(at(), what)),
        }
    }

    /// What the file says of a node's outputs; a symbolic first dimension is the batch, 1.
    fn declared_types(&self, node: &OnnxNode, types: &mut BTreeMap<String, TensorType>) {
        for name in node.outputs.iter().filter(|o| !o.is_empty()) {
            let inner = self.value_info.get(name);
            let declared = inner.or_else(|| self.outputs.iter().find(|v| v.name == *name));
            let Some(mut value) = declared.cloned() else {
                continue;
            };
            if let Some(first) = value.shape.as_mut().and_then(|s| s.first_mut())
                && matches!(first, super::OnnxDim::Symbol(_))
            {
                *first = super::OnnxDim::Size(1);
            }
            if let (Some(dtype), Some(shape)) = (value.dtype, value.sizes())
                && checked_elements(&shape, 64).is_ok()
            {
                types.insert(name.clone(), TensorType { dtype, shape });
            }
        }
    }
}

/// Types of a node's outputs, in order.
pub(super) fn node_types(node: &OnnxNode, known: &Known) -> Types {
    match (node.domain.as_str(), node.op_type.as_str()) {
        ("", op) => standard(op, node, known),
        ("com.microsoft", op) => microsoft(op, node, known),
        (
            "onnx.brevitas" | "qonnx.custom_op.general" | "finn.custom_op.general",
            "Quant" | "BipolarQuant" | "Trunc" | "IntQuant" | "MultiThreshold",
        ) => same(known.of(node, 0)?),
        _ => Err(Unclear::Unknown),
    }
}

fn one(dtype: OnnxType, shape: Vec<usize>) -> Types {
    Ok(vec![TensorType { dtype, shape }])
}

fn same(of: &TensorType) -> Types {
    Ok(vec![of.clone()])
}

fn standard(op: &str, node: &OnnxNode, known: &Known) -> Types {
    match op {
        "Relu"
        | "LeakyRelu"
        | "Clip"
        | "Sigmoid"
        | "Tanh"
        | "HardSigmoid"
        | "HardSwish"
        | "Elu"
        | "Selu"
        | "Softplus"
        | "Softsign"
        | "Erf"
        | "Abs"
        | "Neg"
        | "Exp"
        | "Log"
        | "Sqrt"
        | "Reciprocal"
        | "Floor"
        | "Ceil"
        | "Round"
        | "Sign"
        | "Identity"
        | "Softmax"
        | "LogSoftmax"
        | "Hardmax"
        | "BatchNormalization"
        | "InstanceNormalization"
        | "LRN"
        | "LpNormalization"
        | "Mish"
        | "Gelu"
        | "ThresholdedRelu"
        | "Celu"
        | "Not"
        | "Swish" => same(known.of(node, 0)?),
        "Dropout" => {
            let x = known.of(node, 0)?;
            let mask = TensorType {
                dtype: OnnxType::Bool,
                shape: x.shape.clone(),
            };
            Ok(vec![x.clone(), mask])
        }
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "PRelu" | "Mod" | "Min" | "Max" | "Mean"
        | "Sum" => {
            let dtype = known.of(node, 0)?.dtype;
            one(dtype, broadcast_all(node, known)?)
        }
        "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" | "And" | "Or" | "Xor" => {
            one(OnnxType::Bool, broadcast_all(node, known)?)
        }
        "Cast" => {
            let code = node.int("to").and_then(|c| i32::try_from(c).ok());
            let Some(code) = code else {
                return wrong("Cast without a target type");
            };
            one(OnnxType::from_code(code), known.of(node, 0)?.shape.clone())
        }
        "Constant" => match super::fold::constant_value(node) {
            Some(tensor) => one(tensor.data.dtype(), tensor.shape),
            None => Err(Unclear::Unknown),
        },
        "QuantizeLinear" => {
            let x = known.of(node, 0)?.shape.clone();
            let stated = node.int("output_dtype").filter(|&c| c != 0);
            let dtype = match (known.of(node, 2), stated) {
                (Ok(zero_point), _) => zero_point.dtype,
                (Err(_), Some(code)) => OnnxType::from_code(i32::try_from(code).unwrap_or(0)),
                (Err(_), None) => OnnxType::U8,
            };
            one(dtype, x)
        }
        "DequantizeLinear" => {
            let scale = known.of(node, 1)?.dtype;
            one(scale, known.of(node, 0)?.shape.clone())
        }
        "DynamicQuantizeLinear" => {
            let of = |dtype, shape| TensorType { dtype, shape };
            let x = known.of(node, 0)?.shape.clone();
            Ok(vec![
                of(OnnxType::U8, x),
                of(OnnxType::F32, vec![]),
                of(OnnxType::U8, vec![]),
            ])
        }
        "Conv" | "ConvInteger" | "QLinearConv" | "ConvTranspose" | "MaxPool" | "AveragePool"
        | "LpPool" | "GlobalAveragePool" | "GlobalMaxPool" => window::types(op, node, known),
        "Gemm" | "MatMul" | "MatMulInteger" | "QLinearMatMul" => products::types(op, node, known),
        "LSTM" => recurrent::lstm(node, known),
        _ => movement::types(op, node, known),
    }
}

fn microsoft(op: &str, node: &OnnxNode, known: &Known) -> Types {
    let x = known.of(node, 0);
    match op {
        "QLinearAdd" | "QLinearMul" => {
            let (a, b) = (&x?, known.of(node, 3)?);
            one(a.dtype, broadcast(&a.shape, &b.shape)?)
        }
        "QLinearSigmoid" | "QLinearLeakyRelu" | "QLinearSoftmax" | "QuantizeLinear" => match op {
            "QuantizeLinear" => standard(op, node, known),
            _ => same(x?),
        },
        "DequantizeLinear" => standard(op, node, known),
        "QLinearGlobalAveragePool" | "QLinearAveragePool" => window::types(op, node, known),
        "QGemm" => products::types(op, node, known),
        "QLinearConcat" => movement::types(op, node, known),
        _ => Err(Unclear::Unknown),
    }
}

/// Shape of all operands together (`multidirectional broadcasting`).
fn broadcast_all(node: &OnnxNode, known: &Known) -> Result<Vec<usize>, Unclear> {
    let mut shape = Vec::new();
    for index in 0..node.inputs.len() {
        shape = broadcast(&shape, &known.of(node, index)?.shape)?;
    }
    Ok(shape)
}

/// Shape of two operands together.
fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Unclear> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], d: usize| match (d + shape.len()).checked_sub(rank) {
        Some(at) => shape[at],
        None => 1,
    };
    (0..rank)
        .map(|d| match (size(a, d), size(b, d)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => wrong(format!("shapes {a:?} and {b:?} do not fit together")),
        })
        .collect()
}

/// A dimension that may count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Unclear> {
    let from_start = if axis < 0 {
        axis.checked_add(rank as i64)
    } else {
        Some(axis)
    };
    match from_start.and_then(|a| usize::try_from(a).ok()) {
        Some(axis) if axis < rank => Ok(axis),
        _ => wrong(format!("axis {axis} of {rank} dimensions")),
    }
}
