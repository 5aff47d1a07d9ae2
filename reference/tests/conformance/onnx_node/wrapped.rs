//! Float operators in integers: between conversions of scale 1, or on codes of the values.

use std::collections::BTreeMap;

use macforge_model::onnx::{OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValue, TensorData};

use super::super::Outcome;
use super::case::{Case, compare, integers, lowered};

/// Operands that are computed; the others are constants of a model.
fn computed(case: &Case) -> Vec<usize> {
    match case.op.as_str() {
        "Add" | "Sub" | "Mul" | "MatMul" => vec![0, 1],
        "Concat" => (0..case.graph.nodes[0].inputs.len()).collect(),
        _ => vec![0],
    }
}

/// Whole numbers of int8 among the values.
fn whole(tensor: &OnnxTensor) -> Option<Vec<i64>> {
    let values: Vec<i64> = match tensor.data.as_f32() {
        Some(reals) => {
            let fit = |&v: &f32| (v.fract() == 0.0 && v.abs() < 1e6).then_some(v as i64);
            reals.iter().map(fit).collect::<Option<_>>()?
        }
        None => tensor.data.to_i64()?,
    };
    let int8 = values.iter().all(|v| (-128..=127).contains(v));
    int8.then_some(values)
}

fn scale_one(graph: &mut OnnxGraph) {
    let one = OnnxTensor::scalar_f32(1.0);
    graph.initializers.insert("one".into(), one);
    let zero = OnnxTensor::new(vec![], TensorData::I8(vec![0]));
    graph.initializers.insert("zero".into(), zero);
}

fn int8(shape: &[usize], values: &[i64]) -> OnnxTensor {
    let values = values.iter().map(|&v| v as i8).collect();
    OnnxTensor::new(shape.to_vec(), TensorData::I8(values))
}

/// Runs the operator between conversions of scale 1.
pub fn whole_numbers(case: &Case) -> Outcome {
    let node = &case.graph.nodes[0];
    let float = case.inputs.values().any(|t| t.data.as_f32().is_some());
    if !float {
        return Outcome::not_applicable("integers without scales");
    }
    if case.op == "Conv" && node.inputs.len() == 2 {
        return accumulators(case);
    }
    let wanted: Option<Vec<_>> = case.outputs.iter().map(whole).collect();
    let indices = computed(case);
    let weights: &[usize] = match case.op.as_str() {
        "Conv" | "ConvTranspose" | "Gemm" => &[1],
        _ => &[],
    };
    let names: Vec<&str> = indices.iter().map(|&i| node.inputs[i].as_str()).collect();
    let inputs: Option<Vec<_>> = names.iter().map(|n| whole(&case.inputs[*n])).collect();
    let constants = weights
        .iter()
        .map(|&i| whole(&case.inputs[&node.inputs[i]]));
    let constants: Option<Vec<_>> = constants.collect();
    let (Some(wanted), Some(inputs), Some(constants)) = (wanted, inputs, constants) else {
        return Outcome::not_applicable("values that are no small whole numbers");
    };
    let mut graph = case.bound(&names);
    scale_one(&mut graph);
    let mut nodes = Vec::new();
    for value in &mut graph.inputs {
        let quantized = format!("{}_q", value.name);
        let inner = std::mem::replace(&mut value.name, quantized);
        value.dtype = Some(OnnxType::I8);
        nodes.push(dequantize(&value.name, &inner));
    }
    for (&index, values) in weights.iter().zip(&constants) {
        let name = &node.inputs[index];
        let shape = graph.initializers.remove(name).expect("a constant").shape;
        graph
            .initializers
            .insert(format!("{name}_q"), int8(&shape, values));
        nodes.push(dequantize(&format!("{name}_q"), name));
    }
    nodes.append(&mut graph.nodes);
    for output in &mut graph.outputs {
        let quantized = format!("{}_q", output.name);
        nodes.push(OnnxNode::new(
            "QuantizeLinear",
            "",
            &[&output.name, "one", "zero"],
            &[&quantized],
        ));
        *output = OnnxValue {
            name: quantized,
            dtype: Some(OnnxType::I8),
            shape: output.shape.clone(),
        };
    }
    graph.nodes = nodes;
    judged(&graph, &inputs, &wanted)
}

/// A convolution of whole numbers as ConvInteger, whose result is not bounded by int8.
fn accumulators(case: &Case) -> Outcome {
    let node = &case.graph.nodes[0];
    let (x, w) = (&case.inputs[&node.inputs[0]], &case.inputs[&node.inputs[1]]);
    let (Some(input), Some(weights)) = (whole(x), whole(w)) else {
        return Outcome::not_applicable("values that are no small whole numbers");
    };
    let wanted = case.outputs[0].data.as_f32().expect("float32");
    let wanted = wanted.iter().map(|&v| v as i64).collect();
    let mut graph = case.bound(&[&node.inputs[0]]);
    graph.inputs[0].dtype = Some(OnnxType::I8);
    graph.outputs[0].dtype = Some(OnnxType::I32);
    graph.nodes[0].op_type = "ConvInteger".into();
    let weights = int8(&w.shape, &weights);
    graph.initializers.insert(node.inputs[1].clone(), weights);
    judged(&graph, &[input], &[wanted])
}

fn dequantize(from: &str, to: &str) -> OnnxNode {
    OnnxNode::new("DequantizeLinear", "", &[from, "one", "zero"], &[to])
}

fn judged(graph: &OnnxGraph, inputs: &[Vec<i64>], wanted: &[Vec<i64>]) -> Outcome {
    match lowered(graph) {
        Err(reason) => Outcome::NotApplicable(reason),
        Ok(graph) => match integers(graph, inputs) {
            Ok(ran) => compare(&ran.outputs, wanted, Some(ran.exact)),
            Err(error) => Outcome::Failed(error),
        },
    }
}

/// Codes in int8 that keep the order of the values and zero.
struct Codes(BTreeMap<i64, i64>);

impl Codes {
    fn new(tensors: &[&OnnxTensor]) -> Option<Self> {
        let mut keys: Vec<i64> = Vec::new();
        for tensor in tensors {
            keys.extend(keys_of(tensor)?);
        }
        keys.sort_unstable();
        keys.dedup();
        let negative = keys.iter().filter(|&&k| k < 0).count();
        let positive = keys.iter().filter(|&&k| k > 0).count();
        // where there are more values than codes, neighbours share one, which a maximum allows
        let code = |k: i64, rank: usize| match k {
            0 => 0,
            k if k < 0 => -(((negative - rank) * 128).div_ceil(negative.max(128)) as i64),
            _ => ((rank + 1) * 127).div_ceil(positive.max(127)) as i64,
        };
        let (mut below, mut above) = (0, 0);
        let codes = keys.into_iter().map(|k| {
            let rank = if k < 0 { &mut below } else { &mut above };
            let code = code(k, *rank);
            *rank += usize::from(k != 0);
            (k, code)
        });
        Some(Codes(codes.collect()))
    }

    fn of(&self, tensor: &OnnxTensor) -> Option<Vec<i64>> {
        let keys = keys_of(tensor)?;
        keys.iter().map(|k| self.0.get(k).copied()).collect()
    }
}

/// Integers in the order of the values.
fn keys_of(tensor: &OnnxTensor) -> Option<Vec<i64>> {
    match tensor.data.as_f32() {
        Some(reals) => {
            let key = |v: &f32| {
                let bits = i64::from(v.abs().to_bits());
                if *v < 0.0 { -bits } else { bits }
            };
            Some(reals.iter().map(key).collect())
        }
        None => tensor.data.to_i64(),
    }
}

/// Runs an operator that moves or selects values on their codes.
pub fn moved(case: &Case) -> Outcome {
    let node = &case.graph.nodes[0];
    let names: Vec<&str> = computed(case)
        .iter()
        .map(|&i| node.inputs[i].as_str())
        .collect();
    let data: Vec<&OnnxTensor> = names.iter().map(|n| &case.inputs[*n]).collect();
    let padding = (case.op == "Pad").then(|| node.input(2)).flatten();
    let mut coded = data.clone();
    coded.extend(padding.and_then(|name| case.inputs.get(name)));
    let Some(codes) = Codes::new(&coded) else {
        return Outcome::not_applicable("values that are no numbers");
    };
    let inputs: Option<Vec<_>> = data.iter().map(|t| codes.of(t)).collect();
    let wanted: Option<Vec<_>> = case.outputs.iter().map(|t| codes.of(t)).collect();
    let (Some(inputs), Some(wanted)) = (inputs, wanted) else {
        return Outcome::not_applicable("values that are computed, not moved");
    };
    let mut graph = case.bound(&names);
    for value in graph.inputs.iter_mut().chain(&mut graph.outputs) {
        value.dtype = Some(OnnxType::I8);
    }
    if let Some(name) = padding {
        let values = codes.of(&case.inputs[name]).expect("coded above");
        graph
            .initializers
            .insert(name.to_string(), int8(&[], &values));
    }
    judged(&graph, &inputs, &wanted)
}
