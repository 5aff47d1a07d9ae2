//! The first pass for ONNX: quantized graphs (QDQ, QOperator) become a [`QGraph`].
//!
//! Every value of the ONNX graph gets a meaning ([`value::Value`]): integers, a real function of
//! integers (what DequantizeLinear and element-wise operators make), or a layer that waits for the
//! QuantizeLinear behind it. One file per operator family. Sums of products become integer sums with
//! onnxruntime's requantizer; everything element-wise becomes a table or a two-operand rule that
//! performs onnxruntime's own float32 operations.

mod attention;
mod binary;
mod conv;
mod lstm;
mod movement;
mod operands;
mod pending;
mod place;
mod pool;
mod product;
mod quantize;
mod resize;
mod unary;
mod value;
mod wide;

use std::collections::{BTreeMap, BTreeSet};

use macforge_model::Unsupported;
use macforge_model::onnx::{OnnxGraph, OnnxNode, OnnxTensor, OnnxType, TensorType};
use macforge_numeric::{AffineParams, NumericError, Semantics};

use crate::QuantError;
use crate::from_model::UniqueNames;
use crate::graph::{DType, QGraph, QNode, QOp, QTensor, TensorId};
use value::{Int, Place, Value};

/// Lowers all nodes, in topological order.
pub(crate) fn run(model: &OnnxGraph, semantics: Semantics) -> Result<QGraph, QuantError> {
    if semantics != Semantics::OrtX86 {
        return Err(QuantError::Semantics {
            node: format!("ONNX model {}", model.name),
            semantics,
            wanted: &[Semantics::OrtX86],
        });
    }
    let types = model.infer_types().map_err(|error| QuantError::Parameter {
        node: format!("ONNX model {}", model.name),
        found: error.to_string(),
        wanted: "shapes that fit the operators".into(),
    })?;
    let mut pass = Pass::new(model, types, semantics);
    pass.inputs()?;
    let mut refused = Vec::new();
    for index in 0..model.nodes.len() {
        if let Err(error) = pass.lower(index) {
            match error {
                QuantError::Unsupported { operators, .. } => refused.extend(operators),
                other if refused.is_empty() => return Err(other),
                // what reads the result of a refused node cannot be judged
                _ => {}
            }
        }
    }
    if !refused.is_empty() {
        return Err(QuantError::Unsupported {
            model: model.name.clone(),
            operators: refused,
        });
    }
    pass.outputs()?;
    wide::check(&pass.graph)?;
    Ok(pass.graph)
}

struct Pass<'a> {
    model: &'a OnnxGraph,
    types: BTreeMap<String, TensorType>,
    values: BTreeMap<String, Value>,
    /// Hidden states of recurrent nodes, by the node's index.
    sequences: BTreeMap<usize, Int>,
    names: UniqueNames,
    node_names: BTreeSet<String>,
    graph: QGraph,
}

/// A node that is being lowered.
#[derive(Clone)]
struct Node<'a> {
    index: usize,
    op: &'a OnnxNode,
    source: String,
}

/// Name and meaning of a tensor that a node is going to write.
#[derive(Clone, Debug)]
struct Output {
    name: String,
    params: AffineParams,
    unsigned: bool,
    /// int16.
    wide: bool,
}

impl<'a> Pass<'a> {
    fn new(
        model: &'a OnnxGraph,
        types: BTreeMap<String, TensorType>,
        semantics: Semantics,
    ) -> Self {
        Pass {
            model,
            types,
            values: BTreeMap::new(),
            sequences: BTreeMap::new(),
            names: UniqueNames::default(),
            node_names: BTreeSet::new(),
            graph: QGraph {
                name: model.name.clone(),
                semantics,
                tensors: Vec::new(),
                nodes: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                states: Vec::new(),
                input_ranges: Vec::new(),
            },
        }
    }

    fn node(&self, index: usize) -> Node<'a> {
        let op = &self.model.nodes[index];
        Node {
            index,
            op,
            source: op.source(index),
        }
    }

    /// Graph inputs: float32 ones wait for their QuantizeLinear.
    fn inputs(&mut self) -> Result<(), QuantError> {
        for (index, input) in self.model.inputs.iter().enumerate() {
            let of = self
                .types
                .get(&input.name)
                .ok_or_else(|| QuantError::Parameter {
                    node: "graph input".into(),
                    found: format!("`{}` without a fixed shape", input.name),
                    wanted: "fixed sizes (only the batch may be symbolic)".into(),
                })?;
            if place::tensor_shape(&of.shape, &self.input_place(index)).len() > 3 {
                return Err(QuantError::Parameter {
                    node: "graph input".into(),
                    found: format!("`{}` of shape {:?}", input.name, of.shape),
                    wanted: "batch 1 as the first dimension and at most three more".into(),
                });
            }
            match of.dtype {
                OnnxType::F32 => {
                    let place = self.input_place(index);
                    let id = self.float_tensor(&input.name, &of.shape.clone(), &place);
                    self.graph.inputs.push(id);
                    let value = Value::RealInput(self.graph.inputs.len() - 1);
                    self.values.insert(input.name.clone(), value);
                }
                OnnxType::I8 | OnnxType::U8 | OnnxType::I16 => {
                    self.integer_input(index, of.clone())?;
                }
                other => {
                    return Err(QuantError::Parameter {
                        node: "graph input".into(),
                        found: format!("`{}` of type {other}", input.name),
                        wanted: "float32, int8, uint8 or int16".into(),
                    });
                }
            }
        }
        Ok(())
    }

    /// An integer input takes its parameters from the first node that states them.
    fn integer_input(&mut self, index: usize, of: TensorType) -> Result<(), QuantError> {
        let name = &self.model.inputs[index].name;
        let unsigned = of.dtype == OnnxType::U8;
        let params = self.stated_params(name, unsigned)?;
        if of.dtype == OnnxType::I16 && params.zero_point != 0 {
            return Err(QuantError::Parameter {
                node: "graph input".into(),
                found: format!("int16 `{name}` with zero point {}", params.zero_point),
                wanted: "symmetric int16, zero point 0".into(),
            });
        }
        let place = self.input_place(index);
        let output = Output {
            name: name.clone(),
            params,
            unsigned,
            wide: of.dtype == OnnxType::I16,
        };
        let value = self.int_tensor(of.shape, place, &output);
        self.graph.inputs.push(value.tensor);
        self.values.insert(name.clone(), Value::Int(value));
        Ok(())
    }

    /// Graph outputs: int8, int16 or int32 tensors, or float32 after a DequantizeLinear.
    fn outputs(&mut self) -> Result<(), QuantError> {
        for output in &self.model.outputs {
            let boundary = Node {
                index: self.model.nodes.len(),
                op: const { &OnnxNode::EMPTY },
                source: format!("graph output `{}`", output.name),
            };
            let value = self.values.get(&output.name).cloned();
            let id = match value {
                Some(Value::Int(value)) => {
                    let value = self.in_model_order(&boundary, &value)?;
                    self.of_its_own(&boundary, &value)
                }
                Some(Value::Mapped(of, reals)) => {
                    let plain = self.plain(&boundary, &of, &reals)?;
                    let plain = self.in_model_order(&boundary, &plain)?;
                    self.dequantize(&boundary, &output.name, &plain)
                }
                Some(Value::Wide(of)) => {
                    let plain = self.in_model_order(&boundary, &of)?;
                    self.dequantize(&boundary, &output.name, &plain)
                }
                Some(Value::Pending(pending)) => {
                    self.accumulators(&boundary, *pending, &output.name)?
                }
                other => {
                    let found = other.map_or("a constant", |v| v.describe());
                    return Err(boundary.parameter(found, "a quantized layer's output"));
                }
            };
            self.graph.outputs.push(id);
        }
        Ok(())
    }

    /// The tensor of an output; a copy where it is an input or another output already.
    fn of_its_own(&mut self, node: &Node, value: &Int) -> TensorId {
        let id = value.tensor;
        if !self.graph.outputs.contains(&id) && !self.graph.inputs.contains(&id) {
            return id;
        }
        let output = Output {
            name: self.fresh_tensor(value, "output"),
            params: value.params,
            unsigned: value.unsigned,
            wide: value.wide,
        };
        let (shape, place) = (value.shape.clone(), value.place.clone());
        self.emit_inner(node, QOp::Reshape, vec![id], shape, place, output)
            .tensor
    }

    /// A value whose tensor can be given out: ONNX's order or channels last.
    fn in_model_order(&mut self, node: &Node, value: &Int) -> Result<Int, QuantError> {
        let value = self.unflattened(node, value)?;
        if value.is_row_major() || value.place == place::image(&value.shape) {
            return Ok(value);
        }
        let place = place::image(&value.shape);
        self.placed(node, &value, place)
    }

    fn lower(&mut self, index: usize) -> Result<(), QuantError> {
        let node = self.node(index);
        let lowered = match (node.op.domain.as_str(), node.op.op_type.as_str()) {
            ("" | "com.microsoft", "QuantizeLinear") => self.quantize_linear(&node),
            ("" | "com.microsoft", "DequantizeLinear") => self.dequantize_linear(&node),
            ("", "QLinearConv") => self.qlinear_conv(&node),
            ("", "Conv") => self.float_conv(&node),
            ("", "ConvTranspose") => self.float_conv_transpose(&node),
            ("", "ConvInteger") => self.conv_integer(&node),
            ("", "QLinearMatMul") => self.qlinear_matmul(&node),
            ("com.microsoft", "QGemm") => self.qgemm(&node),
            ("", "Gemm") => self.float_gemm(&node),
            ("", "MatMul") => self.float_matmul(&node),
            ("", "MatMulInteger") => self.matmul_integer(&node),
            ("com.microsoft", "QLinearAdd" | "QLinearMul") => self.qlinear_binary(&node),
            ("", "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" | "PRelu") => {
                self.float_binary(&node)
            }
            ("com.microsoft", "QLinearSigmoid" | "QLinearLeakyRelu") => self.qlinear_unary(&node),
            ("", op) if unary::is_unary(op) => self.float_unary(&node),
            ("com.microsoft", "QLinearGlobalAveragePool" | "QLinearAveragePool") => {
                self.qlinear_average(&node)
            }
            ("", "GlobalAveragePool" | "AveragePool" | "ReduceMean") => self.float_average(&node),
            ("", "MaxPool" | "GlobalMaxPool") => self.max_pool(&node),
            ("com.microsoft", "QLinearConcat") => self.qlinear_concat(&node),
            ("", "Concat") => self.concat(&node),
            ("", "Softmax") => self.softmax(&node),
            ("", "LSTM") => self.float_lstm(&node),
            ("", op) if movement::is_movement(op) => self.movement(&node),
            _ => Err(self.unsupported(
                &node,
                "an operator without an importer",
                "a quantized operator that README lists",
            )),
        };
        lowered.map(|()| {
            debug_assert!(
                node.op
                    .outputs
                    .iter()
                    .all(|o| o.is_empty() || !self.is_read(o) || self.values.contains_key(o))
            );
        })
    }

    fn unsupported(&self, node: &Node, found: &str, needed: &str) -> QuantError {
        QuantError::Unsupported {
            model: self.model.name.clone(),
            operators: vec![Unsupported {
                operator: node.index,
                name: node.op.qualified_op(),
                tensor: node.op.outputs.first().cloned().unwrap_or_default(),
                found: found.into(),
                needed: needed.into(),
            }],
        }
    }

    /// Shape of a value.
    fn shape_of(&self, node: &Node, name: &str) -> Result<Vec<usize>, QuantError> {
        let of = self.types.get(name);
        of.map(|t| t.shape.clone())
            .ok_or_else(|| node.parameter(format!("`{name}` without a fixed shape"), "fixed sizes"))
    }

    /// Shape of output 0.
    fn output_shape(&self, node: &Node) -> Result<Vec<usize>, QuantError> {
        self.shape_of(node, node.output(0)?)
    }

    /// Constant operand `index`.
    fn constant(&self, node: &Node, index: usize) -> Result<&'a OnnxTensor, QuantError> {
        let model = self.model;
        model.constant(node.op, index).ok_or_else(|| {
            let name = node.op.input(index).unwrap_or("");
            node.parameter(
                format!("operand {index} `{name}`, which is computed or left out"),
                "a constant",
            )
        })
    }

    /// The meaning of operand `index`.
    fn operand(&self, node: &Node, index: usize) -> Result<Value, QuantError> {
        let name = node.op.input(index);
        let value = name.and_then(|name| self.values.get(name));
        value.cloned().ok_or_else(|| {
            node.parameter(
                format!(
                    "operand {index} `{}`, a float32 constant or left out",
                    name.unwrap_or("")
                ),
                "a quantized tensor",
            )
        })
    }

    fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_string(), value);
    }

    fn float_tensor(&mut self, name: &str, shape: &[usize], place: &Place) -> TensorId {
        let id = TensorId(self.graph.tensors.len());
        self.graph.tensors.push(QTensor {
            name: self.names.unique(name, id.0),
            shape: place::tensor_shape(shape, place),
            dtype: DType::F32,
            quant: None,
            unsigned: false,
            channels_first: channels_first(place),
        });
        id
    }

    fn int_tensor(&mut self, shape: Vec<usize>, place: Place, output: &Output) -> Int {
        let id = TensorId(self.graph.tensors.len());
        self.graph.tensors.push(QTensor {
            name: self.names.unique(&output.name, id.0),
            shape: place::tensor_shape(&shape, &place),
            dtype: if output.wide { DType::I16 } else { DType::I8 },
            quant: Some(output.params),
            unsigned: output.unsigned,
            channels_first: channels_first(&place),
        });
        Int {
            tensor: id,
            shape,
            place,
            params: output.params,
            unsigned: output.unsigned,
            wide: output.wide,
        }
    }

    /// A name for an inner tensor made from `value`.
    fn fresh_tensor(&self, value: &Int, what: &str) -> String {
        format!("{}:{what}", self.graph.tensor(value.tensor).name)
    }

    /// Adds a node that writes the value `output.name` of the ONNX graph.
    fn emit(
        &mut self,
        node: &Node,
        op: QOp,
        inputs: Vec<TensorId>,
        shape: Vec<usize>,
        place: Place,
        output: Output,
    ) {
        let name = output.name.clone();
        let value = self.emit_inner(node, op, inputs, shape, place, output);
        self.set(&name, Value::Int(value));
    }

    /// Adds a node that writes a new tensor.
    fn emit_inner(
        &mut self,
        node: &Node,
        op: QOp,
        inputs: Vec<TensorId>,
        shape: Vec<usize>,
        place: Place,
        output: Output,
    ) -> Int {
        let value = self.int_tensor(shape, place, &output);
        self.push(node, op, inputs, value.tensor);
        value
    }

    fn push(&mut self, node: &Node, op: QOp, inputs: Vec<TensorId>, output: TensorId) {
        let kind = op.kind().to_lowercase().replace("_2d", "2d");
        let base = format!("{kind}_{}", node.index);
        let mut name = base.clone();
        let mut count = 0;
        while !self.node_names.insert(name.clone()) {
            count += 1;
            name = format!("{base}_{count}");
        }
        self.graph.nodes.push(QNode {
            name,
            source: node.source.clone(),
            inputs,
            output,
            op,
        });
    }
}

/// Whether the model has the channels in front of the pixels that lie in front of them here.
fn channels_first(place: &Place) -> bool {
    matches!(place, Place::Axes(axes) if axes.len() > 1 && !axes.is_sorted())
}

impl Node<'_> {
    fn output(&self, index: usize) -> Result<&str, QuantError> {
        let output = self.op.output(index);
        output.ok_or_else(|| self.parameter(format!("no output {index}"), "an output"))
    }

    fn parameter(&self, found: impl Into<String>, wanted: impl Into<String>) -> QuantError {
        QuantError::Parameter {
            node: self.source.clone(),
            found: found.into(),
            wanted: wanted.into(),
        }
    }

    fn rule(&self, what: impl Into<String>, source: NumericError) -> QuantError {
        QuantError::Rule {
            node: self.source.clone(),
            what: what.into(),
            source,
        }
    }

    /// Refuses tensors of more dimensions than the graph has.
    fn rank(&self, shape: &[usize]) -> Result<(), QuantError> {
        if shape.len() <= 3 {
            return Ok(());
        }
        Err(self.parameter(
            format!("a tensor of shape {shape:?} behind the batch"),
            "at most three dimensions",
        ))
    }
}
