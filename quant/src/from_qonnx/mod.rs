//! The first pass for models that state their quantization as arithmetic: QONNX (`Quant`,
//! `BipolarQuant`), FINN (`MultiThreshold`), and integer-only ONNX, whose float32 tensors hold
//! whole numbers.
//!
//! Every value is a source (an int8 tensor, or sums of products of one with constant weights) and
//! a chain of scalar float32 or int64 steps. Where integers are needed, the chain is evaluated over
//! the reachable accumulators, exactly as onnxruntime does one operation after the other, and
//! becomes a staircase per output channel; a falling chain negates its channel's weights. What
//! follows the last integers, and what precedes the first, is work of the host in float32.
//!
//! Accumulators are exact here; onnxruntime sums products in float32, which agrees as long as the
//! scales are powers of two or the sums stay away from a rounding boundary.

mod constant;
mod elementwise;
mod emit;
mod host;
mod inputs;
mod movement;
mod pair;
mod pool;
mod product;
mod quantizer;
mod value;
mod wide;

use std::collections::{BTreeMap, BTreeSet};

use macforge_model::Unsupported;
use macforge_model::onnx::{OnnxGraph, OnnxNode, TensorType};
use macforge_numeric::{AffineParams, Interval, Semantics, Step};

use crate::QuantError;
use crate::graph::{DType, QGraph, QNode, QOp, QTensor, TensorId};
use constant::Constant;
use value::{Chain, Levels, Source, Value};

/// Operators that mark a graph as QONNX or FINN.
const QUANTIZERS: [&str; 5] = [
    "Quant",
    "IntQuant",
    "BipolarQuant",
    "MultiThreshold",
    "Trunc",
];

/// Operators that leave integers as they are: they move them or change their scale.
const MOVERS: [&str; 8] = [
    "Mul",
    "Pad",
    "Transpose",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Identity",
];

/// Whether this pass is the one for a graph: it has quantizers of QONNX or FINN, or it consists of
/// plain float operators whose weights are all whole numbers of at most eight bits.
pub(crate) fn applies(model: &OnnxGraph) -> bool {
    has_quantizers(model) || is_integer_only(model)
}

fn has_quantizers(model: &OnnxGraph) -> bool {
    let marks = |n: &OnnxNode| !n.domain.is_empty() && QUANTIZERS.contains(&n.op_type.as_str());
    model.nodes.iter().any(marks)
}

fn is_integer_only(model: &OnnxGraph) -> bool {
    let plain = model.nodes.iter().all(|n| {
        n.domain.is_empty() && !n.op_type.contains("Linear") && !n.op_type.contains("Integer")
    });
    let products = model.nodes.iter();
    let mut weights = products
        .filter(|n| matches!(n.op_type.as_str(), "Conv" | "MatMul" | "Gemm"))
        .map(|n| model.constant(n, 1))
        .peekable();
    let whole = |v: &f32| v.fract() == 0.0 && v.abs() <= 128.0;
    plain
        && weights.peek().is_some()
        && weights.all(|w| {
            let values = w.and_then(|w| w.data.as_f32());
            values.is_some_and(|v| v.iter().all(whole))
        })
}

/// Lowers all nodes, in topological order.
pub(crate) fn run(model: &OnnxGraph, semantics: Semantics) -> Result<QGraph, QuantError> {
    let types = model.infer_types().map_err(|error| QuantError::Parameter {
        node: format!("ONNX model {}", model.name),
        found: error.to_string(),
        wanted: "shapes that fit the operators".into(),
    })?;
    let consumers = model.consumers();
    let mut shared: BTreeSet<String> = BTreeSet::new();
    shared.extend(
        consumers
            .iter()
            .filter(|(_, c)| c.len() > 1)
            .map(|(&n, _)| n.to_string()),
    );
    let mut pass = Pass {
        model,
        types,
        shared,
        values: BTreeMap::new(),
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
    };
    pass.initializers();
    pass.inputs()?;
    let mut refused = Vec::new();
    for (index, node) in model.nodes.iter().enumerate() {
        match pass.node(&At { node, index }) {
            Ok(()) => {}
            Err(QuantError::Unsupported { operators, .. }) => refused.extend(operators),
            Err(other) if refused.is_empty() => return Err(other),
            // what reads the result of a refused node cannot be judged
            Err(_) => {}
        }
    }
    if !refused.is_empty() {
        return Err(QuantError::Unsupported {
            model: model.name.clone(),
            operators: refused,
        });
    }
    pass.outputs()?;
    Ok(pass.graph)
}

struct Pass<'m> {
    model: &'m OnnxGraph,
    types: BTreeMap<String, TensorType>,
    /// Values that are read more than once.
    shared: BTreeSet<String>,
    values: BTreeMap<String, Value>,
    graph: QGraph,
}

/// The node that is being lowered.
struct At<'m> {
    node: &'m OnnxNode,
    index: usize,
}

impl At<'_> {
    fn source(&self) -> String {
        self.node.source(self.index)
    }

    fn error(&self, found: impl Into<String>, wanted: impl Into<String>) -> QuantError {
        QuantError::Parameter {
            node: self.source(),
            found: found.into(),
            wanted: wanted.into(),
        }
    }

    fn rule(
        &self,
        what: impl Into<String>,
    ) -> impl FnOnce(macforge_numeric::NumericError) -> QuantError {
        let (node, what) = (self.source(), what.into());
        move |source| QuantError::Rule { node, what, source }
    }

    fn output(&self) -> String {
        self.node.output(0).unwrap_or_default().to_string()
    }
}

impl Pass<'_> {
    fn initializers(&mut self) {
        for (name, tensor) in &self.model.initializers {
            if let Some(constant) = Constant::new(tensor) {
                self.values.insert(name.clone(), Value::Constant(constant));
            }
        }
    }

    fn outputs(&mut self) -> Result<(), QuantError> {
        for output in &self.model.outputs {
            let at = |found: &str| QuantError::Parameter {
                node: format!("graph output `{}`", output.name),
                found: found.into(),
                wanted: "a value computed from the inputs".into(),
            };
            let chain = match self.values.get(&output.name) {
                Some(Value::Chain(chain)) => chain.clone(),
                Some(Value::Constant(_)) => return Err(at("a constant")),
                None => return Err(at("nothing")),
            };
            let id = self.deliver(&output.name, chain)?;
            self.graph.outputs.push(id);
        }
        Ok(())
    }

    fn node(&mut self, at: &At) -> Result<(), QuantError> {
        let mut value = self.lower(at)?;
        let name = at.output();
        if let Value::Chain(chain) = &mut value
            && !(chain.levels.is_some() && MOVERS.contains(&at.node.op_type.as_str()))
        {
            chain.label.clone_from(&name);
        }
        let value = match value {
            // several readers share one tensor
            Value::Chain(chain) if self.shared.contains(&name) && chain.levels.is_some() => {
                Value::Chain(self.integers(at, chain)?)
            }
            Value::Chain(chain) if self.shared.contains(&name) && chain.has_sums() => {
                Value::Chain(self.floats(at, chain)?)
            }
            value => value,
        };
        self.values.insert(name, value);
        Ok(())
    }

    fn lower(&mut self, at: &At) -> Result<Value, QuantError> {
        let node = at.node;
        match (node.domain.is_empty(), node.op_type.as_str()) {
            (false, "Quant" | "IntQuant") => self.quant(at),
            (false, "BipolarQuant") => self.bipolar(at),
            (false, "MultiThreshold") => self.multi_threshold(at),
            (true, "Conv") => self.conv(at),
            (true, "MatMul" | "Gemm") => self.matmul(at),
            (true, "BatchNormalization") => self.batch_norm(at),
            (true, "Add" | "Sub" | "Mul" | "Div" | "Pow") => self.arithmetic(at),
            (true, "Relu" | "Clip" | "Floor" | "Ceil" | "Round" | "Cast" | "Sqrt" | "Neg") => {
                self.unary(at)
            }
            (true, "MaxPool") => self.max_pool(at),
            (true, "AveragePool" | "GlobalAveragePool") => self.average_pool(at),
            (true, "Pad") => self.pad(at),
            (true, "Transpose") => self.transpose(at),
            (true, "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze") => self.reshape(at),
            (true, "Identity" | "Dropout") => Ok(self.value(at, 0)?.clone()),
            (true, "Softmax" | "LogSoftmax" | "Sigmoid" | "ArgMax" | "TopK" | "Gather") => {
                self.host(at)
            }
            _ => Err(self.unsupported(at)),
        }
    }

    fn unsupported(&self, at: &At) -> QuantError {
        QuantError::Unsupported {
            model: self.model.name.clone(),
            operators: vec![Unsupported {
                operator: at.index,
                name: at.node.qualified_op(),
                tensor: at.output(),
                found: "an operator without a lowering here".into(),
                needed: "products, pools, scalar arithmetic and quantizers".into(),
            }],
        }
    }

    fn value(&self, at: &At, index: usize) -> Result<&Value, QuantError> {
        let found = at.node.input(index).and_then(|name| self.values.get(name));
        found.ok_or_else(|| at.error(format!("operand {index} is missing"), "a value"))
    }

    fn chain(&self, at: &At, index: usize) -> Result<Chain, QuantError> {
        match self.value(at, index)? {
            Value::Chain(chain) => Ok(chain.clone()),
            Value::Constant(_) => Err(at.error(
                format!("operand {index} is a constant"),
                "a value computed from the inputs",
            )),
        }
    }

    fn constant(&self, at: &At, index: usize) -> Result<&Constant, QuantError> {
        match self.value(at, index)? {
            Value::Constant(constant) => Ok(constant),
            Value::Chain(_) => Err(at.error(
                format!("operand {index} is computed from the inputs"),
                "a constant",
            )),
        }
    }

    /// A constant operand that may be left out.
    fn optional(&self, at: &At, index: usize) -> Result<Option<&Constant>, QuantError> {
        match at.node.input(index) {
            None => Ok(None),
            Some(_) => self.constant(at, index).map(Some),
        }
    }

    /// Shape of the node's output.
    fn shape(&self, at: &At) -> Result<Vec<usize>, QuantError> {
        let of = self.types.get(&at.output());
        let of = of.ok_or_else(|| at.error("an output of unknown shape", "fixed sizes"))?;
        Ok(of.shape.clone())
    }

    fn add_tensor(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        dtype: DType,
        quant: Option<AffineParams>,
        unsigned: bool,
    ) -> TensorId {
        let mut unique = name.to_string();
        while self.graph.tensors.iter().any(|t| t.name == unique) {
            unique.push('_');
        }
        self.graph.tensors.push(QTensor {
            name: unique,
            channels_first: shape.len() > 1,
            shape,
            dtype,
            quant,
            unsigned,
        });
        TensorId(self.graph.tensors.len() - 1)
    }

    fn add_node(&mut self, source: String, op: QOp, inputs: Vec<TensorId>, output: TensorId) {
        let kind = op.kind().to_lowercase().replace("_2d", "2d");
        let name = format!("{kind}_{}", self.graph.nodes.len());
        self.graph.nodes.push(QNode {
            name,
            source,
            inputs,
            output,
            op,
        });
    }
}

impl Chain {
    /// The int8 tensor that a chain was made into.
    fn replaced(self, id: TensorId, params: AffineParams, range: Interval) -> Self {
        Chain {
            source: Source::Integers(id, range),
            steps: vec![vec![]],
            levels: Some(Levels {
                scale: params.scale,
                zero_point: params.zero_point.into(),
                bounds: range,
            }),
            ..self
        }
    }

    /// Its numbers are sums of products.
    fn has_sums(&self) -> bool {
        matches!(self.source, Source::Product(_))
    }

    /// The chain with one more step on all elements.
    fn then(mut self, step: Step) -> Self {
        self.push(|_| step.clone(), 1);
        self
    }
}

/// `[1, C, H, W]` as `[H, W, C]`; lower ranks alike.
fn channels_last(shape: &[usize]) -> Option<Vec<usize>> {
    match *shape {
        [n] => Some(vec![n]),
        [1, c] => Some(vec![c]),
        [1, c, w] => Some(vec![w, c]),
        [1, c, h, w] => Some(vec![h, w, c]),
        _ => None,
    }
}
