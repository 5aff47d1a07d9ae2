//! Quantized ONNX networks from the model collection: the Verilog's outputs equal onnxruntime's
//! (CPU, x86-64, graph optimisations off) bit for bit.

mod support;

use ndarray::{Axis, Slice};
use support::{compile, read_json, read_npz, shared, simulate};

/// Compiles for the PYNQ-Z2 and compares every stored tensor of `samples` samples with the
/// reference model, and the float32 outputs with onnxruntime's.
#[track_caller]
fn assert_golden(name: &str, samples: usize) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    compile(shared(&format!("onnx/A/{name}.onnx")), "pynq-z2", &[], &out);
    let golden = shared(&format!("golden/A/ort_{name}.npz"));
    let (output, json) = (dir.path().join("y.npz"), dir.path().join("y.json"));
    let count = samples.to_string();
    let arguments: &[&dyn AsRef<std::ffi::OsStr>] = &[
        &"--input",
        &golden,
        &"--output",
        &output,
        &"--json",
        &json,
        &"--layers",
        &"--samples",
        &count,
    ];
    simulate(&out, arguments).passed();
    let wanted = read_npz::<f32>(&golden, "output0_noopt");
    let wanted = wanted.slice_axis(Axis(0), Slice::from(..samples));
    let found = read_npz::<f32>(&output, "output0");
    assert_eq!(
        found.mapv(f32::to_bits),
        wanted.mapv(f32::to_bits),
        "{name}"
    );
    let result = read_json(&json);
    assert_eq!(
        (&result["mismatches"], &result["samples"]),
        (&0.into(), &samples.into())
    );
}

#[test]
#[ignore = "needs ../shared/models"]
fn mnist_as_qoperator_model_is_exact() {
    assert_golden("mnist_cntk_qop_s8s8_pt_asym", 5);
}

#[test]
#[ignore = "needs ../shared/models"]
fn mnist_as_qdq_model_of_uint8_is_exact() {
    assert_golden("mnist_cntk_qdq_u8s8_pt_asym", 5);
}

#[test]
#[ignore = "needs ../shared/models"]
fn resnet20_as_qoperator_model_is_exact() {
    assert_golden("resnet20_cifar10_qop_s8s8_pt_asym", 2);
}
