//! Import of real models; the expected counts are those of the collection's manifest.

use std::path::PathBuf;

use macforge_model::{Model, load};

fn shared(path: &str) -> Model {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/models");
    let model = load(&root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    model.into_tflite().unwrap()
}

fn total_macs(model: &Model) -> u64 {
    (0..model.operators.len()).map(|i| model.macs(i)).sum()
}

/// How many operators have each of the names.
fn count(model: &Model, names: &[&str]) -> Vec<usize> {
    let of = |name: &&str| model.operators.iter().filter(|op| op.name == *name).count();
    names.iter().map(of).collect()
}

#[test]
#[ignore = "needs ../shared/models"]
fn supported_models_have_the_manifests_operators_and_macs() {
    for (path, operators, macs, constants) in [
        (
            "mlperf_tiny/A/ic/resnet8_int8.tflite",
            16,
            12_501_632,
            77_708,
        ),
        ("mlperf_tiny/A/ad/ad01_int8.tflite", 10, 264_192, 265_864),
        ("tflite/A/magic_wand_int8.tflite", 10, 62_016, 4_302),
        ("tflite/A/mww_okay_nabu.tflite", 55, 24_096, 24_678),
        (
            "tflite/A/mobilenet_v1_0.25_128_quant.tflite",
            31,
            13_570_304,
            467_595,
        ),
        (
            "mlperf_tiny/A/kws/kws_dscnn_int8.tflite",
            13,
            2_656_768,
            22_606,
        ),
        (
            "mlperf_tiny/A/vww/vww_96_int8.tflite",
            31,
            7_489_664,
            210_852,
        ),
        ("tflite/A/hello_world_int8.tflite", 3, 288, 321),
        ("tflite/A/mnist_lstm_int8.tflite", 4, 113_120, 9_532),
    ] {
        let model = shared(path);
        assert!(
            model.unsupported.is_empty(),
            "{path}: {}",
            model.unsupported[0]
        );
        assert_eq!(model.operators.len(), operators, "{path}");
        assert_eq!(total_macs(&model), macs, "{path}");
        assert_eq!(model.parameters(), constants, "{path}");
    }
}

#[test]
#[ignore = "needs ../shared/models"]
fn resnet8_has_the_manifests_layers() {
    let model = shared("mlperf_tiny/A/ic/resnet8_int8.tflite");
    let names = [
        "CONV_2D",
        "ADD",
        "AVERAGE_POOL_2D",
        "RESHAPE",
        "FULLY_CONNECTED",
        "SOFTMAX",
    ];
    assert_eq!(count(&model, &names), [9, 3, 1, 1, 1, 1]);
    let input = &model.tensors[model.inputs[0]];
    assert_eq!(input.shape, [1, 32, 32, 3]);
    let q = input.quantization.as_ref().unwrap();
    assert_eq!((q.scale[0], q.zero_point[0]), (1.0, -128));
}

#[test]
#[ignore = "needs ../shared/models"]
fn float_models_say_that_integers_are_needed() {
    let text = shared("mlperf_tiny/A/ic/resnet8_float.tflite").unsupported[0].to_string();
    assert!(text.starts_with("node #0 CONV_2D"), "{text}");
    assert!(
        text.contains("float32 tensor; needed: int8 or uint8"),
        "{text}"
    );
}
