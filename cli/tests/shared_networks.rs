//! The MLPerf Tiny networks ResNet-8 (image classification) and AD (anomaly detection) from the model
//! collection beside the repository: golden outputs on three boards, cycle limits, 100 images, stalls.

mod support;

use ndarray::{ArrayD, Axis, Slice};
use std::path::Path;
use support::{compile, read_json, read_npz, shared, simulate, write_npz};
use tempfile::TempDir;

const RESNET8: &str = "mlperf_tiny/A/ic/resnet8_int8.tflite";
const AD: &str = "mlperf_tiny/A/ad/ad01_int8.tflite";

/// A design in its own folder.
fn design(model: &str, board: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    compile(shared(model), board, &[], &dir.path().join("out"));
    dir
}

/// Simulates a golden file with options; the outputs must equal TFLite's reference kernels. Returns
/// the cycles of one inference.
#[track_caller]
fn assert_golden(design: &TempDir, golden: &str, options: &[&str]) -> u64 {
    let out = design.path().join("out");
    let input = shared(&format!("golden/A/{golden}.npz"));
    let (output, json) = (design.path().join("y.npz"), design.path().join("y.json"));
    let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> =
        vec![&"--input", &input, &"--output", &output, &"--json", &json];
    arguments.extend(options.iter().map(|o| o as &dyn AsRef<std::ffi::OsStr>));
    simulate(&out, &arguments).passed();
    let reference = shared(&format!("golden/A/{golden}_tfl214ref.npz"));
    let wanted = read_npz::<i8>(&reference, "output0");
    let found = read_npz::<i8>(&output, "output0");
    // fewer samples only where the options say so
    let count = if options.contains(&"--samples") {
        found.len_of(Axis(0))
    } else {
        wanted.len_of(Axis(0))
    };
    assert_eq!(
        found,
        wanted.slice_axis(Axis(0), Slice::from(..count)),
        "{golden}"
    );
    let result = read_json(&json);
    assert_eq!(
        (&result["mismatches"], &result["samples"]),
        (&0.into(), &count.into())
    );
    result["cycles_per_inference"].as_u64().expect("a number")
}

/// Compiles, compares every stored tensor of every golden sample, and checks the cycles.
#[track_caller]
fn assert_board(model: &str, golden: &str, board: &str, limit: Option<u64>) {
    let cycles = assert_golden(&design(model, board), golden, &["--layers"]);
    println!("{golden} on {board}: {cycles} cycles");
    assert!(
        limit.is_none_or(|limit| cycles <= limit),
        "{cycles} cycles, limit {limit:?}"
    );
}

#[test]
#[ignore = "needs ../shared/models"]
fn resnet8_on_pynq_z2_is_exact_within_36000_cycles() {
    assert_board(RESNET8, "mlperf_resnet8_int8_cfu", "pynq-z2", Some(36_000));
}

#[test]
#[ignore = "needs ../shared/models"]
fn resnet8_on_zc706_is_exact_within_12000_cycles() {
    assert_board(RESNET8, "mlperf_resnet8_int8_cfu", "zc706", Some(12_000));
}

#[test]
#[ignore = "needs ../shared/models"]
fn resnet8_on_zybo_z7_10_is_exact() {
    assert_board(RESNET8, "mlperf_resnet8_int8_cfu", "zybo-z7-10", None);
}

#[test]
#[ignore = "needs ../shared/models"]
fn ad_on_pynq_z2_is_exact_within_1200_cycles() {
    assert_board(AD, "mlperf_ad_int8_cfu", "pynq-z2", Some(1200));
}

/// The state is reset before every sample.
#[test]
#[ignore = "needs ../shared/models"]
fn mnist_lstm_on_pynq_z2_is_exact_within_6500_cycles_whatever_the_streams_do() {
    let golden = "tflm_mnist_lstm_int8_A";
    let design = design("tflite/A/mnist_lstm_int8.tflite", "pynq-z2");
    let cycles = assert_golden(&design, golden, &["--layers"]);
    println!("{golden}: {cycles} cycles");
    assert!(cycles <= 6500, "{cycles} cycles");
    for seed in ["1", "2", "3"] {
        assert_golden(&design, golden, &["--samples", "5", "--stall", seed]);
    }
}

#[test]
#[ignore = "needs ../shared/models"]
fn ad_on_zc706_and_zybo_z7_10_is_exact() {
    for board in ["zc706", "zybo-z7-10"] {
        assert_board(AD, "mlperf_ad_int8_cfu", board, None);
    }
}

#[test]
#[ignore = "needs ../shared/models"]
fn ad_is_exact_on_the_dcase_recordings() {
    assert_golden(&design(AD, "pynq-z2"), "mlperf_ad_int8_dcase", &[]);
}

/// The first `count` images of the CIFAR-10 test set as int8.
fn write_images(path: &Path, count: usize) {
    let images: ArrayD<u8> = read_npz(&shared("datasets/A/cifar10_jpeg_test_A.npz"), "x");
    let first = images.slice_axis(Axis(0), Slice::from(..count));
    write_npz(path, &first.mapv(|v| (i16::from(v) - 128) as i8));
}

#[test]
#[ignore = "needs ../shared/models"]
fn resnet8_is_exact_on_100_images() {
    let design = design(RESNET8, "pynq-z2");
    assert_golden(&design, "mlperf_resnet8_int8_cifarjpeg_A", &[]);
    let (input, json) = (design.path().join("x.npz"), design.path().join("y.json"));
    write_images(&input, 100);
    simulate(
        &design.path().join("out"),
        &[&"--input", &input, &"--json", &json],
    )
    .passed();
    let result = read_json(&json);
    assert_eq!(
        (&result["samples"], &result["mismatches"]),
        (&100.into(), &0.into())
    );
}

#[test]
#[ignore = "needs ../shared/models"]
fn resnet8_gives_the_same_outputs_with_20_stall_seeds() {
    let design = design(RESNET8, "pynq-z2");
    for seed in 0..20 {
        let seed = seed.to_string();
        assert_golden(
            &design,
            "mlperf_resnet8_int8_cfu",
            &["--samples", "1", "--stall", &seed],
        );
    }
}

#[test]
#[ignore = "needs ../shared/models"]
fn okay_nabu_keeps_its_states_over_all_inferences() {
    let design = design("tflite/A/mww_okay_nabu.tflite", "pynq-z2");
    let golden = |name: &str| shared(&format!("golden/A/{name}.npz"));
    let input = golden("mww_okay_nabu");
    for stall in [None, Some("3")] {
        let output = design.path().join("y.npz");
        let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> =
            vec![&"--input", &input, &"--output", &output];
        if let Some(seed) = &stall {
            arguments.extend([&"--stall" as &dyn AsRef<std::ffi::OsStr>, seed]);
        }
        simulate(&design.path().join("out"), &arguments).passed();
        let wanted = read_npz::<u8>(&golden("mww_okay_nabu_tfl214ref"), "output0");
        assert_eq!(read_npz::<u8>(&output, "output0"), wanted, "{stall:?}");
    }
}

#[test]
#[ignore = "needs ../shared/models"]
fn micro_speech_is_exact() {
    let model = "tflite/A/micro_speech_int8.tflite";
    assert_board(model, "tflm_micro_speech_int8", "pynq-z2", None);
}
