//! The built networks compute what was trained, and have the sizes that are promised.

use std::fs::File;
use std::path::Path;

use macforge_builtin::{find, firenet};
use macforge_model::onnx::{OnnxGraph, OnnxTensor};
use macforge_numeric::Semantics;
use macforge_ptq::policy::PolicyFile;
use macforge_ptq::{Options, Quantization, Session, Silent, top1};
use ndarray::{Array2, OwnedRepr};
use ndarray_npy::NpzReader;

fn test_file() -> File {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/firenet-small/test.npz");
    File::open(path).expect("the test set")
}

fn parameters(graph: &OnnxGraph) -> usize {
    let floats = graph
        .initializers
        .values()
        .filter(|t| t.data.as_f32().is_some());
    floats.map(OnnxTensor::elements).sum()
}

/// Float arithmetic in another order than JAX's: equal within float32's tolerance.
#[test]
fn the_small_network_gives_the_trained_network_s_scores() {
    let graph = firenet::small();
    let session = Session::new(&graph).expect("operators that the library knows");
    let data = firenet::observations(test_file()).expect("observations");
    let mut npz = NpzReader::new(test_file()).expect("an archive");
    let scores: Array2<f32> = npz.by_name::<OwnedRepr<f32>, _>("scores").expect("scores");
    let labels = data.labels.as_ref().expect("labels");
    let (mut worst, mut right) = (0f32, 0);
    for ((sample, wanted), &label) in data.samples.iter().zip(scores.rows()).zip(labels) {
        let given = sample.iter().map(|(name, value)| (name.as_str(), value));
        let found = session.run(given, &["head.fc1"]).expect("it runs");
        let found = &found["head.fc1"];
        let differences = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
        worst = differences.fold(worst, f32::max);
        right += usize::from(top1(found.iter().copied()) == label);
    }
    assert!(worst < 2e-4, "scores differ by {worst}");
    assert_eq!((right, labels.len()), (392, 400));
    // ONNX's second bias of the LSTM is zero, and the scale of the scores is written as a number
    assert_eq!(parameters(&graph) - 4 * 32 - 1, 97_860);
}

#[test]
fn the_full_network_has_25_million_parameters_and_the_shapes_that_are_promised() {
    let graph = firenet::full();
    let parameters = parameters(&graph);
    assert!(
        (24_000_000..25_500_000).contains(&parameters),
        "{parameters}"
    );
    let types = graph.infer_types().expect("fixed shapes");
    for (value, shape) in [
        ("image", vec![1, 4, 224, 224]),
        ("image.mean", vec![1, 512, 1, 1]),
        ("history.lstm", vec![1, 1, 128]),
        ("tokens", vec![3, 512]),
        ("fusion.shares", vec![8, 3, 3]),
        ("head.tokens", vec![1, 1536]),
        ("head.fc1", vec![1, 4]),
    ] {
        assert_eq!(types[value].shape, shape, "{value}");
    }
}

#[test]
fn built_models_are_the_same_every_time_and_have_samples_for_their_inputs() {
    for name in ["firenet-small", "firenet"] {
        let builtin = find(name).expect("a built-in model");
        let (file, bytes) = builtin.file();
        assert!(file == format!("{name}.onnx") && builtin.file().1 == bytes);
        let graph = macforge_model::onnx::import(&file, &bytes).expect("ONNX");
        let data = builtin.calibration().expect("samples");
        for input in &graph.inputs {
            let shape = input.sizes().expect("a fixed shape");
            let all = data.samples.iter().map(|s| s[&input.name].shape());
            assert!(
                all.clone().count() >= 10 && all.clone().all(|s| s == shape),
                "{name}"
            );
        }
    }
}

/// Right answers of the quantized network on the test set, computed by the reference model.
fn right_in_integers(policy: &PolicyFile) -> f64 {
    let data = firenet::observations(test_file()).expect("observations");
    let options = Options {
        semantics: Semantics::OrtX86,
        sensitivity: false,
    };
    let calibration = firenet::small_calibration();
    let graph = firenet::small();
    let mut done = Quantization::new(graph, policy, &calibration, options, &mut Silent)
        .expect("every operator has a rule");
    done.evaluate(&data, &mut Silent).expect("the same inputs");
    let layers = &done.report.layers;
    for (name, db) in [("history.lstm", 30.0), ("fusion.attention", 12.0)] {
        let layer = layers.iter().find(|l| l.name == name).expect("a layer");
        let accumulated = layer.accumulated.expect("compared with float");
        assert!(accumulated.sqnr_db > Some(db), "{name}: {accumulated:?}");
    }
    let evaluation = done.report.evaluation.expect("evaluated");
    assert_eq!(evaluation.float_accuracy, Some(0.98));
    evaluation.quantized_accuracy.expect("labels")
}

#[test]
fn quantization_costs_at_most_2_4_points_in_8_bits_and_in_mixed_precision() {
    let text = include_str!("../../testdata/firenet-small/mixed.toml");
    let mixed = PolicyFile::parse("mixed.toml", text).expect("a policy");
    for policy in [PolicyFile::default(), mixed] {
        let right = right_in_integers(&policy);
        println!("{:.2} %", right * 100.0);
        assert!(right >= 0.98 - 0.024, "{right}");
    }
}
