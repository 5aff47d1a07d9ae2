//! LSTMs with FP16 state through the whole command: hidden states, saturation counts and what follows
//! them are the reference model's, integer by integer.

mod fp16_lstm_support;
mod support;

use fp16_lstm_support::{Network, Random, quantized_as};
use macforge_model::onnx::{OnnxAttribute, OnnxGraph, OnnxTensor, TensorData};
use macforge_numeric::AffineParams;
use macforge_reference::Value;
use ndarray::{ArrayD, IxDyn};
use std::fs;
use std::path::Path;
use support::{Run, command, read_json, run, simulate_stalled, write_npz};
use tempfile::TempDir;

const SMALL: Network = Network {
    size: [7, 6, 5],
    hidden: (1.0 / 128.0, 0),
    classes: 0,
};

fn compile(dir: &Path, shape: &str, model: &[u8]) -> Run {
    fs::write(dir.join("model.onnx"), model).expect("a new file");
    let board = ["compile", "model.onnx", "--board", "pynq-z2"];
    let mut command = command(board);
    command.current_dir(dir);
    command.args(["--shape", shape, "-o", "out"]);
    run(command)
}

/// Simulates with stalled streams, compares every integer, and holds the estimate against the cycles.
#[track_caller]
fn assert_exact(network: Network, shape: &str, seed: u64) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let model = network.quantized(seed).to_bytes().expect("a plain graph");
    let compiled = compile(dir.path(), shape, &model);
    assert_eq!(
        compiled.code, 0,
        "{network:?} on {shape}: {}",
        compiled.stderr
    );
    let context = format!("{network:?} on {shape}");
    let [result, manifest] = simulate_stalled(dir.path(), &context);
    let lstm = |value: &serde_json::Value| {
        let layers = value["layers"].as_array().expect("layers").clone();
        let mut layers = layers.into_iter();
        let found = layers.find(|l| l["op"] == "LSTM");
        found.unwrap_or_else(|| panic!("no LSTM in {value}"))
    };
    let measured = lstm(&result)["cycles"].as_i64().expect("a number");
    let estimated = lstm(&manifest)["estimated_cycles"].as_i64();
    let estimated = estimated.expect("a number");
    assert!(
        (measured - estimated).abs() <= 2,
        "{measured} cycles, estimated {estimated}"
    );
    assert_eq!(lstm(&manifest)["precision"], "w8a8 fp16");
    dir
}

#[test]
fn sequences_of_any_size_are_exact() {
    assert_exact(SMALL, "3x8x4", 1);
    let deep = Network {
        size: [5, 3, 18],
        hidden: (0.004, -128),
        ..SMALL
    };
    assert_exact(deep, "1x4x2", 2);
    let wide = Network {
        size: [2, 70, 1],
        ..SMALL
    };
    assert_exact(wide, "4x8x8", 3);
    let single = Network {
        size: [1, 1, 3],
        ..SMALL
    };
    assert_exact(single, "2x8x4", 4);
}

#[test]
fn layers_behind_the_last_state_are_exact_and_saturations_are_counted() {
    let network = Network {
        size: [12, 5, 8],
        hidden: (0.002, -7),
        classes: 6,
    };
    let dir = assert_exact(network, "3x8x4", 5);
    let result = read_json(&dir.path().join("y.json"));
    let saturations: u64 = (result["layers"].as_array().expect("layers").iter())
        .map(|l| l["saturations"].as_u64().expect("a number"))
        .sum();
    assert!(saturations > 0, "{result}");
}

/// A float model, quantized by the command, compiled and simulated.
#[test]
fn float_lstms_are_quantized_and_run() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    for (name, classes) in [("all", 0), ("last", 4)] {
        let network = Network {
            size: [12, 5, 16],
            classes,
            ..SMALL
        };
        let model = network.float(7).to_bytes().expect("a plain graph");
        fs::write(dir.join("f.onnx"), model).expect("a new file");
        let mut random = Random(8);
        let x = ArrayD::from_shape_simple_fn(IxDyn(&[24, 12, 5]), || random.next());
        write_npz(&dir.join("x.npz"), &x);
        let in_folder = |line: String| {
            let mut command = command(line.split_whitespace());
            command.current_dir(dir);
            run(command).passed();
        };
        let quantize = "quantize f.onnx --calib x.npz --sensitivity --json r.json";
        in_folder(format!("{quantize} -o {name}.mfq"));
        let report = read_json(&dir.join("r.json"));
        let layers = report["layers"].as_array().expect("layers");
        let lstm = layers.iter().find(|l| l["op"] == "LSTM").expect("an LSTM");
        let sqnr = lstm["accumulated"]["sqnr_db"].as_f64().or_else(|| {
            // the last state has no tensor of its own name; the output has
            layers.last().expect("a layer")["accumulated"]["sqnr_db"].as_f64()
        });
        assert!(sqnr > Some(30.0), "{lstm}");
        in_folder(format!("compile {name}.mfq --board pynq-z2 -o {name}"));
        let options: [&dyn AsRef<std::ffi::OsStr>; 5] =
            [&"--input", &"x.npz", &"--samples", &"2", &"--layers"];
        let mut command = command(["simulate", name]);
        command.current_dir(dir).args(options.map(AsRef::as_ref));
        let simulated = run(command).passed();
        assert!(
            simulated.stdout.contains(" 0 mismatches"),
            "{}",
            simulated.stdout
        );
    }
}

#[test]
fn what_the_unit_does_not_have_is_named() {
    type Edit = fn(&mut OnnxGraph);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let edits: [(Edit, &[&str]); 8] = [
        (
            |g| set(g, "direction", OnnxAttribute::String(b"reverse".into())),
            &["direction reverse", "direction forward"],
        ),
        (|g| set(g, "clip", OnnxAttribute::Float(3.0)), &["clip"]),
        (
            |g| set(g, "layout", OnnxAttribute::Int(1)),
            // the sequence then has seven samples of one step
            &["layout 1", "layout 0"],
        ),
        (
            |g| {
                let names = ["Sigmoid", "Relu", "Tanh"].map(|n| n.as_bytes().to_vec());
                set(g, "activations", OnnxAttribute::Strings(names.into()));
            },
            &["Relu", "Sigmoid, Tanh, Tanh"],
        ),
        (
            |g| {
                let ones = TensorData::F32(vec![1.0; 5]);
                let ones = OnnxTensor::new(vec![1, 1, 5], ones);
                g.initializers.insert("start".into(), ones);
                lstm(g).inputs.extend(["", "start"].map(String::from));
            },
            &["initial state", "zero"],
        ),
        (
            |g| {
                let short = OnnxTensor::new(vec![1, 39], TensorData::F32(vec![0.0; 39]));
                g.initializers.insert("b".into(), short);
            },
            &["39 values", "40 float32 values"],
        ),
        (
            |g| {
                let huge = OnnxTensor::new(vec![1, 40], TensorData::F32(vec![1e9; 40]));
                g.initializers.insert("b".into(), huge);
            },
            &["bias 2000000000", "below 2^31 steps"],
        ),
        (
            |g| {
                lstm(g).outputs.push("last".into());
                quantized_as(g, "last", "z", (0.5, 1));
            },
            &["Y_h with another scale", "one tensor"],
        ),
    ];
    for (edit, words) in edits {
        let mut graph = SMALL.quantized(1);
        edit(&mut graph);
        let model = graph.to_bytes().expect("a plain graph");
        compile(dir.path(), "3x8x4", &model).refused(words);
    }
}

fn lstm(graph: &mut OnnxGraph) -> &mut macforge_model::onnx::OnnxNode {
    let mut nodes = graph.nodes.iter_mut();
    nodes.find(|n| n.op_type == "LSTM").expect("an LSTM")
}

fn set(graph: &mut OnnxGraph, name: &str, value: OnnxAttribute) {
    lstm(graph).attributes.insert(name.into(), value);
}

/// The network's LSTM in float64, from its dequantized operands; with the hidden state quantized in
/// every step, or not at all.
fn in_float64(network: &Network, graph: &OnnxGraph, x: &[f64], quantizes: bool) -> Vec<f64> {
    let [length, inputs, units] = network.size;
    let matrix = |name: &str, columns: usize| -> Vec<f64> {
        let values = &graph.initializers[&format!("{name}_quantized")].data;
        let scales = &graph.initializers[&format!("{name}_scale")].data;
        let (values, scales) = (values.to_i64().unwrap(), scales.as_f32().unwrap());
        let real = |(i, v): (usize, i64)| v as f64 * f64::from(scales[i / columns]);
        values.into_iter().enumerate().map(real).collect()
    };
    let (w, r) = (matrix("w", inputs), matrix("r", units));
    let b = graph.initializers["b"].data.as_f32().unwrap();
    let (scale, zero_point) = (f64::from(network.hidden.0), f64::from(network.hidden.1));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (mut h, mut c) = (vec![0.0; units], vec![0.0; units]);
    let mut all = Vec::new();
    for x in x.chunks_exact(inputs).take(length) {
        let mut next = Vec::new();
        for (unit, c) in c.iter_mut().enumerate() {
            // ONNX's order: input, output, forget, cell
            let [i, o, f, g] = [0, 1, 2, 3].map(|gate| {
                let row = gate * units + unit;
                dot(&w[row * inputs..][..inputs], x)
                    + dot(&r[row * units..][..units], &h)
                    + f64::from(b[row])
                    + f64::from(b[4 * units + row])
            });
            *c = logistic(f) * *c + logistic(i) * g.tanh();
            next.push(logistic(o) * c.tanh());
        }
        let step = |v: f64| ((v / scale).round_ties_even() + zero_point).clamp(-128.0, 127.0);
        let quantized = next.iter().map(|&v| (step(v) - zero_point) * scale);
        h = if quantizes { quantized.collect() } else { next };
        all.extend(&h);
    }
    all
}

/// The measured bound that the README states, in steps of the hidden state's scale 1/128: between the
/// rule and float64 with the same int8 hidden state, and with a hidden state that is not quantized.
#[test]
fn hidden_states_are_near_those_of_float64() {
    let network = Network {
        size: [24, 5, 32],
        ..SMALL
    };
    let mut worst = [0f64; 2];
    for seed in 0..10 {
        let graph = network.quantized(seed);
        let lowered = macforge_quant::lower(&graph, None).expect("the unit has it");
        let mut random = Random(seed + 100);
        let x: Vec<f32> = (0..24 * 5).map(|_| random.next() * 2.0).collect();
        let of_x = AffineParams::new(0.02, 3).unwrap();
        let real = |&v: &f32| f64::from(of_x.dequantize(of_x.quantize_even(v)));
        let dequantized: Vec<f64> = x.iter().map(real).collect();
        let x = ArrayD::from_shape_vec(IxDyn(&lowered.tensor(lowered.inputs[0]).shape), x).unwrap();
        let run = macforge_reference::run(&lowered, &[Value::F32(x)]).expect("it runs");
        let Some(Value::F32(found)) = &run.tensors[lowered.outputs[0].0] else {
            panic!("a float32 output");
        };
        for (worst, quantizes) in worst.iter_mut().zip([true, false]) {
            let wanted = in_float64(&network, &graph, &dequantized, quantizes);
            for (found, wanted) in found.iter().zip(wanted) {
                *worst = worst.max((f64::from(*found) - wanted).abs() * 128.0);
            }
        }
    }
    println!("{worst:?} steps");
    assert!(worst[0] <= 2.0 && worst[1] <= 2.0, "{worst:?} steps");
}
