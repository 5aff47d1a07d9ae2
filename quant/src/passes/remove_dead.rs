//! Removes nodes whose result reaches no graph output, and tensors that nobody touches.

use crate::graph::{QGraph, TensorId};

/// Walks backwards from the outputs; graph inputs stay.
pub(crate) fn run(graph: &mut QGraph) {
    let mut live = vec![false; graph.tensors.len()];
    let writes = graph.states.iter().map(|s| &s.write);
    for id in graph.outputs.iter().chain(writes) {
        live[id.0] = true;
    }
    for node in graph.nodes.iter().rev() {
        if live[node.output.0] {
            for input in &node.inputs {
                live[input.0] = true;
            }
        }
    }
    graph.nodes.retain(|node| live[node.output.0]);
    let reads = graph.states.iter().map(|s| &s.read);
    for id in graph.inputs.iter().chain(reads) {
        live[id.0] = true;
    }
    compact(graph, &live);
}

/// Drops dead tensors and renumbers the others.
fn compact(graph: &mut QGraph, live: &[bool]) {
    let mut renumbered = Vec::with_capacity(live.len());
    let mut next = 0;
    for &keep in live {
        renumbered.push(TensorId(next));
        next += usize::from(keep);
    }
    let mut keep = live.iter().copied();
    graph.tensors.retain(|_| keep.next().unwrap_or(false));
    let used = graph
        .nodes
        .iter_mut()
        .flat_map(|n| n.inputs.iter_mut().chain([&mut n.output]));
    let states = graph
        .states
        .iter_mut()
        .flat_map(|s| [&mut s.read, &mut s.write]);
    let boundary = graph.inputs.iter_mut().chain(&mut graph.outputs);
    for id in used.chain(boundary).chain(states) {
        *id = renumbered[id.0];
    }
}
