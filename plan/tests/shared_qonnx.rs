//! Staircases of real models on the requantizer lane.

use std::path::Path;

use macforge_plan::staircases::as_lane_rules;
use macforge_quant::{QGraph, lower};

fn graph(model: &str) -> QGraph {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/models/onnx/A")
        .join(format!("{model}.onnx"));
    let imported = macforge_model::load(&path).unwrap_or_else(|e| panic!("{e}"));
    lower(&imported, None).unwrap()
}

/// One to six bits: every layer has constants.
#[test]
#[ignore = "needs ../shared/models"]
fn networks_of_few_bits_run_on_the_lane() {
    for model in [
        "qonnx_TFC_1W1A",
        "qonnx_TFC_2W2A",
        "finn_tfc_w2a2_build_dataflow",
        "qonnx_jettagging_6bit",
    ] {
        let graph = graph(model);
        let lanes = as_lane_rules(&graph);
        assert!(lanes.is_ok(), "{model}: {lanes:?}");
    }
}
