//! Graphs of one node.
#![allow(dead_code)] // Each test binary uses its own part.

use macforge_numeric::{AffineParams, Clamp, RequantRule, Requantizer, Semantics};
use macforge_quant::{DType, QGraph, QNode, QOp, QTensor, TensorId, Window};
use macforge_reference::{ReferenceError, Run, Value, run};
use ndarray::{ArrayD, IxDyn};

/// An int8 tensor of scale 0.5.
pub fn int8(name: &str, shape: &[usize], zero_point: i32) -> QTensor {
    QTensor {
        name: name.to_owned(),
        shape: shape.to_vec(),
        dtype: DType::I8,
        quant: Some(AffineParams {
            scale: 0.5,
            zero_point,
        }),
        unsigned: false,
        channels_first: false,
    }
}

/// A float32 tensor.
pub fn float32(name: &str, shape: &[usize]) -> QTensor {
    QTensor {
        dtype: DType::F32,
        quant: None,
        ..int8(name, shape, 0)
    }
}

/// A graph of one node that reads `inputs` and writes `output`.
pub fn graph(op: QOp, inputs: &[QTensor], output: QTensor) -> QGraph {
    let ids: Vec<_> = (0..inputs.len()).map(TensorId).collect();
    let out = TensorId(inputs.len());
    let mut tensors = inputs.to_vec();
    tensors.push(output);
    QGraph {
        name: "one_node".to_owned(),
        semantics: Semantics::TfliteDouble,
        tensors,
        nodes: vec![QNode {
            name: "node_0".to_owned(),
            source: format!("{} #0 (test)", op.kind()),
            inputs: ids.clone(),
            output: out,
            op,
        }],
        inputs: ids,
        outputs: vec![out],
        states: Vec::new(),
        input_ranges: Vec::new(),
    }
}

/// An int8 value.
pub fn i8s(shape: &[usize], elements: &[i8]) -> Value {
    Value::I8(ArrayD::from_shape_vec(IxDyn(shape), elements.to_vec()).unwrap())
}

/// A float32 value.
pub fn f32s(shape: &[usize], elements: &[f32]) -> Value {
    Value::F32(ArrayD::from_shape_vec(IxDyn(shape), elements.to_vec()).unwrap())
}

/// Runs a graph with one output; the elements in row-major order, and the saturations.
pub fn eval(graph: &QGraph, inputs: &[Value]) -> (Vec<i8>, u64) {
    let run = run(graph, inputs).unwrap();
    let elements = run.outputs(graph)[0].as_i8().unwrap();
    (elements.iter().copied().collect(), run.saturations[0])
}

/// Runs a graph that cannot be evaluated.
pub fn eval_error(graph: &QGraph, inputs: &[Value]) -> ReferenceError {
    let result: Result<Run, _> = run(graph, inputs);
    result.unwrap_err()
}

/// Passes accumulators through unscaled.
pub fn identity(zero_point: i32) -> Requantizer {
    shifted(0, zero_point)
}

/// Divides accumulators by `2^shift`, half up.
pub fn shifted(shift: u32, zero_point: i32) -> Requantizer {
    Requantizer {
        rule: RequantRule::Pow2 { shift },
        zero_point,
        clamp: Clamp::INT8,
    }
}

/// A dense window without padding.
pub fn window(kernel: [usize; 2], stride: [usize; 2]) -> Window {
    Window {
        kernel,
        stride,
        dilation: [1, 1],
        pad: [0, 0],
    }
}
