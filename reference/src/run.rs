//! One inference, every tensor kept.

use macforge_quant::{DType, QGraph};
use ndarray::{ArrayD, IxDyn};

use crate::error::ReferenceError;
use crate::ops::{self, Context};
use crate::prepare::Prepared;
use crate::value::Value;

/// What one inference computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Value of every tensor, indexed by `TensorId.0`; `None` where no node writes it.
    pub tensors: Vec<Option<Value>>,
    /// Per node: outputs whose value before clamping left int8 at a bound that is the type's own
    /// and not an activation function's.
    pub saturations: Vec<u64>,
}

impl Run {
    /// The value of the tensor called `name`.
    pub fn by_name(&self, graph: &QGraph, name: &str) -> Option<&Value> {
        let id = graph.tensors.iter().position(|t| t.name == name)?;
        self.tensors[id].as_ref()
    }

    /// The graph outputs, in the model's order.
    ///
    /// # Panics
    /// `graph` is not the graph of this run.
    pub fn outputs(&self, graph: &QGraph) -> Vec<&Value> {
        let value = |id: &macforge_quant::TensorId| self.tensors[id.0].as_ref();
        graph
            .outputs
            .iter()
            .map(|id| value(id).expect("run() checks that every output was written"))
            .collect()
    }
}

/// A graph that is prepared for many inferences.
pub struct Interpreter<'g> {
    graph: &'g QGraph,
    /// Per node.
    prepared: Vec<Prepared>,
}

impl<'g> Interpreter<'g> {
    /// Prepares `graph`.
    pub fn new(graph: &'g QGraph) -> Self {
        let prepared = graph.nodes.iter().map(|n| Prepared::new(graph, n));
        Self {
            graph,
            prepared: prepared.collect(),
        }
    }

    /// The graph that was prepared.
    pub fn graph(&self) -> &'g QGraph {
        self.graph
    }

    /// Evaluates the graph on one set of inputs, given in the order of `graph.inputs`; states have
    /// their reset values. For inferences in sequence see [`crate::Session`].
    ///
    /// # Errors
    /// An input's count, shape or element type is wrong; or the graph is inconsistent (which
    /// `QGraph::verify` finds as well): missing values, parameters that do not fit the tensors,
    /// accumulators beyond int32.
    pub fn run(&self, inputs: &[Value]) -> Result<Run, ReferenceError> {
        let states = reset_values(self.graph)?;
        self.run_from(&states, inputs)
    }

    /// The same with the states' values given, in the order of `graph.states`.
    pub(crate) fn run_from(
        &self,
        states: &[Value],
        inputs: &[Value],
    ) -> Result<Run, ReferenceError> {
        let mut tensors = load_inputs(self.graph, inputs)?;
        for (state, value) in self.graph.states.iter().zip(states) {
            tensors[state.read.0] = Some(value.clone());
        }
        self.evaluate(tensors)
    }

    fn evaluate(&self, mut tensors: Vec<Option<Value>>) -> Result<Run, ReferenceError> {
        let graph = self.graph;
        let mut saturations = Vec::with_capacity(graph.nodes.len());
        for (node, prepared) in graph.nodes.iter().zip(&self.prepared) {
            let cx = Context {
                graph,
                node,
                tensors: &tensors,
                prepared,
            };
            let output = ops::eval(&cx)?;
            check_value(graph, node.output.0, &output.value)?;
            tensors[node.output.0] = Some(output.value);
            saturations.push(output.saturations);
        }
        finish(graph, tensors, saturations)
    }
}

/// One inference of `graph`; see [`Interpreter::run`].
///
/// # Errors
/// As [`Interpreter::run`].
pub fn run(graph: &QGraph, inputs: &[Value]) -> Result<Run, ReferenceError> {
    Interpreter::new(graph).run(inputs)
}

/// The states' values after reset.
pub(crate) fn reset_values(graph: &QGraph) -> Result<Vec<Value>, ReferenceError> {
    let value = |state: &macforge_quant::QState| {
        let shape = &graph.tensor(state.read).shape;
        let array = ArrayD::from_shape_vec(IxDyn(shape), state.initial.clone());
        array.map(Value::I8).map_err(|_| ReferenceError::Shape {
            tensor: graph.tensor(state.read).name.clone(),
            found: vec![state.initial.len()],
            wanted: shape.clone(),
        })
    };
    graph.states.iter().map(value).collect()
}

fn finish(
    graph: &QGraph,
    tensors: Vec<Option<Value>>,
    saturations: Vec<u64>,
) -> Result<Run, ReferenceError> {
    for id in &graph.outputs {
        if tensors[id.0].is_none() {
            return Err(ReferenceError::MissingInput {
                node: format!("graph output {}", graph.tensor(*id).name),
                index: 0,
            });
        }
    }
    Ok(Run {
        tensors,
        saturations,
    })
}

fn load_inputs(graph: &QGraph, inputs: &[Value]) -> Result<Vec<Option<Value>>, ReferenceError> {
    if inputs.len() != graph.inputs.len() {
        return Err(ReferenceError::InputCount {
            found: inputs.len(),
            wanted: graph.inputs.len(),
            names: graph
                .inputs
                .iter()
                .map(|&id| graph.tensor(id).name.clone())
                .collect(),
        });
    }
    let mut tensors = vec![None; graph.tensors.len()];
    for (id, value) in graph.inputs.iter().zip(inputs) {
        check_value(graph, id.0, value)?;
        tensors[id.0] = Some(value.clone());
    }
    Ok(tensors)
}

/// Checks shape and element type of a value against its tensor.
fn check_value(graph: &QGraph, id: usize, value: &Value) -> Result<(), ReferenceError> {
    let tensor = &graph.tensors[id];
    if value.shape() != tensor.shape {
        return Err(ReferenceError::Shape {
            tensor: tensor.name.clone(),
            found: value.shape().to_vec(),
            wanted: tensor.shape.clone(),
        });
    }
    check_dtype(&tensor.name, value.dtype(), tensor.dtype)
}

pub(crate) fn check_dtype(tensor: &str, found: DType, wanted: DType) -> Result<(), ReferenceError> {
    if found == wanted {
        return Ok(());
    }
    Err(ReferenceError::ElementType {
        tensor: tensor.to_owned(),
        found,
        wanted,
    })
}
