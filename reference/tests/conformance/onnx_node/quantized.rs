//! Quantized operators at their specification's values.

use macforge_model::onnx::{OnnxTensor, OnnxType, TensorData};
use macforge_numeric::dynamic::DynamicParams;
use macforge_numeric::{AffineParams, Semantics};
use macforge_quant::QGraph;
use macforge_reference::{Value, run};

use super::super::{Exact, Outcome};
use super::case::{Case, compare, elements, integers, lowered, value};

/// The integers of a tensor.
fn ints(tensor: &OnnxTensor) -> Vec<i64> {
    tensor.data.to_i64().expect("integers")
}

/// Products: activations are computed, the rest is constant.
pub fn layer(case: &Case) -> Outcome {
    let computed: &[usize] = match case.op.as_str() {
        "QLinearMatMul" => &[0, 3],
        "MatMulInteger" => &[0, 1],
        _ => &[0],
    };
    let names: Vec<&str> = computed.iter().filter_map(|&i| case.operand(i)).collect();
    let inputs: Vec<Vec<i64>> = names.iter().map(|n| ints(&case.inputs[*n])).collect();
    let wanted: Vec<Vec<i64>> = case.outputs.iter().map(ints).collect();
    let results: Vec<_> = [case.bound(&names), case.bound(&names[..1])]
        .iter()
        .map(|graph| {
            let graph = lowered(graph)?;
            let inputs = &inputs[..graph.inputs.len()];
            integers(graph, inputs)
        })
        .collect();
    // once with all activations computed, once with a constant second operand
    for result in &results {
        if let Ok(ran) = result
            && ran.outputs != wanted
        {
            return compare(&ran.outputs, &wanted, None);
        }
    }
    // a form that is refused does not matter where the other one is equal
    let (mut forms, mut reasons) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(ran) => forms.push(ran.exact),
            Err(reason) => reasons.push(reason),
        }
    }
    if forms.is_empty() {
        return Outcome::not_applicable(reasons.remove(0));
    }
    Outcome::Passed(forms)
}

/// QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear.
pub fn boundary(case: &Case) -> Outcome {
    let node = &case.graph.nodes[0];
    if case.op == "DynamicQuantizeLinear" {
        return dynamic(case);
    }
    if node.int("block_size").unwrap_or(0) != 0 {
        return Outcome::not_applicable("one scale per block");
    }
    let quantizes = case.op == "QuantizeLinear";
    let integer = if quantizes {
        &case.outputs[0]
    } else {
        &case.inputs[&node.inputs[0]]
    };
    match integer.data.dtype() {
        OnnxType::I8 | OnnxType::U8 if case.inputs[&node.inputs[1]].elements() == 1 => {}
        OnnxType::I8 | OnnxType::U8 => return per_axis(case),
        OnnxType::I4 | OnnxType::U4 | OnnxType::I2 | OnnxType::U2 => return per_axis(case),
        other => return Outcome::not_applicable(format!("activations of type {other}")),
    }
    if case.inputs[&node.inputs[1]].data.as_f32().is_none() {
        return Outcome::not_applicable("a scale that is not float32");
    }
    let graph = match lowered(&case.bound(&[&node.inputs[0]])) {
        Ok(graph) => graph,
        Err(reason) => return Outcome::NotApplicable(reason),
    };
    let (input, output) = (
        graph.tensor(graph.inputs[0]),
        graph.tensor(graph.outputs[0]),
    );
    let x = &case.inputs[&node.inputs[0]];
    if quantizes {
        let x = value(input, x.data.as_f32().expect("float32"), Value::F32);
        let exact = exact(&graph, x);
        let found = exact.samples[0].1[0].as_i8().expect("int8");
        let found = elements(output, found);
        let offset = if output.unsigned { 128 } else { 0 };
        let found = found.iter().map(|&v| i64::from(v) + offset).collect();
        return compare(&[found], &[ints(&case.outputs[0])], Some(exact));
    }
    let offset = if input.unsigned { 128 } else { 0 };
    let int8: Vec<i8> = ints(x).iter().map(|&v| (v - offset) as i8).collect();
    let exact = exact(&graph, value(input, &int8, Value::I8));
    let found = exact.samples[0].1[0].as_f32().expect("float32");
    let found = elements(output, found);
    same_floats(&found, case, Some(exact))
}

/// What a graph of one input and one output gives.
fn exact(graph: &QGraph, input: Value) -> Exact {
    let inputs = vec![input];
    let run = run(graph, &inputs).expect("a valid graph");
    let output = run.outputs(graph)[0].clone();
    Exact {
        graph: graph.clone(),
        samples: vec![(inputs, vec![output])],
    }
}

fn same_floats(found: &[f32], case: &Case, exact: Option<Exact>) -> Outcome {
    if Some(found) == case.outputs[0].data.as_f32() {
        return Outcome::Passed(exact.into_iter().collect());
    }
    Outcome::Failed(format!(
        "found {found:?}, wanted {:?}",
        case.outputs[0].data
    ))
}

/// One scale per slice: constants have that, so the rule is applied slice by slice.
fn per_axis(case: &Case) -> Outcome {
    let node = &case.graph.nodes[0];
    let (x, scales) = (&case.inputs[&node.inputs[0]], &case.inputs[&node.inputs[1]]);
    let axis = node.int("axis").unwrap_or(1);
    let axis = if axis < 0 {
        axis + x.shape.len() as i64
    } else {
        axis
    } as usize;
    let inner: usize = x.shape.iter().skip(axis + 1).product();
    let scales = scales.data.as_f32().expect("float32 scales");
    let zero_points = node.input(2).map(|name| &case.inputs[name]);
    let dtype = zero_points.map_or(OnnxType::U8, |z| z.data.dtype());
    let (lowest, highest) = dtype.int_range().expect("an integer type");
    let offset = if dtype == OnnxType::U8 { 128 } else { 0 };
    let params = |i: usize| {
        let slice = i / inner % scales.len();
        let zero = zero_points.map_or(0, |z| ints(z)[slice]);
        AffineParams::new(scales[slice], (zero - offset) as i32).expect("valid parameters")
    };
    match &x.data {
        TensorData::F32(values) => {
            // types of less than eight bits are int8 with a narrower range
            let quantize = |(i, &v): (usize, &f32)| {
                let q = params(i).quantize_as(Semantics::OrtX86, v) + offset;
                q.clamp(lowest, highest)
            };
            let found = values.iter().enumerate().map(quantize).collect();
            compare(&[found], &[ints(&case.outputs[0])], None)
        }
        _ => {
            let values = ints(x);
            let dequantize = |(i, &v): (usize, &i64)| params(i).dequantize((v - offset) as i8);
            let found: Vec<f32> = values.iter().enumerate().map(dequantize).collect();
            same_floats(&found, case, None)
        }
    }
}

/// The scale is computed from the data, which no static graph does; the rule itself is compared.
fn dynamic(case: &Case) -> Outcome {
    let x = case.inputs[&case.graph.nodes[0].inputs[0]]
        .data
        .as_f32()
        .expect("float32");
    let rule = DynamicParams::of(x);
    let found: Vec<i64> = x.iter().map(|&v| rule.quantize(v).into()).collect();
    let same = found == ints(&case.outputs[0])
        && case.outputs[1].data.as_f32() == Some(&[rule.scale])
        && ints(&case.outputs[2]) == [i64::from(rule.zero_point)];
    if same {
        Outcome::Passed(Vec::new())
    } else {
        Outcome::Failed(format!("found {found:?}, {rule:?}"))
    }
}
