//! The first pass: every operator of the imported model becomes nodes of the [`QGraph`].
//!
//! One file per operator family. Importers have checked types, ranks and shapes; here quantization
//! parameters are judged and turned into integer rules. The batch dimension, which must be 1, is
//! dropped; uint8 tensors are held as int8, 128 less.

mod activation;
mod affine;
mod binary;
mod lstm;
mod matmul;
mod mean;
mod movement;
mod names;
mod node;
mod pool;
mod quantize;
mod softmax;
mod transpose_conv;
mod variables;
mod weighted;

use macforge_model::{Model, OpKind};
use macforge_numeric::Semantics;

use crate::QuantError;
use crate::graph::{QGraph, QNode, QOp, QTensor, TensorId};
pub(crate) use names::UniqueNames;
use node::{Node, Operand, Steps};
use variables::Variables;

/// Both TFLite builds: they differ only where a product is shifted right after rounding.
const TFLITE: &[Semantics] = &[Semantics::TfliteDouble, Semantics::TfliteSingle];

/// Weights of all nodes together; beyond it no Zynq-7000 board has the memory.
const MAX_WEIGHT_BYTES: usize = 256 << 20;

/// Lowers all operators, in the file's order.
pub(crate) fn run(model: &Model, semantics: Semantics) -> Result<QGraph, QuantError> {
    if !model.unsupported.is_empty() {
        return Err(QuantError::Unsupported {
            model: model.name.clone(),
            operators: model.unsupported.clone(),
        });
    }
    let mut pass = Pass {
        model,
        ids: vec![None; model.tensors.len()],
        names: UniqueNames::default(),
        weight_bytes: 0,
        variables: Variables::new(model),
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
    for &tensor in &model.inputs {
        let id = pass.tensor(tensor, "graph input")?;
        node::expect_batch_of_one(&model.tensors[tensor])?;
        pass.graph.inputs.push(id);
    }
    for index in 0..model.operators.len() {
        pass.operator(index)?;
    }
    for &tensor in &model.outputs {
        let id = pass.tensor(tensor, "graph output")?;
        pass.graph.outputs.push(id);
    }
    pass.graph.states = pass.variables.states(model)?;
    Ok(pass.graph)
}

struct Pass<'a> {
    model: &'a Model,
    /// Where each tensor of the model went.
    ids: Vec<Option<TensorId>>,
    names: UniqueNames,
    weight_bytes: usize,
    variables: Variables,
    graph: QGraph,
}

impl Pass<'_> {
    /// The graph's tensor for a tensor of the model, made on first use.
    fn tensor(&mut self, index: usize, user: &str) -> Result<TensorId, QuantError> {
        if let Some(id) = self.ids[index] {
            return Ok(id);
        }
        let mut tensor = node::tensor(user, &self.model.tensors[index])?;
        tensor.name = self.names.unique(&tensor.name, index);
        let id = self.add(tensor);
        self.ids[index] = Some(id);
        Ok(id)
    }

    fn add(&mut self, tensor: QTensor) -> TensorId {
        self.graph.tensors.push(tensor);
        TensorId(self.graph.tensors.len() - 1)
    }

    fn operator(&mut self, index: usize) -> Result<(), QuantError> {
        let operator = &self.model.operators[index];
        let node = Node {
            model: self.model,
            operator,
            semantics: self.graph.semantics,
            source: self.model.source(index),
        };
        let operand = |i: usize| operator.inputs.get(i).copied().flatten();
        match (&operator.kind, operand(1), operator.outputs.first()) {
            (OpKind::Bookkeeping, ..) => Ok(()),
            (OpKind::ReadVariable(variable), _, Some(&output)) => {
                let id = match self.variables.value(*variable) {
                    Some(id) => id,
                    None => self.tensor(output, &node.source)?,
                };
                self.ids[output] = Some(id);
                self.variables.read(*variable, id);
                Ok(())
            }
            (OpKind::AssignVariable(variable), Some(value), _) => {
                let id = self.tensor(value, &node.source)?;
                self.variables.assign(*variable, id);
                Ok(())
            }
            _ => {
                let steps = node.lower()?;
                self.nodes(index, &node.source, steps)
            }
        }
    }

    /// Appends what operator `index` has become.
    fn nodes(&mut self, index: usize, source: &str, steps: Steps) -> Result<(), QuantError> {
        // TFLite's own names are upper case with _2D; the index makes them unique.
        let name = self.model.operators[index].name.to_lowercase();
        let name = format!("{}_{index}", name.replace("_2d", "2d"));
        let mut temporaries = Vec::new();
        for mut tensor in steps.temporaries {
            tensor.name = self.names.unique(&tensor.name, index);
            temporaries.push(self.add(tensor));
        }
        let single = steps.steps.len() == 1;
        for (number, step) in steps.steps.into_iter().enumerate() {
            self.count_weights(&step.op, source)?;
            let mut id = |operand: Operand| match operand {
                Operand::Model(tensor) => self.tensor(tensor, source),
                Operand::Temporary(at) => Ok(temporaries[at]),
            };
            let inputs = step
                .inputs
                .into_iter()
                .map(&mut id)
                .collect::<Result<_, _>>()?;
            let output = id(step.output)?;
            self.graph.nodes.push(QNode {
                name: if single {
                    name.clone()
                } else {
                    format!("{name}_{number}")
                },
                source: source.to_string(),
                inputs,
                output,
                op: step.op,
            });
        }
        Ok(())
    }

    fn count_weights(&mut self, op: &QOp, source: &str) -> Result<(), QuantError> {
        self.weight_bytes += match op {
            QOp::Conv2d(c) | QOp::ConvTranspose2d(c) => c.weights.len(),
            QOp::FullyConnected(f) => f.weights.len(),
            QOp::Lstm(l) => l.weights(),
            _ => 0,
        };
        if self.weight_bytes <= MAX_WEIGHT_BYTES {
            return Ok(());
        }
        Err(QuantError::Parameter {
            node: source.to_string(),
            found: format!("more than {MAX_WEIGHT_BYTES} bytes of weights up to here"),
            wanted: "a model that fits the board's memory".into(),
        })
    }
}
