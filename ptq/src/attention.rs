//! Attention as one layer: what lies between the projections never becomes int8.

use macforge_model::onnx::{OnnxGraph, OnnxNode};

use crate::prepare::{floats, is, only_consumer};

/// The nodes of scaled dot-product attention whose first product is node `index`, in execution order:
/// `MatMul(q, k)`, products and quotients with one number, `Softmax` over the last dimension,
/// `MatMul(shares, v)`.
pub(crate) fn attention_at(graph: &OnnxGraph, index: usize) -> Option<Vec<usize>> {
    if !is_computed_product(graph, &graph.nodes[index]) {
        return None;
    }
    let mut nodes = vec![index];
    loop {
        let value = graph.nodes[*nodes.last()?].output(0)?;
        let next = only_consumer(graph, value)?;
        nodes.push(next);
        let node = &graph.nodes[next];
        if is(node, "Softmax") && is_over_last_dimension(graph, node) {
            break;
        }
        if !scales(graph, node, value) {
            return None;
        }
    }
    let shares = graph.nodes[*nodes.last()?].output(0)?;
    let last = only_consumer(graph, shares)?;
    let node = &graph.nodes[last];
    let of_shares = node.input(0) == Some(shares) && is_computed_product(graph, node);
    nodes.push(last);
    of_shares.then_some(nodes)
}

fn is_computed_product(graph: &OnnxGraph, node: &OnnxNode) -> bool {
    is(node, "MatMul")
        && node
            .inputs
            .iter()
            .all(|i| !graph.initializers.contains_key(i))
}

/// Whether a node multiplies `value` with one number, or divides it by one.
fn scales(graph: &OnnxGraph, node: &OnnxNode, value: &str) -> bool {
    let one = |operand: usize| {
        let constant = node.input(operand).and_then(|name| floats(graph, name));
        constant.is_some_and(|(_, values)| values.len() == 1)
    };
    let first = node.input(0) == Some(value);
    is(node, "Mul") && one(usize::from(first)) || is(node, "Div") && first && one(1)
}

/// The only axis that is told from any other without knowing the rank; the default from operator set
/// 13 on.
fn is_over_last_dimension(graph: &OnnxGraph, node: &OnnxNode) -> bool {
    let default = if graph.opset() < 13 { 1 } else { -1 };
    node.int("axis").unwrap_or(default) == -1
}
