//! QONNX networks of few bits through RTL, with the host's float32 work on both sides: the outputs
//! equal the stored ones in every bit.

mod support;

use ndarray::{ArrayD, Axis, Slice};
use support::{compile, read_json, read_npz, shared, simulate};

#[track_caller]
fn assert_golden(model: &str, samples: usize) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    let path = shared(&format!("onnx/A/{model}.onnx"));
    compile(path, "pynq-z2", &[], &out);
    let input = shared(&format!("golden/A/{model}.npz"));
    let (output, json) = (dir.path().join("y.npz"), dir.path().join("y.json"));
    let count = samples.to_string();
    simulate(
        &out,
        &[
            &"--input",
            &input,
            &"--output",
            &output,
            &"--json",
            &json,
            &"--samples",
            &count,
            &"--layers",
        ],
    )
    .passed();
    let wanted: ArrayD<f32> = read_npz(&input, "output0");
    let found: ArrayD<f32> = read_npz(&output, "output0");
    let wanted = wanted.slice_axis(Axis(0), Slice::from(..samples));
    assert_eq!(found.mapv(f32::to_bits), wanted.mapv(f32::to_bits));
    let result = read_json(&json);
    assert_eq!(result["mismatches"], 0);
    println!("{model}: {} cycles", result["cycles_per_inference"]);
}

#[test]
#[ignore = "needs ../shared/models"]
fn tfc_of_one_and_two_bits_is_exact_on_pynq_z2() {
    assert_golden("qonnx_TFC_1W1A", 8);
    assert_golden("qonnx_TFC_2W2A", 32);
}

#[test]
#[ignore = "needs ../shared/models"]
fn jet_tagging_of_six_bits_is_exact_on_pynq_z2() {
    assert_golden("qonnx_jettagging_6bit", 32);
}

/// Every integer of every layer equals the reference model's, for random inputs.
#[track_caller]
fn assert_layers(model: &str, samples: usize) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    let path = shared(&format!("onnx/A/{model}.onnx"));
    compile(path, "pynq-z2", &[], &out);
    let json = dir.path().join("y.json");
    let count = samples.to_string();
    simulate(&out, &[&"--json", &json, &"--samples", &count, &"--layers"]).passed();
    let result = read_json(&json);
    assert_eq!(
        (&result["mismatches"], &result["samples"]),
        (&0.into(), &samples.into())
    );
    println!("{model}: {} cycles", result["cycles_per_inference"]);
}

/// NEMO's staircases of 255 steps, on lanes with constants at product scale. The reference model
/// equals the stored integers of every layer (`macforge-reference`'s tests).
#[test]
#[ignore = "needs ../shared/models"]
fn integer_only_networks_are_exact_on_pynq_z2() {
    assert_layers("dory_dscnn_int", 2);
    assert_layers("dory_eegnet_1xW_int", 5);
}

#[test]
#[ignore = "needs ../shared/models"]
fn finn_s_tfc_is_exact_on_pynq_z2() {
    assert_layers("finn_tfc_w2a2_build_dataflow", 8);
}
