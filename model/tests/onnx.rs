//! Import, inference, folding and writing of ONNX files that the tests write themselves.

use macforge_model::onnx::{
    OnnxAttribute, OnnxDim, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData,
    import,
};
use macforge_model::tflite::corrupt::corrupt;
use macforge_model::{Imported, ModelError, from_bytes};

fn graph(nodes: Vec<OnnxNode>) -> OnnxGraph {
    OnnxGraph {
        name: "m".into(),
        ir_version: 8,
        opsets: [(String::new(), 13)].into(),
        nodes,
        inputs: vec![OnnxValue::fixed("x", OnnxType::F32, &[1, 3, 8, 6])],
        outputs: vec![OnnxValue::fixed("y", OnnxType::F32, &[1])],
        ..OnnxGraph::default()
    }
}

fn floats(shape: &[usize]) -> OnnxTensor {
    let count = shape.iter().product();
    let value = |i: usize| i as f32 * 0.25 - 1.0;
    OnnxTensor::new(
        shape.to_vec(),
        TensorData::F32((0..count).map(value).collect()),
    )
}

fn ints(values: &[i64]) -> OnnxAttribute {
    OnnxAttribute::Ints(values.to_vec())
}

/// conv -> relu -> a reshape whose target is computed from the shape, as exporters write it.
fn network() -> OnnxGraph {
    let shape_of = [
        OnnxNode::new("Shape", "shape", &["r"], &["s"]),
        OnnxNode::new("Gather", "batch", &["s", "zero"], &["b"]),
        OnnxNode::new("Unsqueeze", "row", &["b", "first"], &["rows"]),
        OnnxNode::new("Concat", "target", &["rows", "minus"], &["t"])
            .with("axis", OnnxAttribute::Int(0)),
    ];
    let mut nodes = vec![
        OnnxNode::new("Reshape", "flat", &["r", "t"], &["y"]),
        OnnxNode::new("Relu", "act", &["c"], &["r"]),
        OnnxNode::new("Conv", "conv", &["x", "w", ""], &["c"])
            .with("pads", ints(&[1, 1, 1, 1]))
            .with("strides", ints(&[2, 1])),
    ];
    nodes.extend(shape_of);
    let mut graph = graph(nodes);
    graph.initializers = [
        ("w".to_string(), floats(&[4, 3, 3, 3])),
        (
            "zero".to_string(),
            OnnxTensor::new(vec![], TensorData::I64(vec![0])),
        ),
        ("first".to_string(), OnnxTensor::vector_i64(vec![0])),
        ("minus".to_string(), OnnxTensor::vector_i64(vec![-1])),
    ]
    .into();
    graph
}

fn refusal(graph: &OnnxGraph) -> String {
    import("m", &graph.to_bytes().unwrap())
        .unwrap_err()
        .to_string()
}

#[test]
fn nodes_come_in_topological_order_with_shape_arithmetic_folded() {
    let Imported::Onnx(read) = from_bytes("m", &network().to_bytes().unwrap()).unwrap() else {
        panic!("not taken for ONNX");
    };
    let order: Vec<&str> = read.nodes.iter().map(|n| n.op_type.as_str()).collect();
    assert_eq!(order, ["Conv", "Relu", "Reshape"]);
    assert_eq!(read.initializers["t"].data, TensorData::I64(vec![1, -1]));
    assert!(!read.initializers.contains_key("zero"), "read by nothing");
    let types = read.infer_types().unwrap();
    assert_eq!(types["c"].shape, [1, 4, 4, 6]);
    assert_eq!(types["y"].shape, [1, 96]);
    assert_eq!(read.macs(0, &types), 4 * 4 * 6 * 27);
}

#[test]
fn a_written_graph_reads_back_the_same() {
    let narrow = [
        TensorData::I4(vec![-8, 7, -1]),
        TensorData::U4(vec![15, 0, 9]),
        TensorData::I2(vec![-2, 1, -1]),
        TensorData::U2(vec![3, 0, 2]),
        TensorData::I8(vec![-128, 127, 1]),
        TensorData::U8(vec![255, 0, 1]),
        TensorData::I16(vec![-32768, 32767, 1]),
        TensorData::U16(vec![65535, 0, 1]),
        TensorData::I32(vec![i32::MIN, i32::MAX, 1]),
        TensorData::U32(vec![u32::MAX, 0, 1]),
        TensorData::I64(vec![i64::MIN, i64::MAX, 1]),
        TensorData::U64(vec![u64::MAX, 0, 1]),
        TensorData::F32(vec![1.5, -0.0, f32::MAX]),
        TensorData::F64(vec![1.5, -0.0, f64::MAX]),
        TensorData::Bool(vec![true, false, true]),
    ];
    let mut graph = network();
    for (index, data) in narrow.into_iter().enumerate() {
        let name = format!("k{index}");
        graph.outputs.push(OnnxValue {
            name: name.clone(),
            dtype: Some(data.dtype()),
            shape: Some(vec![OnnxDim::Symbol("n".into())]),
        });
        graph
            .initializers
            .insert(name, OnnxTensor::new(vec![3], data));
    }
    graph.nodes.push(
        OnnxNode::new("Custom", "", &["x"], &["z"])
            .with("f", OnnxAttribute::Float(0.5))
            .with("i", OnnxAttribute::Int(-3))
            .with("s", OnnxAttribute::String(b"text".to_vec()))
            .with("t", OnnxAttribute::Tensor(floats(&[2, 2])))
            .with("fs", OnnxAttribute::Floats(vec![1.0, 2.0]))
            .with("ss", OnnxAttribute::Strings(vec![b"a".to_vec(), vec![]])),
    );
    let first = import("m", &graph.to_bytes().unwrap()).unwrap();
    let bytes = first.to_bytes().unwrap();
    let second = import("m", &bytes).unwrap();
    assert_eq!(first.nodes.last(), graph.nodes.last());
    assert_eq!(first.initializers["k0"], graph.initializers["k0"]);
    assert_eq!(first.nodes, second.nodes);
    assert_eq!(first.initializers, second.initializers);
    assert_eq!(first.outputs, second.outputs);
    assert_eq!(bytes, second.to_bytes().unwrap());
}

#[test]
fn graphs_that_contradict_themselves_are_refused_with_the_place() {
    let mut cyclic = network();
    cyclic.nodes[2].inputs[2] = "y".into();
    assert!(refusal(&cyclic).contains("depends on its own output"));
    let mut twice = network();
    twice.nodes[1].outputs[0] = "c".into();
    assert!(refusal(&twice).contains("`c` is defined twice"));
    let mut missing = network();
    missing.nodes[2].inputs[1] = "nowhere".into();
    let text = refusal(&missing);
    assert!(text.contains("Conv #2 (conv)") && text.contains("`nowhere`"));
    let mut no_output = network();
    no_output.outputs[0].name = "other".into();
    assert!(refusal(&no_output).contains("nothing defines `other`"));
    let mut shapes = network();
    shapes
        .initializers
        .insert("w".into(), floats(&[4, 5, 3, 3]));
    assert!(refusal(&shapes).contains("weights of shape [4, 5, 3, 3]"));
}

#[test]
fn a_symbolic_batch_becomes_one() {
    let mut graph = network();
    graph.inputs[0].shape.as_mut().unwrap()[0] = OnnxDim::Symbol("N".into());
    let read = import("m", &graph.to_bytes().unwrap()).unwrap();
    assert_eq!(read.inputs[0].sizes(), Some(vec![1, 3, 8, 6]));
}

/// A length-delimited field.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(content);
    bytes
}

#[test]
fn data_in_other_files_and_unknown_types_are_refused_with_a_remedy() {
    let error = |tensor: &[u8]| import("m", &field(7, &field(5, tensor))).unwrap_err();
    let name = field(8, b"w");
    // data_location = EXTERNAL
    let external = error(&[&name[..], &[1 << 3, 2, 2 << 3, 1, 14 << 3, 1]].concat());
    assert!(matches!(external, ModelError::Refused { .. }));
    assert!(external.to_string().contains("store the data inside"));
    // float16
    let half = error(&[&name[..], &[1 << 3, 2, 2 << 3, 10]].concat());
    assert!(half.to_string().contains("element type float16"), "{half}");
}

#[test]
fn hostile_sizes_are_refused_before_memory_is_taken() {
    // a tensor of 2^62 elements
    let dim = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40];
    let tensor = [&[1 << 3][..], &dim, &[2 << 3, 1]].concat();
    let error = import("m", &field(7, &field(5, &tensor))).unwrap_err();
    assert!(matches!(error, ModelError::TooLarge { .. }), "{error}");
    // empty nodes: two bytes each in the file, a structure each in memory
    let nodes = [1 << 3 | 2, 0].repeat(5_000_000);
    let error = import("m", &field(7, &nodes)).unwrap_err();
    assert!(error.to_string().contains("fields"), "{error}");
    // a constant that is repeated again and again
    let mut repeated = graph(vec![]);
    let first = OnnxTensor::new(vec![1 << 22], TensorData::U8(vec![1; 1 << 22]));
    repeated.initializers.insert("v0".into(), first);
    for i in 0..100 {
        let (from, to) = (format!("v{i}"), format!("v{}", i + 1));
        repeated
            .nodes
            .push(OnnxNode::new("Identity", "", &[&from], &[&to]));
    }
    repeated.outputs[0].name = "v100".into();
    let read = import("m", &repeated.to_bytes().unwrap()).unwrap();
    assert!(!read.nodes.is_empty(), "folding never stops");
}

#[test]
fn every_truncation_gives_an_error_or_a_graph() {
    let file = network().to_bytes().unwrap();
    for length in 0..file.len() {
        let _ = from_bytes("m", &file[..length]);
    }
    let cut = from_bytes("m", &file[..file.len() / 2]).unwrap_err();
    assert!(matches!(cut, ModelError::Malformed { .. }), "{cut}");
}

#[test]
fn corrupted_files_never_panic() {
    let file = network().to_bytes().unwrap();
    let (mut good, mut bad) = (0, 0);
    for seed in 0..10_000 {
        match from_bytes("m", &corrupt(&file, seed)) {
            Ok(Imported::Onnx(graph)) => {
                let _ = graph.infer_types();
                good += 1;
            }
            Ok(_) => panic!("taken for another format"),
            Err(_) => bad += 1,
        }
    }
    assert!(good > 500 && bad > 3000, "{good} accepted, {bad} refused");
}
