//! ResNet-20 on CIFAR-10: accuracy in integers against float, on the reference model.
//!
//! Needs ../shared/models beside the repository.

use std::fs::File;
use std::path::PathBuf;

use macforge_model::onnx::{self, OnnxGraph};
use macforge_numeric::Semantics;
use macforge_ptq::policy::PolicyFile;
use macforge_ptq::{Dataset, Options, Quantization, Silent};
use ndarray::{Array1, Array4, ArrayD, Axis, IxDyn};
use ndarray_npy::NpzReader;

fn shared(path: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("../../shared/models").join(path)
}

fn model() -> OnnxGraph {
    let bytes = std::fs::read(shared("onnx/A/resnet20_cifar10_float.onnx")).expect("shared models");
    onnx::import("resnet20", &bytes).unwrap()
}

/// Images, channels first, scaled as the network was trained on them.
fn images(name: &str) -> Dataset {
    let mut npz = NpzReader::new(File::open(shared(name)).expect("shared models")).unwrap();
    let x: Array4<u8> = npz.by_name("x").unwrap();
    let y: Array1<u8> = npz.by_name("y").unwrap();
    let (mean, std) = ([0.485f32, 0.456, 0.406], [0.229f32, 0.224, 0.225]);
    let sample = |image: ndarray::ArrayView3<u8>| {
        let image = image.permuted_axes([2, 0, 1]);
        let scaled = image.indexed_iter();
        let scaled = scaled.map(|((c, _, _), &v)| (f32::from(v) / 255.0 - mean[c]) / std[c]);
        ArrayD::from_shape_vec(IxDyn(&[1, 3, 32, 32]), scaled.collect()).unwrap()
    };
    let samples = x.axis_iter(Axis(0)).map(sample).collect();
    let labels = y.iter().map(|&l| l.into()).collect();
    Dataset::single("input", samples, Some(labels))
}

fn quantize(policy: &PolicyFile, calibration: &Dataset) -> Quantization {
    let options = Options {
        semantics: Semantics::OrtX86,
        sensitivity: false,
    };
    Quantization::new(model(), policy, calibration, options, &mut Silent).unwrap()
}

/// Accuracy in float and in integers, and the SQNR of the outputs.
fn evaluated(done: &mut Quantization, data: &Dataset) -> (f64, f64, f64) {
    done.evaluate(data, &mut Silent).unwrap();
    let e = done.report.evaluation.unwrap();
    let (float, quantized) = (e.float_accuracy.unwrap(), e.quantized_accuracy.unwrap());
    println!(
        "float {float}, integers {quantized}, outputs {:?} dB",
        e.outputs.sqnr_db
    );
    (float, quantized, e.outputs.sqnr_db.unwrap())
}

#[test]
#[ignore = "needs ../shared/models"]
fn eight_bits_cost_half_a_point_and_mixed_precision_one_and_a_half_at_most() {
    let calibration = images("datasets/A/cifar10_jpeg_calib_train.npz");
    let test = images("datasets/A/cifar10_jpeg_test_A.npz");
    let mut eight = quantize(&PolicyFile::default(), &calibration);
    let (float, quantized, _) = evaluated(&mut eight, &test);
    assert_eq!(float, 0.804);
    assert!(quantized >= float - 0.005, "{quantized}");
    let suggestion = eight.suggest(&calibration, &mut Silent).unwrap();
    println!(
        "{} of {} layers in 4 bits",
        suggestion.taken,
        suggestion.candidates.len()
    );
    assert!(suggestion.taken >= 10, "{}", suggestion.taken);
    let mut mixed = quantize(&suggestion.policy, &calibration);
    let (_, quantized, _) = evaluated(&mut mixed, &test);
    assert!(quantized >= float - 0.015, "{quantized}");
}

#[test]
#[ignore = "needs ../shared/models"]
fn four_calibrators_give_four_results() {
    let calibration = images("datasets/A/cifar10_jpeg_calib_train.npz");
    let test = images("datasets/A/cifar10_jpeg_test_A.npz").spread(200);
    let mut results: Vec<f64> = Vec::new();
    for calibrator in ["kl", "minmax", "percentile", "mse"] {
        let policy = format!("[default]\nactivations = {{ calibrator = \"{calibrator}\" }}");
        let policy = PolicyFile::parse(calibrator, &policy).unwrap();
        println!("{calibrator}:");
        let (float, quantized, sqnr) = evaluated(&mut quantize(&policy, &calibration), &test);
        assert!(quantized >= float - 0.03, "{calibrator}: {quantized}");
        assert!(!results.contains(&sqnr), "{calibrator}: {sqnr} again");
        results.push(sqnr);
    }
}
