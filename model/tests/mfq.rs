//! `.mfq` files: what is written is read, and damage is found.

use macforge_model::onnx::{OnnxGraph, OnnxNode, OnnxType, OnnxValue};
use macforge_model::{Imported, Mfq, ModelError, from_bytes};

fn model() -> Mfq {
    let value = |name| OnnxValue::fixed(name, OnnxType::F32, &[1, 4]);
    let graph = OnnxGraph {
        name: "m".into(),
        ir_version: 8,
        opsets: [(String::new(), 13)].into(),
        nodes: vec![OnnxNode::new("Relu", "r", &["x"], &["y"])],
        inputs: vec![value("x")],
        outputs: vec![value("y")],
        ..OnnxGraph::default()
    };
    Mfq {
        graph,
        semantics: "ort-x86".into(),
        report: serde_json::json!({ "layers": [1, 2.5, "x"] }),
    }
}

#[test]
fn what_is_written_is_read() {
    let bytes = model().to_bytes().unwrap();
    let Imported::Mfq(read) = from_bytes("m", &bytes).unwrap() else {
        panic!("not recognised");
    };
    assert_eq!(
        (&read.semantics, &read.report),
        (&model().semantics, &model().report)
    );
    assert_eq!(read.graph.nodes, model().graph.nodes);
    assert_eq!(read.to_bytes().unwrap(), bytes);
}

#[test]
fn every_truncation_and_every_flipped_bit_of_the_model_is_found() {
    let bytes = model().to_bytes().unwrap();
    for length in 4..bytes.len() {
        assert!(from_bytes("m", &bytes[..length]).is_err(), "{length} bytes");
    }
    let header = u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
    for at in 12 + header..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let error = from_bytes("m", &damaged).unwrap_err();
        assert!(error.to_string().contains("SHA-256"), "{error}");
    }
}

#[test]
fn another_version_and_a_huge_header_are_refused() {
    let mut bytes = model().to_bytes().unwrap();
    bytes[4] = 9;
    let error = from_bytes("m", &bytes).unwrap_err();
    assert!(error.to_string().contains("version 9"), "{error}");
    bytes[4] = 1;
    bytes[8..12].fill(0xff);
    let error = from_bytes("m", &bytes).unwrap_err();
    assert!(matches!(error, ModelError::TooLarge { .. }), "{error}");
}
