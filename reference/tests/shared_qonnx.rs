//! QONNX, FINN and integer-only ONNX models against their stored outputs, and layer by layer.

use std::fs::File;
use std::path::{Path, PathBuf};

use macforge_quant::{DType, QGraph};
use macforge_reference::{Run, Value, run};
use ndarray::{Array, ArrayD, Axis, IxDyn};
use ndarray_npy::{NpzReader, ReadNpyExt, ReadableElement};

fn shared(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/models")
        .join(path)
}

fn open(path: &str) -> NpzReader<File> {
    let path = shared(path);
    let file = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    NpzReader::new(file).unwrap()
}

fn array<T: ReadableElement>(npz: &mut NpzReader<File>, name: &str) -> ArrayD<T> {
    npz.by_name(name).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn lower(model: &str) -> QGraph {
    let model = macforge_model::load(&shared(&format!("onnx/A/{model}.onnx"))).unwrap();
    macforge_quant::lower(&model, None).unwrap()
}

/// The graph's one input from numbers in the order of its tensor.
fn input(graph: &QGraph, numbers: &[f32]) -> Value {
    let tensor = graph.tensor(graph.inputs[0]);
    let shape = IxDyn(&tensor.shape);
    match tensor.dtype {
        DType::F32 => Value::F32(Array::from_shape_vec(shape, numbers.to_vec()).unwrap()),
        _ => {
            let shift = if tensor.unsigned { 128.0 } else { 0.0 };
            let integers = numbers.iter().map(|&v| (v - shift) as i8).collect();
            Value::I8(Array::from_shape_vec(shape, integers).unwrap())
        }
    }
}

/// Order of the elements in a file of layer goldens.
#[derive(Clone, Copy)]
enum Order {
    ChannelsFirst,
    ChannelsLast,
}

/// A tensor's integers as the model states them.
fn integers(graph: &QGraph, run: &Run, name: &str, order: Order) -> Vec<i32> {
    let id = graph.tensors.iter().position(|t| t.name == name);
    let id = id.unwrap_or_else(|| panic!("no tensor `{name}` in\n{graph}"));
    let shift = if graph.tensors[id].unsigned { 128 } else { 0 };
    match run.tensors[id].as_ref().unwrap() {
        Value::I8(values) => {
            let values = match order {
                Order::ChannelsFirst if values.ndim() == 3 => {
                    values.view().permuted_axes(vec![2, 0, 1])
                }
                _ => values.view(),
            };
            values.iter().map(|&q| i32::from(q) + shift).collect()
        }
        Value::I16(values) => values.iter().map(|&q| q.into()).collect(),
        Value::I32(values) => values.iter().copied().collect(),
        Value::F32(_) => panic!("`{name}` holds floats"),
    }
}

/// Every output float of every stored sample, bit by bit.
fn check_floats(model: &str, samples: usize) {
    let graph = lower(model);
    let mut npz = open(&format!("golden/A/{model}.npz"));
    let inputs: ArrayD<f32> = array(&mut npz, "input");
    let outputs: ArrayD<f32> = array(&mut npz, "output0");
    assert_eq!(outputs.shape()[0], samples);
    for index in 0..samples {
        let x: Vec<f32> = inputs.index_axis(Axis(0), index).iter().copied().collect();
        let run = run(&graph, &[input(&graph, &x)]).unwrap();
        let found: Vec<u32> = run.outputs(&graph)[0]
            .as_f32()
            .unwrap()
            .iter()
            .map(|v| v.to_bits())
            .collect();
        let wanted = outputs.index_axis(Axis(0), index);
        let wanted: Vec<u32> = wanted.iter().map(|v| v.to_bits()).collect();
        assert_eq!(found, wanted, "{model} sample {index}");
    }
}

#[test]
#[ignore = "needs ../shared/models"]
fn tfc_of_one_bit_equals_qonnx_in_every_bit() {
    check_floats("qonnx_TFC_1W1A", 32);
}

#[test]
#[ignore = "needs ../shared/models"]
fn tfc_of_two_bits_equals_qonnx_in_every_bit() {
    check_floats("qonnx_TFC_2W2A", 32);
}

/// The float layer in front, the integers, and softmax as onnxruntime computes it.
#[test]
#[ignore = "needs ../shared/models"]
fn jet_tagging_of_six_bits_equals_qonnx_in_every_bit() {
    check_floats("qonnx_jettagging_6bit", 32);
}

#[test]
#[ignore = "needs ../shared/models"]
fn finn_s_tfc_gives_the_stored_classes() {
    let graph = lower("finn_tfc_w2a2_build_dataflow");
    let class = |x: &[f32]| {
        let run = run(&graph, &[input(&graph, x)]).unwrap();
        match run.outputs(&graph)[0] {
            Value::I32(class) => *class.iter().next().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let mut npz = open("golden/A/finn_tfc_w2a2.npz");
    let inputs: ArrayD<u8> = array(&mut npz, "input");
    let outputs: ArrayD<f64> = array(&mut npz, "output0");
    assert_eq!(outputs.len(), 200);
    for (index, &wanted) in outputs.iter().enumerate() {
        let x = inputs.index_axis(Axis(0), index);
        let x: Vec<f32> = x.iter().map(|&v| v.into()).collect();
        assert_eq!(f64::from(class(&x)), wanted, "sample {index}");
    }
    let file = |name: &str| File::open(shared(&format!("onnx/A/{name}.npy"))).unwrap();
    let inputs = ArrayD::<f32>::read_npy(file("finn_tfc_w2a2_input")).unwrap();
    let outputs = ArrayD::<i64>::read_npy(file("finn_tfc_w2a2_expected_output")).unwrap();
    let inputs: Vec<f32> = inputs.iter().copied().collect();
    assert_eq!(inputs.len(), outputs.len() * 784);
    for (x, &wanted) in inputs.chunks(784).zip(&outputs) {
        assert_eq!(i64::from(class(x)), wanted);
    }
}

/// Compares the tensors `layers` with `out_layer0`, `out_layer1`, ...; no layer may be left out.
fn check_layers(model: &str, order: Order, layers: &[&str]) {
    let graph = lower(&format!("dory_{model}_int"));
    let mut npz = open(&format!("golden/dory/A_{model}.npz"));
    let stored = npz.names().unwrap();
    let stored = stored.iter().filter(|n| n.starts_with("out_layer")).count();
    assert_eq!(stored, layers.len());
    let x: ArrayD<f64> = array(&mut npz, "input");
    let x: Vec<f32> = x.iter().map(|&v| v as f32).collect();
    let run = run(&graph, &[input(&graph, &x)]).unwrap();
    for (layer, name) in layers.iter().enumerate() {
        let wanted: ArrayD<i32> = array(&mut npz, &format!("out_layer{layer}"));
        // `a+b`: a sum of more than eight bits, which is never made
        let terms = name
            .split('+')
            .map(|name| integers(&graph, &run, name, order));
        let sum = |a: Vec<i32>, b: Vec<i32>| a.iter().zip(&b).map(|(a, b)| a + b).collect();
        let found = terms.reduce(sum).unwrap();
        let wanted: Vec<i32> = wanted.iter().copied().collect();
        assert_eq!(found.len(), wanted.len(), "{model} layer {layer} `{name}`");
        let first = found.iter().zip(&wanted).position(|(f, w)| f != w);
        let differ = first.map(|i| (i, found[i], wanted[i]));
        assert_eq!(differ, None, "{model} layer {layer} `{name}`");
    }
}

#[test]
#[ignore = "needs ../shared/models"]
fn integer_ds_cnn_equals_every_layer() {
    let layers = [
        "89",
        "101",
        "112",
        "124",
        "135",
        "147",
        "158",
        "170",
        "181",
        "190+190:excess",
        "192:sums",
    ];
    check_layers("dscnn", Order::ChannelsFirst, &layers);
}

#[test]
#[ignore = "needs ../shared/models"]
fn integer_eegnet_equals_every_layer() {
    check_layers(
        "eegnet_1xW",
        Order::ChannelsLast,
        &["44", "56", "57", "69", "70", "84", "86:sums"],
    );
}

#[test]
#[ignore = "needs ../shared/models"]
fn integer_dronet_equals_every_layer() {
    let layers = [
        "128", "129", "141", "153", "165", "177", "189", "197", "209", "221", "233", "245", "257",
        "265", "277", "289", "301", "313", "325", "333", "336:sums",
    ];
    check_layers("dronet2", Order::ChannelsLast, &layers);
}

#[test]
#[ignore = "needs ../shared/models"]
fn integer_residual_network_equals_every_layer() {
    let layers = ["58", "70", "82", "94", "106", "106+82", "126", "129:sums"];
    check_layers("residual1", Order::ChannelsLast, &layers);
}
