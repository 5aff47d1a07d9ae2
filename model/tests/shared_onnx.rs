//! Import of real ONNX models; the expected counts are those of the collection's manifest.

use std::path::PathBuf;

use macforge_model::load;
use macforge_model::onnx::{OnnxGraph, import};

fn shared(file: &str) -> OnnxGraph {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/onnx/A");
    let model = load(&root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    model.into_onnx().unwrap()
}

#[test]
#[ignore = "needs ../shared/models"]
fn every_model_has_the_manifests_macs_and_all_its_shapes() {
    for (file, macs) in [
        ("dory_dronet2_int", 13_513_312),
        ("dory_dscnn_int", 2_656_640),
        ("dory_eegnet_1xW_int", 237_600),
        ("dory_residual1_int", 15_540_000),
        ("espcn_subpixel_float_model", 1_085_952),
        ("espcn_subpixel_quant_model", 1_041_235_968),
        ("finn_tfc_w2a2_build_dataflow", 59_008),
        ("mnist_cntk_float", 786_560),
        ("mnist_cntk_qdq_u8s8_pt_asym", 786_560),
        ("mnist_cntk_qop_s8s8_pt_asym", 786_560),
        ("qonnx_TFC_1W1A", 59_008),
        ("qonnx_TFC_2W2A", 59_008),
        ("qonnx_jettagging_6bit", 4_256),
        ("resnet20_cifar10_float", 40_551_040),
        ("resnet20_cifar10_qdq_s8s8_pc_sym", 40_551_040),
        ("resnet20_cifar10_qdq_u8s8_pt_asym", 40_551_040),
        ("resnet20_cifar10_qop_s8s8_pt_asym", 40_551_040),
        ("resnet20_cifar10_qop_u8s8_pc_asym", 40_551_040),
    ] {
        let graph = shared(&format!("{file}.onnx"));
        let types = graph
            .infer_types()
            .unwrap_or_else(|e| panic!("{file}: {e}"));
        let found: u64 = (0..graph.nodes.len()).map(|i| graph.macs(i, &types)).sum();
        assert_eq!(found, macs, "{file}");
        for node in &graph.nodes {
            for output in &node.outputs {
                assert!(types.contains_key(output), "{file}: no type of `{output}`");
            }
        }
        for output in &graph.outputs {
            if let Some(sizes) = output.sizes() {
                assert_eq!(types[&output.name].shape, sizes, "{file}: {}", output.name);
            }
        }
        let again = import(file, &graph.to_bytes().unwrap()).unwrap();
        assert_eq!(again.nodes, graph.nodes, "{file}");
        assert_eq!(again.initializers, graph.initializers, "{file}");
    }
}
