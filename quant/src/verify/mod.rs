//! The invariants of a [`QGraph`], checked after every pass.

mod attention;
mod host;
mod lstm;
mod movement;
mod ops;

use std::collections::BTreeSet;

use macforge_numeric::AffineParams;

use crate::QuantError;
use crate::graph::{DType, QGraph, QNode, QOp, QTensor, TensorId};

/// Largest tensor, in elements; the same bound as on files.
const MAX_ELEMENTS: usize = 1 << 30;

impl QGraph {
    /// Checks every invariant that later stages rely on.
    ///
    /// * Ids are in range; names are unique, node names are Verilog identifiers.
    /// * Every tensor is a graph input or has exactly one producer; nodes are in execution order;
    ///   graph outputs are produced by nodes.
    /// * Ranks are 1 to 3 and sizes positive; shapes agree with operators and weight counts.
    /// * int8 tensors have valid parameters; float32 occurs only before a Quantize that reads a
    ///   graph input and after a Dequantize that writes a graph output, and between operations of
    ///   the host, which lie in front of the first integers and behind the last ones.
    /// * Requantizers, clamps and zero points agree with the output tensor; softmax has TFLite's
    ///   output parameters.
    /// * No accumulator can leave int32 on any input ([`QGraph::value_ranges`]).
    ///
    /// # Errors
    /// [`QuantError::Invalid`] with the first invariant that does not hold.
    pub fn verify(&self) -> Result<(), QuantError> {
        self.verify_ids()?;
        self.verify_names()?;
        for tensor in &self.tensors {
            verify_tensor(tensor)?;
        }
        self.verify_producers()?;
        self.verify_states()?;
        self.verify_float_boundary()?;
        for node in &self.nodes {
            ops::verify(self, node)?;
        }
        self.value_ranges().map(drop)
    }

    fn verify_ids(&self) -> Result<(), QuantError> {
        let count = self.tensors.len();
        let bad = |ids: &[TensorId]| ids.iter().any(|id| id.0 >= count);
        if bad(&self.inputs) || bad(&self.outputs) {
            return invalid("graph", "an input or output is not a tensor of the graph");
        }
        if self.states.iter().any(|s| bad(&[s.read, s.write])) {
            return invalid("graph", "a state is not a tensor of the graph");
        }
        for node in &self.nodes {
            if bad(&node.inputs) || bad(&[node.output]) {
                return invalid(place(node), "an operand is not a tensor of the graph");
            }
            let wanted = match node.op {
                QOp::Binary(_) | QOp::MatMul(_) => 2,
                QOp::Attention(_) => 3,
                QOp::Concat(_) => node.inputs.len().max(1),
                _ => 1,
            };
            if node.inputs.len() != wanted {
                let found = node.inputs.len();
                return invalid(place(node), format!("{found} operands, wanted {wanted}"));
            }
        }
        Ok(())
    }

    fn verify_names(&self) -> Result<(), QuantError> {
        let mut tensors = BTreeSet::new();
        if let Some(twice) = self.tensors.iter().find(|t| !tensors.insert(&t.name)) {
            return invalid(format!("tensor `{}`", twice.name), "the name occurs twice");
        }
        let mut nodes = BTreeSet::new();
        for node in &self.nodes {
            let mut chars = node.name.chars();
            let starts = chars
                .next()
                .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
            if !starts || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return invalid(place(node), "the name is not a Verilog identifier");
            }
            if !nodes.insert(&node.name) {
                return invalid(place(node), "the name occurs twice");
            }
        }
        Ok(())
    }

    fn verify_producers(&self) -> Result<(), QuantError> {
        let mut written = vec![false; self.tensors.len()];
        for &id in &self.inputs {
            if std::mem::replace(&mut written[id.0], true) {
                return invalid(self.place_of(id), "is a graph input twice");
            }
        }
        for state in &self.states {
            if std::mem::replace(&mut written[state.read.0], true) {
                return invalid(self.place_of(state.read), "is a state and has a producer");
            }
        }
        for node in &self.nodes {
            if let Some(&id) = node.inputs.iter().find(|id| !written[id.0]) {
                let what = format!("reads {} before it is written", self.place_of(id));
                return invalid(place(node), what);
            }
            if std::mem::replace(&mut written[node.output.0], true) {
                let what = format!(
                    "writes {}, which has a producer",
                    self.place_of(node.output)
                );
                return invalid(place(node), what);
            }
        }
        if let Some(missing) = written.iter().position(|&w| !w) {
            return invalid(self.place_of(TensorId(missing)), "has no producer");
        }
        let inputs = self.mask(&self.inputs);
        if let Some(&id) = self.outputs.iter().find(|id| inputs[id.0]) {
            return invalid(self.place_of(id), "is graph input and graph output at once");
        }
        if self.outputs.is_empty() {
            return invalid("graph", "no outputs");
        }
        Ok(())
    }

    /// A state's two tensors are alike, and its reset value fits them.
    fn verify_states(&self) -> Result<(), QuantError> {
        for state in &self.states {
            let (read, write) = (self.tensor(state.read), self.tensor(state.write));
            let alike = read.shape == write.shape
                && read.dtype == DType::I8
                && write.dtype == DType::I8
                && read.quant == write.quant;
            if !alike || state.initial.len() != read.elements() {
                let what = "old value, new value and reset value of the state are unlike";
                return invalid(self.place_of(state.read), what);
            }
        }
        Ok(())
    }

    fn verify_float_boundary(&self) -> Result<(), QuantError> {
        let (inputs, outputs) = (self.mask(&self.inputs), self.mask(&self.outputs));
        host::boundary(self)?;
        let read_by_host = self.read_by_host();
        for node in &self.nodes {
            if let QOp::Host(op) = &node.op {
                host::types(self, node, op)?;
                continue;
            }
            let leaves = outputs[node.output.0] || read_by_host[node.output.0];
            self.verify_types(node, leaves)?;
            let inside = match node.op {
                QOp::Quantize => !inputs[node.inputs[0].0],
                QOp::Dequantize => !outputs[node.output.0],
                _ => false,
            };
            if inside {
                let what = "conversion from or to float32 inside the graph";
                return invalid(place(node), what);
            }
        }
        Ok(())
    }

    /// Element types of a node's tensors; accumulators may leave the graph.
    fn verify_types(&self, node: &QNode, leaves: bool) -> Result<(), QuantError> {
        let types: Vec<DType> = node
            .inputs
            .iter()
            .map(|&id| self.tensor(id).dtype)
            .collect();
        let output = self.tensor(node.output).dtype;
        let integer = |t: DType| t.limits().is_some();
        let right = match node.op {
            QOp::Quantize => types == [DType::F32] && integer(output),
            QOp::Dequantize => types.iter().all(|&t| integer(t)) && output == DType::F32,
            QOp::Conv2d(_) | QOp::FullyConnected(_) if output != DType::I32 => {
                types.iter().all(|&t| integer(t)) && integer(output)
            }
            _ if node.op.takes_int16() && output == DType::I16 => types == [DType::I16],
            _ => {
                let raw = output == DType::I32 && leaves && node.op.has_accumulators();
                types.iter().all(|&t| t == DType::I8) && (output == DType::I8 || raw)
            }
        };
        if right {
            return Ok(());
        }
        if types.contains(&DType::I16) || output == DType::I16 {
            return invalid(
                place(node),
                "int16 tensors in an operation without a rule for them",
            );
        }
        invalid(place(node), "float32 other than at the graph's boundary")
    }

    /// Which tensors only the host reads.
    fn read_by_host(&self) -> Vec<bool> {
        let mut only_host = vec![false; self.tensors.len()];
        for node in self.nodes.iter().filter(|n| matches!(n.op, QOp::Host(_))) {
            only_host[node.inputs[0].0] = true;
        }
        for node in self.nodes.iter().filter(|n| !matches!(n.op, QOp::Host(_))) {
            for id in &node.inputs {
                only_host[id.0] = false;
            }
        }
        only_host
    }

    /// Which tensors are in `ids`.
    fn mask(&self, ids: &[TensorId]) -> Vec<bool> {
        let mut mask = vec![false; self.tensors.len()];
        for id in ids {
            mask[id.0] = true;
        }
        mask
    }

    fn place_of(&self, id: TensorId) -> String {
        format!("tensor `{}`", self.tensor(id).name)
    }
}

fn verify_tensor(tensor: &QTensor) -> Result<(), QuantError> {
    let elements = tensor
        .shape
        .iter()
        .try_fold(1usize, |p, &d| p.checked_mul(d));
    let fits = elements.is_some_and(|e| (1..=MAX_ELEMENTS).contains(&e));
    if !fits || !(1..=3).contains(&tensor.shape.len()) {
        return invalid(
            format!("tensor `{}`", tensor.name),
            format!(
                "shape {:?}, wanted 1 to 3 dimensions of at least 1",
                tensor.shape
            ),
        );
    }
    let valid = match (tensor.dtype, tensor.quant) {
        (DType::I8, Some(q)) => AffineParams::new(q.scale, q.zero_point).is_ok(),
        (DType::I16, Some(q)) => {
            let symmetric = q.zero_point == 0 && !tensor.unsigned;
            symmetric && AffineParams::new(q.scale, 0).is_ok()
        }
        (DType::F32 | DType::I32, None) => !tensor.unsigned,
        _ => false,
    };
    if !valid {
        return invalid(
            format!("tensor `{}`", tensor.name),
            "quantization parameters are missing, or not a scale and an int8 zero point (0 for int16)",
        );
    }
    Ok(())
}

/// A node in messages.
fn place(node: &QNode) -> String {
    format!("{} ({})", node.name, node.source)
}

fn invalid<T>(place: impl Into<String>, what: impl Into<String>) -> Result<T, QuantError> {
    Err(QuantError::Invalid {
        place: place.into(),
        what: what.into(),
    })
}
