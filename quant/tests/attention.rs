//! Attention of quantized ONNX graphs: which forms of it are one node, and which are refused.

use macforge_model::onnx::{
    OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
};
use macforge_quant::{QGraph, QOp, QuantError, lower};

/// `[1, 5, 6]` with two heads of three channels, as exporters write it, or without batch.
fn graph(batch: bool) -> OnnxGraph {
    let mut g = OnnxGraph {
        name: "attention".into(),
        ir_version: 8,
        opsets: [(String::new(), 13)].into(),
        ..OnnxGraph::default()
    };
    let lead = |shape: &[i64]| [if batch { &[1][..] } else { &[] }, shape].concat();
    let order = |order: &[i64]| {
        let behind = order.iter().map(|d| d + i64::from(batch));
        let all: Vec<i64> = batch.then_some(0).into_iter().chain(behind).collect();
        OnnxAttribute::Ints(all)
    };
    let sizes = |shape: &[i64]| lead(shape).iter().map(|&d| d as usize).collect::<Vec<_>>();
    let reshape = |g: &mut OnnxGraph, x: &str, y: &str, shape: &[i64]| {
        let name = format!("{y}_shape");
        g.initializers
            .insert(name.clone(), OnnxTensor::vector_i64(lead(shape)));
        g.nodes.push(OnnxNode::new("Reshape", y, &[x, &name], &[y]));
    };
    for (name, permuted) in [("q", [1, 0, 2]), ("k", [1, 2, 0]), ("v", [1, 0, 2])] {
        g.inputs
            .push(OnnxValue::fixed(name, OnnxType::F32, &sizes(&[5, 6])));
        let real = quantized(&mut g, name, 0.05);
        let heads = format!("{name}_heads");
        reshape(&mut g, &real, &heads, &[5, 2, 3]);
        let node = OnnxNode::new("Transpose", "", &[&heads], &[&format!("{name}_by_head")]);
        g.nodes.push(node.with("perm", order(&permuted)));
    }
    g.initializers
        .insert("root".into(), OnnxTensor::scalar_f32(1.75));
    g.nodes.extend([
        OnnxNode::new("MatMul", "", &["q_by_head", "k_by_head"], &["products"]),
        OnnxNode::new("Div", "", &["products", "root"], &["scores"]),
        OnnxNode::new("Softmax", "", &["scores"], &["shares"]),
        OnnxNode::new("MatMul", "", &["shares", "v_by_head"], &["mixed"]),
    ]);
    let real = quantized(&mut g, "mixed", 0.04);
    let back = OnnxNode::new("Transpose", "", &[&real], &["by_token"]);
    g.nodes.push(back.with("perm", order(&[1, 0, 2])));
    reshape(&mut g, "by_token", "y", &[5, 6]);
    g.outputs = vec![OnnxValue::fixed("y", OnnxType::F32, &sizes(&[5, 6]))];
    g
}

/// QuantizeLinear and DequantizeLinear behind a value; the result's name.
fn quantized(g: &mut OnnxGraph, name: &str, scale: f32) -> String {
    let [s, z, q, real] = ["s", "z", "q", "real"].map(|what| format!("{name}_{what}"));
    g.initializers
        .insert(s.clone(), OnnxTensor::scalar_f32(scale));
    let zero_point = OnnxTensor::new(vec![], TensorData::I8(vec![3]));
    g.initializers.insert(z.clone(), zero_point);
    g.nodes
        .push(OnnxNode::new("QuantizeLinear", "", &[name, &s, &z], &[&q]));
    g.nodes.push(OnnxNode::new(
        "DequantizeLinear",
        "",
        &[&q, &s, &z],
        &[&real],
    ));
    real
}

fn node_mut<'g>(g: &'g mut OnnxGraph, op: &str) -> &'g mut OnnxNode {
    g.nodes
        .iter_mut()
        .find(|n| n.op_type == op)
        .expect("a node")
}

fn kinds(graph: &QGraph) -> Vec<&'static str> {
    graph.nodes.iter().map(|n| n.op.kind()).collect()
}

#[test]
fn projections_go_into_one_node_without_a_move() {
    for batch in [false, true] {
        let lowered = lower(&graph(batch), None).expect("attention");
        if !batch {
            let expected = "QUANTIZE QUANTIZE QUANTIZE ATTENTION DEQUANTIZE";
            assert_eq!(kinds(&lowered).join(" "), expected);
        }
        // with a batch the inputs count as channels in front of pixels, and are moved
        let mut nodes = lowered.nodes.iter();
        let found = nodes.find_map(|n| match &n.op {
            QOp::Attention(attention) => Some((n, attention)),
            _ => None,
        });
        let (node, attention) = found.expect("one node");
        assert_eq!(attention.heads, 2);
        let factor = 0.05f64 * 0.05 / 1.75;
        let own = attention.rule.score;
        let real = f64::from(own.multiplier) * f64::from(own.exponent).exp2();
        assert!((real / factor - 1.0).abs() < 1e-4, "{real} {factor}");
        let rows = |id| lowered.tensor(id).shape.clone();
        assert_eq!(
            node.inputs.iter().map(|&i| rows(i)).collect::<Vec<_>>(),
            [[5, 6]; 3]
        );
    }
}

#[test]
fn a_factor_may_be_a_product_or_missing() {
    let mut product = graph(true);
    node_mut(&mut product, "Div").op_type = "Mul".into();
    node_mut(&mut product, "Mul").inputs.reverse();
    assert!(kinds(&lower(&product, None).expect("a product")).contains(&"ATTENTION"));
    let mut missing = graph(true);
    missing.nodes.retain(|n| n.op_type != "Div");
    node_mut(&mut missing, "Softmax").inputs[0] = "products".into();
    assert!(kinds(&lower(&missing, None).expect("no factor")).contains(&"ATTENTION"));
}

#[test]
fn what_is_no_attention_is_named() {
    type Edit = fn(&mut OnnxGraph);
    let edits: [(Edit, &str); 4] = [
        (
            |g| {
                let softmax = node_mut(g, "Softmax");
                softmax
                    .attributes
                    .insert("axis".into(), OnnxAttribute::Int(1));
            },
            "axis 1",
        ),
        (
            |g| {
                let many = OnnxTensor::new(vec![5], TensorData::F32(vec![1.0; 5]));
                g.initializers.insert("root".into(), many);
            },
            "scores of attention that are changed",
        ),
        (
            |g| {
                let node = node_mut(g, "Div");
                node.op_type = "Relu".into();
                node.inputs.truncate(1);
            },
            "softmax outside of attention",
        ),
        (
            |g| {
                // the values of one head only
                let shape = OnnxTensor::vector_i64(vec![1, 5, 1, 6]);
                g.initializers.insert("v_heads_shape".into(), shape);
                let shape = OnnxTensor::vector_i64(vec![1, 5, 12]);
                g.initializers.insert("y_shape".into(), shape);
                g.outputs[0] = OnnxValue::fixed("y", OnnxType::F32, &[1, 5, 12]);
            },
            "1 heads of values",
        ),
    ];
    for (edit, words) in edits {
        let mut graph = graph(true);
        edit(&mut graph);
        let error = lower(&graph, None).expect_err(words);
        let text = match &error {
            QuantError::Unsupported { operators, .. } => format!("{operators:?}"),
            other => other.to_string(),
        };
        assert!(text.contains(words), "{words}: {text}");
    }
}
