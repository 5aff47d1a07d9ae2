//! `OnnxGraph`: a typed ONNX graph that can be edited and written back.

use std::collections::BTreeMap;

use super::tensor::OnnxTensor;
use super::types::OnnxType;

/// Attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum OnnxAttribute {
    /// `FLOAT`
    Float(f32),
    /// `INT`
    Int(i64),
    /// `STRING`, as bytes.
    String(Vec<u8>),
    /// `TENSOR`
    Tensor(OnnxTensor),
    /// `FLOATS`
    Floats(Vec<f32>),
    /// `INTS`
    Ints(Vec<i64>),
    /// `STRINGS`, as bytes.
    Strings(Vec<Vec<u8>>),
    /// A kind that is not read (subgraphs, sparse tensors, types), by its code in
    /// `AttributeProto.AttributeType`. A graph that has one cannot be written back.
    Other(i32),
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct OnnxNode {
    /// Name in the file; may be empty or occur twice.
    pub name: String,
    /// Operator, for example `Conv`.
    pub op_type: String,
    /// Operator set; empty for the standard one (`ai.onnx` is read as empty).
    pub domain: String,
    /// Value names; empty for an optional input left out.
    pub inputs: Vec<String>,
    /// Value names; empty for an optional output left out.
    pub outputs: Vec<String>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, OnnxAttribute>,
}

impl OnnxNode {
    /// No operator at all: stands for the graph's boundary in messages.
    pub const EMPTY: OnnxNode = OnnxNode {
        name: String::new(),
        op_type: String::new(),
        domain: String::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        attributes: BTreeMap::new(),
    };

    /// A node of the standard operator set without attributes.
    pub fn new(op_type: &str, name: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        OnnxNode {
            name: name.to_string(),
            op_type: op_type.to_string(),
            inputs: owned(inputs),
            outputs: owned(outputs),
            ..OnnxNode::default()
        }
    }

    /// The same node with one more attribute.
    pub fn with(mut self, name: &str, value: OnnxAttribute) -> Self {
        self.attributes.insert(name.to_string(), value);
        self
    }

    /// Name of input `index`; `None` where it is left out.
    pub fn input(&self, index: usize) -> Option<&str> {
        let name = self.inputs.get(index)?;
        (!name.is_empty()).then_some(name)
    }

    /// Name of output `index`; `None` where it is left out.
    pub fn output(&self, index: usize) -> Option<&str> {
        let name = self.outputs.get(index)?;
        (!name.is_empty()).then_some(name)
    }

    /// An integer attribute; `None` where it is missing or of another kind.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attributes.get(name) {
            Some(OnnxAttribute::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// A float attribute; `None` where it is missing or of another kind.
    pub fn float(&self, name: &str) -> Option<f32> {
        match self.attributes.get(name) {
            Some(OnnxAttribute::Float(value)) => Some(*value),
            _ => None,
        }
    }

    /// A list of integers; `None` where it is missing or of another kind.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attributes.get(name) {
            Some(OnnxAttribute::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// A text attribute; `None` where it is missing, of another kind or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(OnnxAttribute::String(bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// A list of texts; `None` where it is missing, of another kind or not UTF-8.
    pub fn texts(&self, name: &str) -> Option<Vec<&str>> {
        match self.attributes.get(name) {
            Some(OnnxAttribute::Strings(all)) => {
                all.iter().map(|b| std::str::from_utf8(b).ok()).collect()
            }
            _ => None,
        }
    }

    /// A tensor attribute; `None` where it is missing or of another kind.
    pub fn tensor(&self, name: &str) -> Option<&OnnxTensor> {
        match self.attributes.get(name) {
            Some(OnnxAttribute::Tensor(tensor)) => Some(tensor),
            _ => None,
        }
    }

    /// Operator name with its domain where that is not the standard one: `com.microsoft.QGemm`.
    pub fn qualified_op(&self) -> String {
        match self.domain.as_str() {
            "" => self.op_type.clone(),
            domain => format!("{domain}.{}", self.op_type),
        }
    }

    /// The node in messages: operator, index and the name of the node or of its first output.
    pub fn source(&self, index: usize) -> String {
        let name = match (self.name.as_str(), self.outputs.first()) {
            ("", Some(output)) => output,
            (name, _) => name,
        };
        format!("{} #{index} ({name})", self.qualified_op())
    }
}

/// One dimension of a graph input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnnxDim {
    /// A fixed size.
    Size(usize),
    /// A named size, or an unknown one (empty name).
    Symbol(String),
}

/// A graph input or output as the file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnnxValue {
    /// Value name.
    pub name: String,
    /// Element type; `None` where the value is no tensor or has no type.
    pub dtype: Option<OnnxType>,
    /// Sizes; `None` where the rank is unknown.
    pub shape: Option<Vec<OnnxDim>>,
}

impl OnnxValue {
    /// A value of fixed shape.
    pub fn fixed(name: &str, dtype: OnnxType, shape: &[usize]) -> Self {
        OnnxValue {
            name: name.to_string(),
            dtype: Some(dtype),
            shape: Some(shape.iter().map(|&d| OnnxDim::Size(d)).collect()),
        }
    }

    /// The shape, where every size is fixed.
    pub fn sizes(&self) -> Option<Vec<usize>> {
        let size = |dim: &OnnxDim| match dim {
            OnnxDim::Size(size) => Some(*size),
            OnnxDim::Symbol(_) => None,
        };
        self.shape.as_ref()?.iter().map(size).collect()
    }
}

/// Element type and shape of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// Element type.
    pub dtype: OnnxType,
    /// Sizes; empty for a scalar.
    pub shape: Vec<usize>,
}

/// An ONNX model with its one graph.
///
/// [`super::import`] guarantees: every value name has one origin (a node, an initializer or a graph
/// input), every name that is read has an origin, nodes are in topological order. Keep that when
/// editing; [`OnnxGraph::sort`] restores the order and checks all of it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct OnnxGraph {
    /// File stem, or the name given.
    pub name: String,
    /// IR version of the file.
    pub ir_version: i64,
    /// Name and version of the producing tool.
    pub producer: String,
    /// Operator set versions by domain; the standard domain is the empty name.
    pub opsets: BTreeMap<String, i64>,
    /// Nodes in topological order.
    pub nodes: Vec<OnnxNode>,
    /// Constants by value name.
    pub initializers: BTreeMap<String, OnnxTensor>,
    /// Graph inputs that are no initializers.
    pub inputs: Vec<OnnxValue>,
    /// Graph outputs.
    pub outputs: Vec<OnnxValue>,
    /// Types of inner values as the file declares them; used where inference knows no better.
    pub value_info: BTreeMap<String, OnnxValue>,
    /// `quantization_annotation`: key and value pairs by value name.
    pub annotations: BTreeMap<String, BTreeMap<String, String>>,
}

impl OnnxGraph {
    /// Version of the standard operator set.
    pub fn opset(&self) -> i64 {
        self.opsets.get("").copied().unwrap_or(1)
    }

    /// Index of the node that writes each value.
    pub fn producers(&self) -> BTreeMap<&str, usize> {
        let mut producers = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for output in node.outputs.iter().filter(|o| !o.is_empty()) {
                producers.insert(output.as_str(), index);
            }
        }
        producers
    }

    /// Indices of the nodes that read each value, once per operand.
    pub fn consumers(&self) -> BTreeMap<&str, Vec<usize>> {
        let mut consumers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for input in node.inputs.iter().filter(|i| !i.is_empty()) {
                consumers.entry(input).or_default().push(index);
            }
        }
        consumers
    }

    /// The constant that operand `index` of a node reads.
    pub fn constant(&self, node: &OnnxNode, index: usize) -> Option<&OnnxTensor> {
        self.initializers.get(node.input(index)?)
    }

    /// Multiply-accumulates of node `index` for one inference, padding positions included; 0 for
    /// nodes that are no convolution or matrix product, and where shapes are unknown.
    pub fn macs(&self, index: usize, types: &BTreeMap<String, TensorType>) -> u64 {
        let node = &self.nodes[index];
        let shape = |name: Option<&str>| Some(&types.get(name?)?.shape);
        let product = |sizes: &[usize]| sizes.iter().map(|&d| d as u64).product::<u64>();
        let count = || {
            let output = product(shape(node.output(0))?);
            Some(match node.op_type.as_str() {
                "Conv" | "ConvInteger" => output * product(shape(node.input(1))?.get(1..)?),
                "QLinearConv" => output * product(shape(node.input(3))?.get(1..)?),
                "ConvTranspose" => {
                    product(shape(node.input(0))?) * product(shape(node.input(1))?.get(1..)?)
                }
                "MatMul" | "MatMulInteger" | "QLinearMatMul" => {
                    output * *shape(node.input(0))?.last()? as u64
                }
                "Gemm" | "QGemm" => {
                    let depth = usize::from(node.int("transA").unwrap_or(0) == 0);
                    output * *shape(node.input(0))?.get(depth)? as u64
                }
                _ => 0,
            })
        };
        count().unwrap_or(0)
    }

    /// A value name that does not occur yet, made from `wanted`.
    pub fn fresh_name(&self, wanted: &str) -> String {
        let taken = |name: &str| {
            self.initializers.contains_key(name)
                || self.inputs.iter().any(|v| v.name == name)
                || self
                    .nodes
                    .iter()
                    .any(|n| n.outputs.iter().any(|o| o == name))
        };
        let mut name = wanted.to_string();
        let mut count = 0;
        while taken(&name) {
            count += 1;
            name = format!("{wanted}_{count}");
        }
        name
    }
}
