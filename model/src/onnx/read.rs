//! `ModelProto` to [`OnnxGraph`], everything checked.

use std::collections::BTreeMap;

use prost::Message;

use super::MAX_BYTES;
use super::graph::{OnnxAttribute, OnnxDim, OnnxGraph, OnnxNode, OnnxValue};
use super::types::OnnxType;
use super::{proto, scan, tensor};
use crate::ModelError;

/// Reads a file, names the graph `name`, sorts it.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<OnnxGraph, ModelError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ModelError::TooLarge {
            at: name.to_string(),
            bytes: bytes.len() as u64,
            limit: MAX_BYTES,
        });
    }
    scan::bound_memory(bytes)?;
    let model = proto::Model::decode(bytes).map_err(|error| {
        let what = format!("not the wire format of an ONNX model, or truncated: {error}");
        ModelError::malformed("model", what)
    })?;
    if let Some(function) = model.functions.first() {
        return Err(ModelError::refused(
            format!("function `{}`", function.name),
            "operators defined by functions inside the model",
            "inline them (`onnx.inliner.inline_local_functions`)",
        ));
    }
    let Some(graph) = model.graph else {
        return Err(ModelError::malformed("model", "it holds no graph"));
    };
    let mut read = read_graph(graph).map_err(|e| e.within("graph"))?;
    read.name = name.to_string();
    read.ir_version = model.ir_version;
    let producer = format!("{} {}", model.producer_name, model.producer_version);
    read.producer = producer.trim().to_string();
    for set in &model.opset_import {
        read.opsets.insert(domain(&set.domain), set.version);
    }
    read.sort()?;
    Ok(read)
}

/// The standard domain has two spellings.
fn domain(name: &str) -> String {
    match name {
        "ai.onnx" => String::new(),
        other => other.to_string(),
    }
}

fn read_graph(graph: proto::Graph) -> Result<OnnxGraph, ModelError> {
    if !graph.sparse_initializer.is_empty() {
        return Err(ModelError::refused(
            "sparse_initializer",
            "constants that are stored sparse",
            "store them as plain initializers",
        ));
    }
    let mut read = OnnxGraph::default();
    for initializer in &graph.initializer {
        let value = tensor::read(initializer)?;
        let name = initializer.name.clone();
        if name.is_empty() {
            return Err(ModelError::malformed("initializer", "it has no name"));
        }
        if read.initializers.insert(name.clone(), value).is_some() {
            let what = format!("the value `{name}` is defined twice");
            return Err(ModelError::malformed("initializer", what));
        }
    }
    for (index, node) in graph.node.into_iter().enumerate() {
        let at = format!("node {} #{index} ({})", node.op_type, node.name);
        read.nodes.push(read_node(node).map_err(|e| e.within(at))?);
    }
    // an input with an initializer is a constant with a default that nothing overrides
    for input in &graph.input {
        if !read.initializers.contains_key(&input.name) {
            read.inputs.push(read_value(input)?);
        }
    }
    read.outputs = graph
        .output
        .iter()
        .map(read_value)
        .collect::<Result<_, _>>()?;
    for value in &graph.value_info {
        let value = read_value(value)?;
        read.value_info.insert(value.name.clone(), value);
    }
    for annotation in graph.quantization_annotation {
        let pairs = annotation.quant_parameter_tensor_names.into_iter();
        let entry = read.annotations.entry(annotation.tensor_name).or_default();
        entry.extend(pairs.map(|p| (p.key, p.value)));
    }
    Ok(read)
}

fn read_node(node: proto::Node) -> Result<OnnxNode, ModelError> {
    let mut attributes = BTreeMap::new();
    for attribute in node.attribute {
        let name = attribute.name.clone();
        let value = read_attribute(attribute).map_err(|e| e.within(format!("`{name}`")))?;
        if attributes.insert(name.clone(), value).is_some() {
            let what = "the attribute occurs twice";
            return Err(ModelError::malformed(format!("`{name}`"), what));
        }
    }
    Ok(OnnxNode {
        name: node.name,
        op_type: node.op_type,
        domain: domain(&node.domain),
        inputs: node.input,
        outputs: node.output,
        attributes,
    })
}

/// The kinds of `AttributeProto.AttributeType` that are read.
mod kind {
    pub const UNDEFINED: i32 = 0;
    pub const FLOAT: i32 = 1;
    pub const INT: i32 = 2;
    pub const STRING: i32 = 3;
    pub const TENSOR: i32 = 4;
    pub const FLOATS: i32 = 6;
    pub const INTS: i32 = 7;
    pub const STRINGS: i32 = 8;
}

fn read_attribute(attribute: proto::Attribute) -> Result<OnnxAttribute, ModelError> {
    if !attribute.ref_attr_name.is_empty() {
        let what = "refers to a function's attribute, outside of a function";
        return Err(ModelError::malformed("ref_attr_name", what));
    }
    let missing = || ModelError::malformed("", "the attribute has a type, but no value");
    Ok(match inferred_kind(&attribute) {
        kind::FLOAT => OnnxAttribute::Float(attribute.f.unwrap_or_default()),
        kind::INT => OnnxAttribute::Int(attribute.i.unwrap_or_default()),
        kind::STRING => OnnxAttribute::String(attribute.s.unwrap_or_default()),
        kind::TENSOR => {
            let tensor = attribute.t.ok_or_else(missing)?;
            OnnxAttribute::Tensor(tensor::read(&tensor)?)
        }
        kind::FLOATS => OnnxAttribute::Floats(attribute.floats),
        kind::INTS => OnnxAttribute::Ints(attribute.ints),
        kind::STRINGS => OnnxAttribute::Strings(attribute.strings),
        other => OnnxAttribute::Other(other),
    })
}

/// Writers before IR version 2 left the kind out; then it shows in the field that is there.
fn inferred_kind(attribute: &proto::Attribute) -> i32 {
    if attribute.kind != kind::UNDEFINED {
        return attribute.kind;
    }
    let fields = [
        (attribute.f.is_some(), kind::FLOAT),
        (attribute.i.is_some(), kind::INT),
        (attribute.s.is_some(), kind::STRING),
        (attribute.t.is_some(), kind::TENSOR),
        (!attribute.floats.is_empty(), kind::FLOATS),
        (!attribute.ints.is_empty(), kind::INTS),
        (!attribute.strings.is_empty(), kind::STRINGS),
    ];
    let given = fields.into_iter().find(|(given, _)| *given);
    given.map_or(kind::UNDEFINED, |(_, kind)| kind)
}

fn read_value(value: &proto::ValueInfo) -> Result<OnnxValue, ModelError> {
    let tensor = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let shape = tensor.and_then(|t| t.shape.as_ref());
    let dim = |d: &proto::Dimension| match (d.dim_value, &d.dim_param) {
        (Some(size), _) => usize::try_from(size).map(OnnxDim::Size).map_err(|_| {
            let at = format!("value `{}`", value.name);
            ModelError::malformed(at, format!("negative size {size}"))
        }),
        (None, Some(symbol)) => Ok(OnnxDim::Symbol(symbol.clone())),
        (None, None) => Ok(OnnxDim::Symbol(String::new())),
    };
    Ok(OnnxValue {
        name: value.name.clone(),
        dtype: tensor.map(|t| OnnxType::from_code(t.elem_type)),
        shape: match shape {
            Some(shape) => Some(shape.dim.iter().map(dim).collect::<Result<_, _>>()?),
            None => None,
        },
    })
}
