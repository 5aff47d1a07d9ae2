//! A node test: its model, inputs and expected outputs, and how to run it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use macforge_model::onnx::{OnnxGraph, OnnxTensor, import, import_tensor};
use macforge_quant::{QGraph, QTensor};
use macforge_reference::{Value, run};
use ndarray::{ArrayD, IxDyn};

use super::super::{Exact, Outcome};

/// A node test.
pub struct Case {
    pub name: String,
    pub op: String,
    pub graph: OnnxGraph,
    /// By value name; inputs that are left out are missing.
    pub inputs: BTreeMap<String, OnnxTensor>,
    /// In the graph's order.
    pub outputs: Vec<OnnxTensor>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/conformance/onnx_node")
}

/// Every case whose tensors this project's types can hold; the others are judged by name.
pub fn all() -> Vec<Case> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert_eq!(folders.len(), 342);
    folders.iter().map(|f| case(f)).collect()
}

fn case(folder: &Path) -> Case {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let model = import(&name, &fs::read(folder.join("model.onnx")).unwrap());
    let graph = model.unwrap_or_else(|e| panic!("{name}: {e}"));
    let tensor = |kind: &str, index: usize| {
        let path = folder.join(format!("test_data_set_0/{kind}_{index}.pb"));
        import_tensor(&fs::read(path).ok()?).ok()
    };
    let given = graph.inputs.iter().enumerate();
    let inputs = given.filter_map(|(i, v)| Some((v.name.clone(), tensor("input", i)?)));
    let outputs = (0..graph.outputs.len()).filter_map(|i| tensor("output", i));
    Case {
        op: operator(&name, &graph),
        inputs: inputs.collect(),
        outputs: outputs.collect(),
        name,
        graph,
    }
}

/// Operator of a case; the collection's models have one node, or an expanded function of it.
fn operator(name: &str, graph: &OnnxGraph) -> String {
    match graph.nodes.as_slice() {
        [node] => node.op_type.clone(),
        nodes => panic!("{name}: {} nodes", nodes.len()),
    }
}

impl Case {
    /// Whether every tensor has a type that is read.
    pub fn is_complete(&self) -> bool {
        self.inputs.len() == self.graph.inputs.len()
            && self.outputs.len() == self.graph.outputs.len()
    }

    /// The graph with every input but `computed` as a constant.
    pub fn bound(&self, computed: &[&str]) -> OnnxGraph {
        let mut graph = self.graph.clone();
        graph.inputs.retain(|v| computed.contains(&v.name.as_str()));
        for (name, tensor) in &self.inputs {
            if !computed.contains(&name.as_str()) {
                graph.initializers.insert(name.clone(), tensor.clone());
            }
        }
        graph
    }

    /// Name of operand `index` of the node.
    pub fn operand(&self, index: usize) -> Option<&str> {
        self.graph.nodes[0].input(index)
    }
}

/// Lowers a graph through its bytes; a refusal is a reason.
pub fn lowered(graph: &OnnxGraph) -> Result<QGraph, String> {
    let bytes = graph.to_bytes().map_err(|e| e.to_string())?;
    let graph = import("case", &bytes).map_err(|e| e.to_string())?;
    macforge_quant::lower(&graph, None).map_err(|e| e.to_string())
}

/// Row-major elements of ONNX as a value of the graph.
pub fn value<T: Copy>(tensor: &QTensor, elements: &[T], make: fn(ArrayD<T>) -> Value) -> Value {
    let shape = &tensor.shape;
    let onnx = match (tensor.channels_first, shape.as_slice()) {
        (true, &[h, w, c]) => vec![c, h, w],
        (true, &[w, c]) => vec![c, w],
        _ => shape.clone(),
    };
    let array = ArrayD::from_shape_vec(IxDyn(&onnx), elements.to_vec()).unwrap();
    let moved: Vec<T> = match (tensor.channels_first, onnx.len()) {
        (true, 3) => array
            .permuted_axes(IxDyn(&[1, 2, 0]))
            .iter()
            .copied()
            .collect(),
        (true, 2) => array
            .permuted_axes(IxDyn(&[1, 0]))
            .iter()
            .copied()
            .collect(),
        _ => array.iter().copied().collect(),
    };
    make(ArrayD::from_shape_vec(IxDyn(shape), moved).unwrap())
}

/// Elements of a value in ONNX's order.
pub fn elements<T: Copy>(tensor: &QTensor, array: &ArrayD<T>) -> Vec<T> {
    let view = array.view();
    match (tensor.channels_first, array.ndim()) {
        (true, 3) => view
            .permuted_axes(IxDyn(&[2, 0, 1]))
            .iter()
            .copied()
            .collect(),
        (true, 2) => view.permuted_axes(IxDyn(&[1, 0])).iter().copied().collect(),
        _ => view.iter().copied().collect(),
    }
}

/// What a graph gave.
pub struct Ran {
    /// Every output as integers of the model's own type.
    pub outputs: Vec<Vec<i64>>,
    /// The graph and its one sample.
    pub exact: Exact,
}

/// Runs the graph on int8 inputs.
pub fn integers(graph: QGraph, inputs: &[Vec<i64>]) -> Result<Ran, String> {
    let values = graph.inputs.iter().zip(inputs).map(|(&id, elements)| {
        let tensor = graph.tensor(id);
        let offset = if tensor.unsigned { 128 } else { 0 };
        let int8: Vec<i8> = elements
            .iter()
            .map(|&v| i8::try_from(v - offset).unwrap())
            .collect();
        value(tensor, &int8, Value::I8)
    });
    let values: Vec<Value> = values.collect();
    let run = run(&graph, &values).map_err(|e| e.to_string())?;
    let found: Vec<Value> = run.outputs(&graph).into_iter().cloned().collect();
    let outputs = graph.outputs.iter().zip(&found);
    let outputs = outputs
        .map(|(&id, found)| {
            let tensor = graph.tensor(id);
            let offset = if tensor.unsigned { 128 } else { 0 };
            match found {
                Value::I8(array) => elements(tensor, array)
                    .iter()
                    .map(|&v| i64::from(v) + offset)
                    .collect(),
                Value::I32(array) => elements(tensor, array).iter().map(|&v| v.into()).collect(),
                _ => panic!("an integer output"),
            }
        })
        .collect();
    let samples = vec![(values, found)];
    Ok(Ran {
        outputs,
        exact: Exact { graph, samples },
    })
}

/// Equal, with the graph that gave it, or what differs.
pub fn compare(found: &[Vec<i64>], wanted: &[Vec<i64>], exact: Option<Exact>) -> Outcome {
    if found == wanted {
        Outcome::Passed(exact.into_iter().collect())
    } else {
        Outcome::Failed(format!("found {found:?}, wanted {wanted:?}"))
    }
}
