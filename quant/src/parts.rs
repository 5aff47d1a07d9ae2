//! Divides a graph into what the hardware computes and what the host does around it.

use std::collections::BTreeSet;

use crate::graph::{DType, HostOp, QGraph, QNode, QOp, TensorId};

/// A graph in up to three parts, each a graph of its own over the same tensors; one part's outputs
/// are the next one's inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// float32 work in front of the first integers; `None` where there is none.
    pub head: Option<QGraph>,
    /// From int8 to int8: the hardware's part. The graph itself where the host has no part.
    pub core: QGraph,
    /// What follows the last int8 tensors: layers that give out wider accumulators, and float32
    /// work.
    pub tail: Option<QGraph>,
}

impl QGraph {
    /// Divides the graph. Only graphs with operations of the host are divided.
    pub fn parts(self) -> Parts {
        if !self.nodes.iter().any(|n| matches!(n.op, QOp::Host(_))) {
            return Parts {
                head: None,
                core: self,
                tail: None,
            };
        }
        let head = self.needed_by(|n| matches!(n.op, QOp::Host(HostOp::Quantize(..))));
        let is_tail = |i: usize, n: &QNode| {
            let host = matches!(n.op, QOp::Host(_)) || self.tensor(n.output).dtype == DType::I32;
            host && !head.contains(&i)
        };
        let numbered = || self.nodes.iter().enumerate();
        let tail: BTreeSet<usize> = numbered()
            .filter(|(i, n)| is_tail(*i, n))
            .map(|(i, _)| i)
            .collect();
        let core: BTreeSet<usize> = (0..self.nodes.len())
            .filter(|i| !head.contains(i) && !tail.contains(i))
            .collect();
        let part = |nodes: &BTreeSet<usize>| (!nodes.is_empty()).then(|| self.part(nodes));
        Parts {
            head: part(&head),
            core: self.part(&core),
            tail: part(&tail),
        }
    }

    /// Divides the graph so that the host also converts between float32 and the integers at its ends,
    /// which are int8 then, whatever the model's type.
    pub fn parts_with_conversions(self) -> Parts {
        let mut parts = self.parts();
        if parts.head.is_none() {
            parts.head = parts.core.take_conversions(true);
        }
        if parts.tail.is_none() {
            parts.tail = parts.core.take_conversions(false);
        }
        for tensor in &mut parts.core.tensors {
            tensor.unsigned = false;
        }
        for part in parts.head.iter_mut().chain(&mut parts.tail) {
            for (tensor, of_core) in part.tensors.iter_mut().zip(&parts.core.tensors) {
                tensor.unsigned = of_core.unsigned;
            }
        }
        parts
    }

    /// Takes the conversions at one end out of the graph: a graph of their own, with a tensor per
    /// input or output; `None` where there is none.
    fn take_conversions(&mut self, front: bool) -> Option<QGraph> {
        let ends = if front { &self.inputs } else { &self.outputs };
        let conversion = |end: &TensorId| {
            self.nodes.iter().position(|n| match n.op {
                QOp::Quantize => front && n.inputs[0] == *end,
                QOp::Dequantize => !front && n.output == *end,
                _ => false,
            })
        };
        let found: Vec<Option<usize>> = ends.iter().map(conversion).collect();
        let taken: BTreeSet<usize> = found.iter().copied().flatten().collect();
        if taken.is_empty() {
            return None;
        }
        let inner = found.iter().zip(ends).map(|(&index, &end)| match index {
            Some(index) if front => self.nodes[index].output,
            Some(index) => self.nodes[index].inputs[0],
            None => end,
        });
        let inner: Vec<TensorId> = inner.collect();
        let part = QGraph {
            nodes: taken.iter().map(|&i| self.nodes[i].clone()).collect(),
            inputs: if front { ends } else { &inner }.clone(),
            outputs: if front { &inner } else { ends }.clone(),
            states: Vec::new(),
            input_ranges: Vec::new(),
            ..self.clone()
        };
        if front {
            self.input_ranges.clear();
        }
        *(if front {
            &mut self.inputs
        } else {
            &mut self.outputs
        }) = inner;
        let mut index = 0..;
        self.nodes
            .retain(|_| !index.next().is_some_and(|i| taken.contains(&i)));
        Some(part)
    }

    /// Nodes of a kind and everything in front of them.
    fn needed_by(&self, kind: impl Fn(&QNode) -> bool) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut tensors: BTreeSet<TensorId> = BTreeSet::new();
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if kind(node) || tensors.contains(&node.output) {
                needed.insert(index);
                tensors.extend(&node.inputs);
            }
        }
        needed
    }

    /// The graph of some nodes: its inputs come from elsewhere, its outputs are read elsewhere.
    fn part(&self, nodes: &BTreeSet<usize>) -> QGraph {
        let own: Vec<&QNode> = nodes.iter().map(|&i| &self.nodes[i]).collect();
        let written: BTreeSet<TensorId> = own.iter().map(|n| n.output).collect();
        let mut inputs: Vec<TensorId> = Vec::new();
        for id in own.iter().flat_map(|n| &n.inputs) {
            if !written.contains(id) && !inputs.contains(id) {
                inputs.push(*id);
            }
        }
        let read_elsewhere = |id: TensorId| {
            let by_node = |i: &usize| self.nodes[*i].inputs.contains(&id) && !nodes.contains(i);
            self.outputs.contains(&id) || (0..self.nodes.len()).any(|i| by_node(&i))
        };
        let outputs = own.iter().map(|n| n.output);
        let mut outputs: Vec<TensorId> = outputs.filter(|&id| read_elsewhere(id)).collect();
        // the graph's own outputs keep its order
        let place = |id: &TensorId| self.outputs.iter().position(|o| o == id);
        outputs.sort_by_key(|id| place(id).unwrap_or(usize::MAX));
        // sums beyond int32 are found where the graph is verified
        let ranges = self.value_ranges().ok();
        let range = |id: &TensorId| ranges.as_ref().map(|all| all[id.0]);
        QGraph {
            input_ranges: inputs.iter().map_while(range).collect(),
            nodes: own.into_iter().cloned().collect(),
            inputs,
            outputs,
            ..self.clone()
        }
    }
}
