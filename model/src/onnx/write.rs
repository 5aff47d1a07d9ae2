//! [`OnnxGraph`] to the bytes of a `ModelProto`.

use prost::Message;

use super::graph::{OnnxAttribute, OnnxDim, OnnxGraph, OnnxNode, OnnxValue};
use super::{proto, tensor};
use crate::ModelError;

impl OnnxGraph {
    /// The graph as the content of an `.onnx` file; the same graph gives the same bytes.
    ///
    /// # Errors
    /// [`ModelError::Refused`] for an attribute that was not read ([`OnnxAttribute::Other`]).
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        let node = |(index, node)| write_node(index, node);
        let nodes = self.nodes.iter().enumerate().map(node);
        let initializers = self.initializers.iter();
        let annotations = self.annotations.iter();
        let graph = proto::Graph {
            node: nodes.collect::<Result<_, _>>()?,
            name: self.name.clone(),
            initializer: initializers.map(|(n, t)| tensor::write(n, t)).collect(),
            input: self.inputs.iter().map(write_value).collect(),
            output: self.outputs.iter().map(write_value).collect(),
            value_info: self.value_info.values().map(write_value).collect(),
            quantization_annotation: annotations
                .map(|(name, pairs)| proto::TensorAnnotation {
                    tensor_name: name.clone(),
                    quant_parameter_tensor_names: pairs.iter().map(pair).collect(),
                })
                .collect(),
            sparse_initializer: Vec::new(),
        };
        let opsets = self.opsets.iter();
        let model = proto::Model {
            ir_version: self.ir_version,
            producer_name: "macforge".to_string(),
            producer_version: env!("CARGO_PKG_VERSION").to_string(),
            graph: Some(graph),
            opset_import: opsets
                .map(|(domain, &version)| proto::OperatorSet {
                    domain: domain.clone(),
                    version,
                })
                .collect(),
            functions: Vec::new(),
        };
        Ok(model.encode_to_vec())
    }
}

fn pair((key, value): (&String, &String)) -> proto::StringPair {
    proto::StringPair {
        key: key.clone(),
        value: value.clone(),
    }
}

fn write_node(index: usize, node: &OnnxNode) -> Result<proto::Node, ModelError> {
    let attribute = |(name, value): (&String, _)| {
        write_attribute(name, value)
            .map_err(|e| e.within(format!("graph: node {}", node.source(index))))
    };
    let attributes = node.attributes.iter().map(attribute);
    Ok(proto::Node {
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        name: node.name.clone(),
        op_type: node.op_type.clone(),
        attribute: attributes.collect::<Result<_, _>>()?,
        domain: node.domain.clone(),
    })
}

fn write_attribute(name: &str, value: &OnnxAttribute) -> Result<proto::Attribute, ModelError> {
    let mut attribute = proto::Attribute {
        name: name.to_string(),
        ..proto::Attribute::default()
    };
    attribute.kind = match value {
        OnnxAttribute::Float(f) => {
            attribute.f = Some(*f);
            1
        }
        OnnxAttribute::Int(i) => {
            attribute.i = Some(*i);
            2
        }
        OnnxAttribute::String(s) => {
            attribute.s = Some(s.clone());
            3
        }
        OnnxAttribute::Tensor(t) => {
            attribute.t = Some(Box::new(tensor::write("", t)));
            4
        }
        OnnxAttribute::Floats(values) => {
            attribute.floats = values.clone();
            6
        }
        OnnxAttribute::Ints(values) => {
            attribute.ints = values.clone();
            7
        }
        OnnxAttribute::Strings(values) => {
            attribute.strings = values.clone();
            8
        }
        OnnxAttribute::Other(kind) => {
            return Err(ModelError::refused(
                format!("`{name}`"),
                format!("an attribute of kind {kind}, which is not read and so cannot be written"),
                "remove the node's subgraph or type attribute",
            ));
        }
    };
    Ok(attribute)
}

fn write_value(value: &OnnxValue) -> proto::ValueInfo {
    let dim = |d: &OnnxDim| match d {
        OnnxDim::Size(size) => proto::Dimension {
            dim_value: Some(*size as i64),
            dim_param: None,
        },
        OnnxDim::Symbol(name) => proto::Dimension {
            dim_value: None,
            dim_param: (!name.is_empty()).then(|| name.clone()),
        },
    };
    let shape = value.shape.as_ref().map(|dims| proto::Shape {
        dim: dims.iter().map(dim).collect(),
    });
    proto::ValueInfo {
        name: value.name.clone(),
        r#type: value.dtype.map(|dtype| proto::Type {
            tensor_type: Some(proto::TensorType {
                elem_type: dtype.code(),
                shape,
            }),
        }),
    }
}
