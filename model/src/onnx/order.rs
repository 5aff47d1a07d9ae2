//! Topological order, and the checks that it rests on: one origin per value, no missing values,
//! no cycles.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::OnnxGraph;
use crate::ModelError;

impl OnnxGraph {
    /// Brings the nodes into topological order, keeping the order that they have where it is one.
    ///
    /// # Errors
    /// [`ModelError::Malformed`]: a value has two origins, a name that is read has none, or nodes
    /// depend on each other in a circle.
    pub fn sort(&mut self) -> Result<(), ModelError> {
        let producers = self.checked_producers()?;
        let mut waiting = vec![0usize; self.nodes.len()];
        let mut readers = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for input in node.inputs.iter().filter(|i| !i.is_empty()) {
                if let Some(&producer) = producers.get(input.as_str()) {
                    waiting[index] += 1;
                    readers[producer].push(index);
                } else if !self.is_given(input) {
                    let at = format!("graph: node {}", node.source(index));
                    let what = format!("reads `{input}`, which nothing defines");
                    return Err(ModelError::malformed(at, what));
                }
            }
        }
        let ready = (0..waiting.len()).filter(|&i| waiting[i] == 0);
        let mut ready: BTreeSet<usize> = ready.collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(next) = ready.pop_first() {
            order.push(next);
            for &reader in &readers[next] {
                waiting[reader] -= 1;
                if waiting[reader] == 0 {
                    ready.insert(reader);
                }
            }
        }
        if let Some(stuck) = waiting.iter().position(|&w| w > 0) {
            let at = format!("graph: node {}", self.nodes[stuck].source(stuck));
            return Err(ModelError::malformed(at, "depends on its own output"));
        }
        self.check_outputs(&producers)?;
        let mut nodes: Vec<_> = std::mem::take(&mut self.nodes)
            .into_iter()
            .map(Some)
            .collect();
        self.nodes = order.into_iter().filter_map(|i| nodes[i].take()).collect();
        Ok(())
    }

    /// Whether a value is there before any node runs.
    fn is_given(&self, name: &str) -> bool {
        self.initializers.contains_key(name) || self.inputs.iter().any(|v| v.name == name)
    }

    fn checked_producers(&self) -> Result<BTreeMap<String, usize>, ModelError> {
        let twice = |name: &str, at: String| {
            let what = format!("the value `{name}` is defined twice");
            Err(ModelError::malformed(at, what))
        };
        let mut given: BTreeSet<&str> = self.initializers.keys().map(String::as_str).collect();
        for (index, input) in self.inputs.iter().enumerate() {
            if !given.insert(&input.name) {
                return twice(&input.name, format!("graph: input {index}"));
            }
        }
        let mut producers = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for output in node.outputs.iter().filter(|o| !o.is_empty()) {
                let known = producers.insert(output.clone(), index).is_some();
                if known || given.contains(output.as_str()) {
                    return twice(output, format!("graph: node {}", node.source(index)));
                }
            }
        }
        Ok(producers)
    }

    fn check_outputs(&self, producers: &BTreeMap<String, usize>) -> Result<(), ModelError> {
        let defined = |name: &str| producers.contains_key(name) || self.is_given(name);
        match self.outputs.iter().position(|v| !defined(&v.name)) {
            None => Ok(()),
            Some(index) => Err(ModelError::malformed(
                format!("graph: output {index}"),
                format!("nothing defines `{}`", self.outputs[index].name),
            )),
        }
    }
}
