//! Lowering of real models.

use std::path::PathBuf;

use macforge_model::{Model, from_bytes, load};
use macforge_quant::{QGraph, QuantError, lower};

fn path(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/models")
        .join(path)
}

fn import(file: &str) -> Model {
    let model = load(&path(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    model.into_tflite().unwrap()
}

fn lowered(file: &str) -> QGraph {
    lower(&import(file), None).unwrap_or_else(|e| panic!("{file}: {e}"))
}

#[test]
#[ignore = "needs ../shared/models"]
fn supported_models_lower_with_the_manifests_macs() {
    for (file, nodes, macs) in [
        ("mlperf_tiny/A/ic/resnet8_int8.tflite", 16, 12_501_632),
        ("mlperf_tiny/A/ad/ad01_int8.tflite", 10, 264_192),
        ("tflite/A/magic_wand_int8.tflite", 10, 62_016),
        ("tflite/A/hello_world_int8.tflite", 3, 288),
        ("tflite/A/mnist_lstm_int8.tflite", 4, 113_120),
        ("mlperf_tiny/A/kws/kws_dscnn_int8.tflite", 13, 2_656_768),
        ("mlperf_tiny/A/vww/vww_96_int8.tflite", 31, 7_489_664),
    ] {
        let graph = lowered(file);
        println!("{graph}");
        assert_eq!(graph.nodes.len(), nodes, "{file}");
        let total: u64 = (0..nodes).map(|i| graph.macs(i)).sum();
        assert_eq!(total, macs, "{file}");
    }
}

#[test]
#[ignore = "needs ../shared/models"]
fn a_float_model_is_refused_with_operator_and_node() {
    let error = lower(&import("mlperf_tiny/A/ic/resnet8_float.tflite"), None).unwrap_err();
    let QuantError::Unsupported { operators, .. } = &error else {
        panic!("{error}")
    };
    let text = operators[0].to_string();
    assert!(text.starts_with("node #0 CONV_2D"), "{error}");
}

#[test]
#[ignore = "needs ../shared/models"]
fn ten_thousand_corruptions_of_resnet8_give_a_verified_graph_or_an_error() {
    let file = std::fs::read(path("mlperf_tiny/A/ic/resnet8_int8.tflite")).unwrap();
    let (mut good, mut bad) = (0, 0);
    for seed in 0..10_000 {
        let damaged = macforge_model::tflite::corrupt::corrupt(&file, seed);
        match from_bytes("resnet8", &damaged).map(|model| lower(&model, None)) {
            Ok(Ok(_)) => good += 1,
            _ => bad += 1,
        }
    }
    println!("{good} accepted, {bad} refused");
    assert!(good > 100 && bad > 3000, "{good} accepted, {bad} refused");
}
