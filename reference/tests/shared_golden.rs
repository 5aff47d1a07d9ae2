//! Whole models against outputs of TFLite's reference kernels, and layer by layer.

use std::fs::File;
use std::path::{Path, PathBuf};

use macforge_model::Model;
use macforge_numeric::Semantics;
use macforge_quant::{QGraph, TensorId};
use macforge_reference::{Session, Value, run};
use ndarray::{Array, ArrayD, Axis};
use ndarray_npy::{NpzReader, ReadableElement};

fn shared(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/models")
        .join(path)
}

fn golden(name: &str) -> NpzReader<File> {
    let path = shared(&format!("golden/A/{name}.npz"));
    let file = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    NpzReader::new(file).unwrap()
}

fn array<T: ReadableElement>(npz: &mut NpzReader<File>, name: &str) -> ArrayD<T> {
    npz.by_name(name).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn load(path: &str) -> Model {
    let model = macforge_model::load(&shared(path)).unwrap();
    model.into_tflite().unwrap()
}

fn lower(model: &Model, semantics: Option<Semantics>) -> QGraph {
    macforge_quant::lower(model, semantics).unwrap()
}

/// One sample in the shape of its tensor.
fn sample<T: Clone>(batch: &ArrayD<T>, index: usize, graph: &QGraph, id: TensorId) -> ArrayD<T> {
    let sample = batch.index_axis(Axis(0), index);
    Array::from_iter(sample.iter().cloned())
        .into_shape_with_order(graph.tensor(id).shape.clone())
        .unwrap()
}

/// Runs every sample that has a golden output; all integers must be equal.
fn check_outputs(model: &str, inputs: &str, outputs: &str, samples: usize) {
    let graph = lower(&load(model), None);
    let input: ArrayD<i8> = array(&mut golden(inputs), "input");
    let output: ArrayD<i8> = array(&mut golden(outputs), "output0");
    assert_eq!(output.shape()[0], samples);
    for index in 0..samples {
        let x = sample(&input, index, &graph, graph.inputs[0]);
        let wanted = sample(&output, index, &graph, graph.outputs[0]);
        let run = run(&graph, &[Value::I8(x)]).unwrap();
        let found = run.outputs(&graph)[0];
        assert_eq!(found, &Value::I8(wanted), "{outputs} sample {index}");
    }
}

/// Compares the tensors `indices` of the model file for both samples of a layer file.
fn check_layers(model: &str, layers: &str, semantics: Option<Semantics>, indices: &[usize]) {
    let model = load(model);
    let graph = lower(&model, semantics);
    let mut npz = golden(layers);
    for s in 0..2 {
        let input: ArrayD<i8> = array(&mut npz, &format!("s{s}_t{:03}", model.inputs[0]));
        let x = sample(&input, 0, &graph, graph.inputs[0]);
        let run = run(&graph, &[Value::I8(x)]).unwrap();
        for &index in indices {
            let name = &model.tensors[index].name;
            let id = graph.tensors.iter().position(|t| &t.name == name).unwrap();
            let batch: ArrayD<i8> = array(&mut npz, &format!("s{s}_t{index:03}"));
            let wanted = sample(&batch, 0, &graph, TensorId(id));
            let found = run.by_name(&graph, name).unwrap();
            assert_eq!(found, &Value::I8(wanted), "{layers} sample {s}: {name}");
        }
    }
}

const RESNET8: &str = "mlperf_tiny/A/ic/resnet8_int8.tflite";
const KWS: &str = "mlperf_tiny/A/kws/kws_dscnn_int8.tflite";
const AUTOENCODER: &str = "mlperf_tiny/A/ad/ad01_int8.tflite";

#[test]
#[ignore = "needs ../shared/models"]
fn resnet8_outputs_equal_tflites() {
    let name = "mlperf_resnet8_int8_cfu";
    check_outputs(RESNET8, name, &format!("{name}_tfl214ref"), 10);
    let name = "mlperf_resnet8_int8_cifarjpeg_A";
    check_outputs(RESNET8, name, &format!("{name}_tfl214ref"), 32);
}

#[test]
#[ignore = "needs ../shared/models"]
fn autoencoder_outputs_equal_tflites() {
    let name = "mlperf_ad_int8_cfu";
    check_outputs(AUTOENCODER, name, &format!("{name}_tfl214ref"), 240);
    let name = "mlperf_ad_int8_dcase";
    check_outputs(AUTOENCODER, name, &format!("{name}_tfl214ref"), 64);
}

#[test]
#[ignore = "needs ../shared/models"]
fn hello_world_outputs_equal_tflites() {
    let name = "tflm_hello_world_int8";
    let model = "tflite/A/hello_world_int8.tflite";
    check_outputs(model, name, &format!("{name}_tfl214ref"), 256);
}

#[test]
#[ignore = "needs ../shared/models"]
fn depthwise_networks_outputs_equal_tflites() {
    let name = "mlperf_kws_dscnn_int8_A";
    check_outputs(KWS, name, &format!("{name}_tfl214ref"), 32);
    let (name, model) = (
        "mlperf_vww_int8_cfu",
        "mlperf_tiny/A/vww/vww_96_int8.tflite",
    );
    check_outputs(model, name, &format!("{name}_tfl214ref"), 4);
    let (name, model) = (
        "tflm_micro_speech_int8",
        "tflite/A/micro_speech_int8.tflite",
    );
    check_outputs(model, name, &format!("{name}_tfl214ref"), 2);
    let (name, model) = (
        "tflm_person_detect_int8",
        "tflite/A/person_detect_int8.tflite",
    );
    check_outputs(model, name, name, 2);
}

/// The LSTM starts from a reset state in every sample.
#[test]
#[ignore = "needs ../shared/models"]
fn mnist_lstm_outputs_and_hidden_states_equal_tflites() {
    let (name, model) = ("tflm_mnist_lstm_int8_A", "tflite/A/mnist_lstm_int8.tflite");
    check_outputs(model, name, &format!("{name}_tfl214ref"), 32);
    check_layers(model, &format!("{name}_layers"), None, &[23, 24]);
}

/// Accuracy on the labelled samples; TFLite's reference kernels reach the same.
#[test]
#[ignore = "needs ../shared/models"]
fn keyword_spotting_is_as_accurate_as_tflite() {
    let graph = lower(&load(KWS), None);
    let file = File::open(shared("datasets/A/kws01_mlperf_A.npz")).unwrap();
    let mut npz = NpzReader::new(file).unwrap();
    let (inputs, labels): (ArrayD<i8>, ArrayD<i64>) = (array(&mut npz, "x"), array(&mut npz, "y"));
    let hits = labels.iter().enumerate().filter(|&(index, &label)| {
        let x = sample(&inputs, index, &graph, graph.inputs[0]);
        let run = run(&graph, &[Value::I8(x)]).unwrap();
        let scores = run.outputs(&graph)[0].as_i8().unwrap();
        let best = scores
            .iter()
            .zip(0i64..)
            .max_by_key(|&(score, class)| (score, -class));
        best.is_some_and(|(_, class)| class == label)
    });
    assert_eq!((hits.count(), labels.len()), (452, 500));
}

/// uint8 activations and weights, both with zero points.
#[test]
#[ignore = "needs ../shared/models"]
fn uint8_mobilenet_outputs_equal_tflites() {
    let name = "coral_mobilenet_v1_025_128_u8";
    let graph = lower(&load("tflite/A/mobilenet_v1_0.25_128_quant.tflite"), None);
    let input: ArrayD<u8> = array(&mut golden(name), "input");
    let output: ArrayD<u8> = array(&mut golden(&format!("{name}_tfl214ref")), "output0");
    let held = |batch: &ArrayD<u8>| batch.mapv(|q| (q ^ 0x80).cast_signed());
    let mut session = Session::new(&graph).unwrap();
    for index in 0..3 {
        let x = sample(&held(&input), index, &graph, graph.inputs[0]);
        let wanted = sample(&held(&output), index, &graph, graph.outputs[0]);
        let run = session.run(&[Value::I8(x)]).unwrap();
        assert_eq!(run.outputs(&graph)[0], &Value::I8(wanted), "sample {index}");
    }
}

/// States carry over from one inference to the next, from reset.
#[test]
#[ignore = "needs ../shared/models"]
fn a_stateful_wake_word_equals_tflite_in_sequence() {
    let graph = lower(&load("tflite/A/mww_okay_nabu.tflite"), None);
    assert_eq!(graph.states.len(), 6);
    let input: ArrayD<i8> = array(&mut golden("mww_okay_nabu"), "input");
    let output: ArrayD<u8> = array(&mut golden("mww_okay_nabu_tfl214ref"), "output0");
    let mut session = Session::new(&graph).unwrap();
    for _ in 0..2 {
        for index in 0..32 {
            let x = sample(&input, index, &graph, graph.inputs[0]);
            let run = session.run(&[Value::I8(x)]).unwrap();
            let found = run.outputs(&graph)[0].as_i8().unwrap()[[0]];
            assert_eq!(
                found.cast_unsigned() ^ 0x80,
                output[[index, 0]],
                "sample {index}"
            );
        }
        session.reset().unwrap();
    }
}

/// Float in and out, convolution, maximum pooling and both boundary operators.
#[test]
#[ignore = "needs ../shared/models"]
fn magic_wand_outputs_equal_tflites_in_every_bit() {
    let graph = lower(&load("tflite/A/magic_wand_int8.tflite"), None);
    let input: ArrayD<f32> = array(&mut golden("cfu_magic_wand"), "input");
    let output: ArrayD<f32> = array(&mut golden("cfu_magic_wand_tfl214ref"), "output0");
    for index in 0..output.shape()[0] {
        let x = sample(&input, index, &graph, graph.inputs[0]);
        let wanted = sample(&output, index, &graph, graph.outputs[0]);
        let run = run(&graph, &[Value::F32(x)]).unwrap();
        let found = run.outputs(&graph)[0].as_f32().unwrap().mapv(f32::to_bits);
        assert_eq!(found, wanted.mapv(f32::to_bits), "sample {index}");
    }
}

/// Everything up to the fully connected layer, which the layer files' engine rounds once.
#[test]
#[ignore = "needs ../shared/models"]
fn resnet8_convolutions_additions_and_pooling_equal_layer_by_layer() {
    let indices: Vec<usize> = (22..=35).collect();
    for layers in [
        "mlperf_resnet8_int8_cfu_layers",
        "mlperf_resnet8_int8_cifarjpeg_A_layers",
    ] {
        check_layers(RESNET8, layers, None, &indices);
    }
}

/// The layer files' engine rounds fully connected layers once: that is the single semantics.
#[test]
#[ignore = "needs ../shared/models"]
fn autoencoder_layers_equal_under_single_rounding() {
    let indices: Vec<usize> = (21..=30).collect();
    for layers in ["mlperf_ad_int8_cfu_layers", "mlperf_ad_int8_dcase_layers"] {
        let semantics = Some(Semantics::TfliteSingle);
        check_layers(AUTOENCODER, layers, semantics, &indices);
    }
}
