//! TensorFlow Lite networks of the model collection beside the repository, through RTL: golden outputs of
//! TFLite's reference kernels, cycle limits, accuracy, generated samples, stalls.

mod support;

use ndarray::{ArrayD, Axis, Ix2, Slice};
use ndarray_npy::ReadableElement;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
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

/// Simulates with options other than `--output` and `--json`; all compared integers must be equal.
/// Returns the file with the outputs and the result.
#[track_caller]
fn simulated(
    design: &TempDir,
    input: Option<&Path>,
    options: &[&str],
) -> (PathBuf, serde_json::Value) {
    let (output, json) = (design.path().join("y.npz"), design.path().join("y.json"));
    let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&"--output", &output, &"--json", &json];
    if let Some(input) = &input {
        arguments.extend([&"--input" as &dyn AsRef<OsStr>, input]);
    }
    arguments.extend(options.iter().map(|o| o as &dyn AsRef<OsStr>));
    simulate(&design.path().join("out"), &arguments).passed();
    let result = read_json(&json);
    assert_eq!(result["mismatches"], 0);
    (output, result)
}

/// Simulates a golden file with options; the outputs must equal the first outputs of `wanted`, of type
/// `T`. Returns the cycles of one inference.
#[track_caller]
fn assert_equals<T: ReadableElement + Clone + PartialEq + Debug>(
    design: &TempDir,
    golden: &str,
    wanted: &str,
    options: &[&str],
) -> u64 {
    let file = |name: &str| shared(&format!("golden/A/{name}.npz"));
    let (output, result) = simulated(design, Some(&file(golden)), options);
    let wanted = read_npz::<T>(&file(wanted), "output0");
    let found = read_npz::<T>(&output, "output0");
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
    assert_eq!(result["samples"], count);
    result["cycles_per_inference"].as_u64().expect("a number")
}

/// The same with int8 outputs of TFLite 2.14's reference kernels.
#[track_caller]
fn assert_golden(design: &TempDir, golden: &str, options: &[&str]) -> u64 {
    assert_equals::<i8>(design, golden, &format!("{golden}_tfl214ref"), options)
}

/// Compiles, compares every stored tensor of every golden sample, and checks the cycles.
#[track_caller]
fn assert_board(model: &str, golden: &str, board: &str, limit: Option<u64>) -> TempDir {
    let design = design(model, board);
    let cycles = assert_golden(&design, golden, &["--layers"]);
    println!("{golden} on {board}: {cycles} cycles");
    assert!(
        limit.is_none_or(|limit| cycles <= limit),
        "{cycles} cycles, limit {limit:?}"
    );
    design
}

/// Hardware and reference model agree on every stored tensor of `count` generated samples, the extremes
/// among them, while the streams stall.
#[track_caller]
fn assert_generated(design: &TempDir, count: &str) {
    let options = ["--samples", count, "--layers", "--stall", "7"];
    simulated(design, None, &options);
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
    let (golden, wanted) = ("mww_okay_nabu", "mww_okay_nabu_tfl214ref");
    let cycles = assert_equals::<u8>(&design, golden, wanted, &["--layers"]);
    println!("{golden}: {cycles} cycles");
    assert_equals::<u8>(&design, golden, wanted, &["--stall", "3"]);
}

#[test]
#[ignore = "needs ../shared/models"]
fn dscnn_kws_on_pynq_z2_is_exact_within_9600_cycles() {
    let model = "mlperf_tiny/A/kws/kws_dscnn_int8.tflite";
    let design = assert_board(model, "mlperf_kws_dscnn_int8_A", "pynq-z2", Some(9600));
    assert_generated(&design, "5");
    let (output, _) = simulated(&design, Some(&shared("datasets/A/kws01_mlperf_A.npz")), &[]);
    let labels = read_npz::<i64>(&shared("datasets/A/kws01_mlperf_A.npz"), "y");
    let outputs = read_npz::<i8>(&output, "output0")
        .into_dimensionality::<Ix2>()
        .expect("two axes");
    let right = outputs
        .outer_iter()
        .zip(&labels)
        .filter(|(scores, label)| {
            // the first of equal scores, as NumPy's argmax
            let best = (0..scores.len()).rev().max_by_key(|&i| scores[i]);
            best == usize::try_from(**label).ok()
        })
        .count();
    // the accuracy of the stored golden outputs is 0.904
    assert_eq!((right, outputs.nrows()), (452, 500));
}

#[test]
#[ignore = "needs ../shared/models"]
fn vww_on_pynq_z2_is_exact_within_33200_cycles() {
    let model = "mlperf_tiny/A/vww/vww_96_int8.tflite";
    let design = assert_board(model, "mlperf_vww_int8_cfu", "pynq-z2", Some(33_200));
    assert_generated(&design, "2");
}

/// TFLite-Micro's outputs lie beside the inputs.
#[test]
#[ignore = "needs ../shared/models"]
fn person_detect_is_exact() {
    let design = design("tflite/A/person_detect_int8.tflite", "pynq-z2");
    let golden = "tflm_person_detect_int8";
    let cycles = assert_equals::<i8>(&design, golden, golden, &["--layers"]);
    println!("{golden}: {cycles} cycles");
    assert_generated(&design, "3");
}

#[test]
#[ignore = "needs ../shared/models"]
fn small_networks_of_tflite_micro_are_exact() {
    let speech = "tflite/A/micro_speech_int8.tflite";
    let design_of_speech = assert_board(speech, "tflm_micro_speech_int8", "pynq-z2", None);
    assert_generated(&design_of_speech, "3");
    let hello = "tflite/A/hello_world_int8.tflite";
    assert_board(hello, "tflm_hello_world_int8", "pynq-z2", None);
    let gesture = design("tflite/A/magic_wand_int8.tflite", "pynq-z2");
    let (golden, wanted) = ("cfu_magic_wand", "cfu_magic_wand_tfl214ref");
    assert_equals::<f32>(&gesture, golden, wanted, &["--layers"]);
    assert_generated(&gesture, "3");
}

/// uint8 activations and weights with zero points, 468,000 parameters.
#[test]
#[ignore = "needs ../shared/models"]
fn mobilenet_v1_025_128_of_uint8_on_zc706_is_exact() {
    let design = design("tflite/A/mobilenet_v1_0.25_128_quant.tflite", "zc706");
    let golden = "coral_mobilenet_v1_025_128_u8";
    let wanted = "coral_mobilenet_v1_025_128_u8_tfl214ref";
    let cycles = assert_equals::<u8>(&design, golden, wanted, &["--layers"]);
    println!("{golden}: {cycles} cycles");
    assert_generated(&design, "2");
}
