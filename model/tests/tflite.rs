//! Import of TFLite files that the test writer makes.

use macforge_model::tflite::corrupt::corrupt;
use macforge_model::tflite::import;
use macforge_model::tflite::writer::{Fused, ModelWriter, Options, TensorSpec, element};
use macforge_model::{Activation, Conv2dOptions, ElementType, ModelError, OpKind, Padding, load};

const CONV: Options = Options::Conv2d {
    stride: [2, 1],
    dilation: [1, 1],
    same: true,
    fused: Fused::Relu,
};

/// `[1, 5, 4, 2]` -> conv 3x3 -> `[1, 3, 4, 3]`, with the weights' scales given.
fn conv(scales: &[f32], options: Options) -> ModelWriter {
    let mut w = ModelWriter::new();
    let x = w.int8("x", &[1, 5, 4, 2], 0.5, -3);
    let weights: Vec<i8> = (0..54i32).map(|i| (i * 4 - 100) as i8).collect();
    let k = w.weights("k", &[3, 3, 3, 2], scales, &weights);
    let b = w.int32("b", &[0.1], &[1, -2, 3]);
    let y = w.int8("y", &[1, 3, 4, 3], 0.25, 7);
    w.operator("CONV_2D", &[x, k, b], &[y], options);
    w
}

fn conv_file() -> Vec<u8> {
    conv(&[0.1, 0.2, 0.3], CONV).finish(&[0], &[3])
}

/// The error text of a model with one more operator than `conv`.
fn refusal(w: ModelWriter, output: i32) -> String {
    let model = import("m", &w.finish(&[0], &[output])).unwrap();
    assert_eq!(model.unsupported.len(), 1);
    model.unsupported[0].to_string()
}

#[test]
fn a_convolution_is_read_field_by_field() {
    let model = import("small", &conv_file()).unwrap();
    assert_eq!(model.name, "small");
    assert_eq!(
        (model.inputs.as_slice(), model.outputs.as_slice()),
        (&[0][..], &[3][..])
    );
    assert_eq!(
        model.operators[0].kind,
        OpKind::Conv2d(Conv2dOptions {
            stride: [2, 1],
            dilation: [1, 1],
            padding: Padding::Same,
            activation: Activation::Relu,
        })
    );
    let k = &model.tensors[1];
    assert_eq!(
        (k.shape.as_slice(), k.dtype),
        (&[3, 3, 3, 2][..], ElementType::I8)
    );
    assert_eq!(k.quantization.as_ref().unwrap().scale, [0.1, 0.2, 0.3]);
    assert_eq!(k.as_i8().unwrap()[..3], [-100, -96, -92]);
    assert_eq!(model.tensors[2].as_i32().unwrap(), [1, -2, 3]);
    let q = model.tensors[0].quantization.as_ref().unwrap();
    assert_eq!((q.scale[0], q.zero_point[0]), (0.5, -3));
    assert_eq!(model.macs(0), 3 * 4 * 54);
    assert_eq!(model.parameters(), 54 + 3);
    assert!(model.unsupported.is_empty());
}

#[test]
fn operators_without_importer_are_listed_with_node_name_and_tensor() {
    let mut w = conv(&[0.1], CONV);
    let z = w.int8("z", &[1, 3, 4, 3], 0.25, 7);
    w.operator("GATHER", &[3, 1], &[z], Options::None);
    w.operator("my_op", &[z], &[z], Options::None);
    let model = import("m", &w.finish(&[0], &[z])).unwrap();
    let listed: Vec<String> = model.unsupported.iter().map(ToString::to_string).collect();
    assert!(
        listed[0].starts_with("node #1 GATHER (tensor `z`)"),
        "{}",
        listed[0]
    );
    assert!(
        listed[1].starts_with("node #2 my_op (tensor `z`)"),
        "{}",
        listed[1]
    );
    assert_eq!(model.operators[0].name, "CONV_2D");
}

#[test]
fn float_and_mixed_tensors_are_refused_with_what_is_needed() {
    let mut w = ModelWriter::new();
    let x = w.float("x", &[1, 4]);
    let y = w.float("y", &[1, 4]);
    w.operator("RELU", &[x], &[y], Options::None);
    let text = refusal(w, y);
    assert!(
        text.contains("(tensor `x`): float32 tensor; needed: int8 or uint8"),
        "{text}"
    );

    let mut w = ModelWriter::new();
    let x = w.tensor(TensorSpec {
        name: "x".into(),
        shape: vec![1, 4],
        element_type: element::U8,
        ..Default::default()
    });
    let y = w.int8("y", &[1, 4], 0.5, 0);
    w.operator("RELU", &[x], &[y], Options::None);
    let text = refusal(w, y);
    assert!(
        text.contains("(tensor `y`): int8 tensor; needed: uint8"),
        "{text}"
    );
}

#[test]
fn fused_tanh_and_constant_tensors_as_operands_are_refused() {
    let tanh = Options::Conv2d {
        stride: [2, 1],
        dilation: [1, 1],
        same: true,
        fused: Fused::Tanh,
    };
    assert!(refusal(conv(&[0.1], tanh), 3).contains("fused TANH"));

    let mut w = ModelWriter::new();
    let x = w.int8("x", &[1, 2, 2, 4], 0.5, 0);
    let b = w.weights("b", &[4], &[0.5], &[1, 2, 3, 4]);
    let y = w.int8("y", &[1, 2, 2, 4], 0.5, 0);
    w.operator("ADD", &[x, b], &[y], Options::Add(Fused::None));
    assert!(refusal(w, y).contains("constant operand of shape [4]"));
}

#[test]
fn constants_of_four_and_eight_bits_become_int8() {
    let mut w = conv(&[0.1], CONV);
    let constant = |element_type, data: &[u8]| TensorSpec {
        shape: vec![3],
        element_type,
        data: data.into(),
        ..Default::default()
    };
    let packed = w.tensor(constant(element::I4, &[0x8f, 0x07]));
    let unsigned = w.tensor(constant(element::U8, &[0, 128, 255]));
    let model = import("m", &w.finish(&[0], &[3])).unwrap();
    assert_eq!(model.tensors[packed as usize].as_i8().unwrap(), [-1, -8, 7]);
    assert_eq!(
        model.tensors[unsigned as usize].as_i8().unwrap(),
        [-128, 0, 127]
    );
}

#[test]
fn variables_have_the_value_that_call_once_assigns() {
    let mut w = ModelWriter::new();
    let initial = TensorSpec {
        shape: vec![1, 2],
        element_type: element::I8,
        scale: vec![0.5],
        zero_point: vec![3],
        data: vec![7, 255],
        ..Default::default()
    };
    let handle = w.variable("memory", initial.clone());
    let value = w.tensor(TensorSpec {
        name: "old".into(),
        data: Vec::new(),
        ..initial
    });
    w.operator("READ_VARIABLE", &[handle], &[value], Options::None);
    let model = import("m", &w.finish(&[], &[value])).unwrap();
    assert!(model.unsupported.is_empty(), "{:?}", model.unsupported);
    assert_eq!(model.variables.len(), 1);
    assert_eq!(model.variables[0].name, "memory");
    assert_eq!(model.variables[0].initial.as_i8().unwrap(), [7, -1]);
    assert_eq!(model.operators[2].kind, OpKind::ReadVariable(0));
}

#[test]
fn a_variable_without_a_first_value_is_refused() {
    let mut w = ModelWriter::new();
    let handle = w.int8("handle", &[1], 0.5, 0);
    let value = w.int8("value", &[1], 0.5, 0);
    w.operator("VAR_HANDLE", &[], &[handle], Options::VarHandle("memory"));
    w.operator("READ_VARIABLE", &[handle], &[value], Options::None);
    let text = refusal(w, value);
    assert!(text.contains("without a value to start from"), "{text}");
}

#[test]
fn contradictions_are_errors_that_name_the_place() {
    let place = |w: ModelWriter, expected: &str| {
        let error = import("m", &w.finish(&[0], &[3])).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let stride0 = Options::Conv2d {
        stride: [0, 1],
        dilation: [1, 1],
        same: true,
        fused: Fused::None,
    };
    place(
        conv(&[0.1], stride0),
        "subgraphs[0].operators[0].stride_h: 0",
    );
    let valid = Options::Conv2d {
        stride: [2, 1],
        dilation: [1, 1],
        same: false,
        fused: Fused::None,
    };
    place(conv(&[0.1], valid), "subgraphs[0].operators[0].outputs[0]");
    place(
        conv(&[0.1, 0.2], CONV),
        "subgraphs[0].tensors[1].quantization",
    );
    place(conv(&[0.1], Options::None), "operators[0].builtin_options");

    let mut w = conv(&[0.1], CONV);
    w.operator("RELU", &[99], &[3], Options::None);
    place(
        w,
        "subgraphs[0].operators[1].inputs[0]: tensor 99, but there are 4",
    );

    let mut w = conv(&[0.1], CONV);
    w.tensor(TensorSpec {
        name: "short".into(),
        shape: vec![5],
        element_type: element::I32,
        data: vec![0; 19],
        ..Default::default()
    });
    place(
        w,
        "tensors[4].buffer: tensor `short` int32[5] needs 20 bytes of data, its buffer has 19",
    );
}

#[test]
fn absurd_tensor_sizes_are_refused() {
    for shape in [vec![i32::MAX; 4], vec![1 << 20, 1 << 11], vec![-1, 4]] {
        let mut w = conv(&[0.1], CONV);
        w.int8("huge", &shape, 1.0, 0);
        let error = import("m", &w.finish(&[0], &[3])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("subgraphs[0].tensors[4].shape"), "{text}");
    }
}

#[test]
fn files_are_chosen_by_extension() {
    let error = load("model.pt".as_ref()).unwrap_err();
    assert!(
        matches!(error, ModelError::UnknownExtension { .. }),
        "{error}"
    );
    let error = load("no-such-file.tflite".as_ref()).unwrap_err();
    assert!(matches!(error, ModelError::Io { .. }), "{error}");
    let error = macforge_model::from_bytes("text", b"hello world").unwrap_err();
    assert!(matches!(error, ModelError::NotAModel { .. }), "{error}");
}

#[test]
fn every_truncation_gives_an_error() {
    let file = conv_file();
    for len in 0..file.len() {
        assert!(
            import("m", &file[..len]).is_err(),
            "{len} of {} bytes",
            file.len()
        );
    }
}

#[test]
fn corrupted_files_never_panic() {
    let file = conv_file();
    let (mut good, mut bad) = (0, 0);
    for seed in 0..10_000 {
        match import("m", &corrupt(&file, seed)) {
            Ok(_) => good += 1,
            Err(_) => bad += 1,
        }
    }
    // Both happen often, so the damage is neither harmless nor hopeless.
    assert!(good > 500 && bad > 3000, "{good} accepted, {bad} refused");
}
