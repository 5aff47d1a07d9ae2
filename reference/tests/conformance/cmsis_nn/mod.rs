//! CMSIS-NN's unit tests, whose results come from TFLite and TFLite-Micro, as graphs of one node.
//!
//! Geometry and zero points are the files' `config` entry. A case has one sample per batch.

mod file;
mod ops;

use std::path::PathBuf;

use macforge_quant::{DType, QGraph, QNode, QOp, QTensor, TensorId};
use macforge_reference::{Interpreter, Value};
use ndarray::{ArrayD, IxDyn};

use super::{Exact, Judged, Outcome};
use file::CaseFile;

/// A graph with its inputs and the outputs that it must give.
struct Case {
    /// The graph, verified.
    graph: QGraph,
    /// Inputs of each sample, and its output, row-major.
    samples: Vec<(Vec<Value>, Vec<i8>)>,
}

/// The folder of the cases.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/conformance/cmsis_nn/A")
}

/// Every case of the collection.
pub fn judged() -> Vec<Judged> {
    let cases = names().into_iter().map(|name| Judged {
        outcome: judge(&name),
        op: operator(&name),
        name,
    });
    cases.collect()
}

/// The operator that a case is about: its name up to the variant.
fn operator(name: &str) -> String {
    let known = [
        "avgpooling",
        "batch_matmul",
        "depthwise",
        "fully_connected",
        "maximum",
        "maxpooling",
        "minimum",
        "lstm",
        "svdf",
        "pad",
    ];
    let is = |part: &str| name.contains(part);
    match name {
        "add" | "mul" | "ds_cnn_l" => name,
        _ if is("transpose_conv") => "transpose_conv",
        _ if is("transpose") => "transpose",
        _ if name.starts_with("fc_") => "fully_connected",
        _ if name.starts_with("in_ch_one") => "depthwise",
        _ if name.starts_with("requantize") => "requantize",
        _ => known.into_iter().find(|k| is(k)).unwrap_or("convolve"),
    }
    .to_owned()
}

fn judge(name: &str) -> Outcome {
    let case = match case(name) {
        Ok(case) => case,
        Err(reason) => return Outcome::not_applicable(reason),
    };
    let interpreter = Interpreter::new(&case.graph);
    let mut samples = Vec::new();
    for (index, (inputs, wanted)) in case.samples.into_iter().enumerate() {
        let run = match interpreter.run(&inputs) {
            Ok(run) => run,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        let found = run.outputs(&case.graph)[0];
        let elements = found.as_i8().expect("int8");
        let differing = elements.iter().zip(&wanted).filter(|(a, b)| a != b).count();
        if elements.len() != wanted.len() || differing > 0 {
            let all = wanted.len();
            return Outcome::Failed(format!("sample {index}: {differing} of {all} differ"));
        }
        samples.push((inputs, vec![found.clone()]));
    }
    Outcome::Passed(vec![Exact {
        graph: case.graph.clone(),
        samples,
    }])
}

/// Names of all cases, sorted.
fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder())
        .unwrap_or_else(|e| panic!("{folder:?}: {e}", folder = folder()));
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".npz").map(str::to_owned)
    };
    let mut names: Vec<String> = entries.filter_map(name).collect();
    names.sort();
    names
}

/// The case called `name`.
///
/// # Errors
/// Why there is no graph for it.
fn case(name: &str) -> Result<Case, &'static str> {
    if name.contains("int16") || name.contains("s16") || name == "requantize_s64" {
        return Err("int16 activations");
    }
    let mut file = CaseFile::open(&folder(), name);
    let is = |prefix: &str| name.starts_with(prefix);
    Ok(match name {
        "ds_cnn_l" => return Err("a network, not an operator"),
        "fully_connected_int4_6" => return Err("output zero point 128, which is no int8"),
        "lstm_1" | "lstm_2" => {
            return Err("CMSIS-NN's gates are interpolated tables, TFLite's are gemmlowp's");
        }
        "lstm_stateful_batch_major_multibatch" => ops::lstm(&mut file),
        "add" | "mul" => ops::arithmetic(&mut file, name == "add"),
        "pad_int8_1" => ops::pad(&mut file),
        _ if is("svdf") => return Err("SVDF is no operator of the importer"),
        _ if is("avgpooling") => ops::pool(&mut file, true),
        _ if is("maxpooling") => ops::pool(&mut file, false),
        _ if is("batch_matmul") => ops::matmul(&mut file),
        _ if is("maximum") => ops::extremum(&mut file, true),
        _ if is("minimum") => ops::extremum(&mut file, false),
        _ if is("transpose_conv") || is("reverse_transpose_conv") => {
            ops::convolution(&mut file, ops::Kind::Transposed)
        }
        _ if is("transpose") => ops::transpose(&mut file),
        _ if is("fully_connected") || is("fc_") => ops::fully_connected(&mut file),
        _ if is("depthwise") || is("in_ch_one") => {
            ops::convolution(&mut file, ops::Kind::Depthwise)
        }
        _ => ops::convolution(&mut file, ops::Kind::Dense),
    })
}

/// An int8 tensor; its scale matters to no rule that is given ready-made.
fn int8(name: &str, shape: &[usize], zero_point: i32) -> QTensor {
    QTensor {
        name: name.to_owned(),
        shape: shape.to_vec(),
        dtype: DType::I8,
        quant: Some(macforge_numeric::AffineParams {
            scale: 0.5,
            zero_point,
        }),
        unsigned: false,
        channels_first: false,
    }
}

/// A verified graph of nodes in sequence: the first reads `inputs`, each other one the tensor before
/// it and the inputs from the second on.
fn chain(name: &str, inputs: &[QTensor], nodes: Vec<(QOp, QTensor)>) -> QGraph {
    let ids: Vec<TensorId> = (0..inputs.len()).map(TensorId).collect();
    let mut graph = QGraph {
        name: name.to_owned(),
        semantics: macforge_numeric::Semantics::TfliteDouble,
        tensors: inputs.to_vec(),
        nodes: Vec::new(),
        inputs: ids.clone(),
        outputs: Vec::new(),
        states: Vec::new(),
        input_ranges: Vec::new(),
    };
    let mut newest = ids[0];
    let last = nodes.len() - 1;
    for (at, (op, tensor)) in nodes.into_iter().enumerate() {
        let output = TensorId(graph.tensors.len());
        graph.tensors.push(tensor);
        let rest: &[TensorId] = if at == last { &ids[1..] } else { &[] };
        graph.nodes.push(QNode {
            name: format!("node_{at}"),
            source: format!("{} #{at} ({name})", op.kind()),
            inputs: [&[newest], rest].concat(),
            output,
            op,
        });
        newest = output;
    }
    graph.outputs = vec![newest];
    graph.verify().unwrap_or_else(|e| panic!("{name}: {e}"));
    graph
}

/// A graph of one node, run on every batch of `input`.
fn single(name: &str, op: QOp, x: QTensor, y: QTensor, input: &[i8], wanted: &[i8]) -> Case {
    let (shape, outputs) = (x.shape.clone(), y.elements());
    let samples = input.chunks(x.elements()).zip(wanted.chunks(outputs));
    assert_eq!(input.len() / x.elements(), wanted.len() / outputs, "{name}");
    Case {
        samples: samples
            .map(|(x, y)| (vec![value(&shape, x)], y.to_vec()))
            .collect(),
        graph: chain(name, &[x], vec![(op, y)]),
    }
}

fn value(shape: &[usize], elements: &[i8]) -> Value {
    Value::I8(ArrayD::from_shape_vec(IxDyn(shape), elements.to_vec()).unwrap())
}
