//! Writes out the strides, dilations and pads of windows where the file leaves them to the default;
//! runtimes differ in which of them they can do without.

use macforge_model::onnx::{OnnxAttribute, OnnxGraph, OnnxNode};

use super::is;

/// Conv, ConvTranspose, MaxPool, AveragePool.
pub(super) fn run(graph: &mut OnnxGraph) {
    for index in 0..graph.nodes.len() {
        let Some(rank) = rank(graph, &graph.nodes[index]) else {
            continue;
        };
        let node = &mut graph.nodes[index];
        let padded = node.text("auto_pad").is_some_and(|pad| pad != "NOTSET");
        let dilated = !is(node, "AveragePool");
        for (name, values, wanted) in [
            ("strides", vec![1; rank], true),
            ("dilations", vec![1; rank], dilated),
            ("pads", vec![0; 2 * rank], !padded),
        ] {
            if wanted && !node.attributes.contains_key(name) {
                let values = OnnxAttribute::Ints(values);
                node.attributes.insert(name.to_string(), values);
            }
        }
    }
}

/// Dimensions of a node's window.
fn rank(graph: &OnnxGraph, node: &OnnxNode) -> Option<usize> {
    if is(node, "MaxPool") || is(node, "AveragePool") {
        return Some(node.ints("kernel_shape")?.len());
    }
    if is(node, "Conv") || is(node, "ConvTranspose") {
        return graph.constant(node, 1)?.shape.len().checked_sub(2);
    }
    None
}
