//! ONNX's own node tests, run as integer graphs.
//!
//! Quantized operators run at their specification's values: scales, zero points and weights become
//! constants, as in a model. Float operators run between DequantizeLinear and QuantizeLinear of
//! scale 1 where their values are small whole numbers, so that the result must be equal. Operators
//! that move values run on int8 codes of the values.

mod case;
mod quantized;
mod wrapped;

use super::{Judged, Outcome};
use case::Case;

/// Every case of the collection.
pub fn judged() -> Vec<Judged> {
    let cases = case::all().into_iter().map(|case| Judged {
        outcome: judge(&case),
        name: case.name,
        op: case.op,
    });
    cases.collect()
}

fn judge(case: &Case) -> Outcome {
    if !case.is_complete() {
        return Outcome::not_applicable("a type that is not taken (float8, float16, float4, ...)");
    }
    match case.op.as_str() {
        "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" => {
            quantized::boundary(case)
        }
        "QLinearConv" | "ConvInteger" | "QLinearMatMul" | "MatMulInteger" => quantized::layer(case),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Slice" | "Split"
        | "Concat" | "Identity" | "Resize" | "Pad" | "MaxPool" | "GlobalMaxPool" => {
            wrapped::moved(case)
        }
        "Add" | "Sub" | "Mul" | "Relu" | "Clip" | "LeakyRelu" | "PRelu" | "Conv"
        | "ConvTranspose" | "Gemm" | "MatMul" | "AveragePool" | "GlobalAveragePool"
        | "ReduceMean" => wrapped::whole_numbers(case),
        "Sigmoid" | "Tanh" | "HardSigmoid" | "HardSwish" => Outcome::not_applicable(
            "a float32 function; onnxruntime's bits are compared in numeric",
        ),
        "Softmax" | "BatchNormalization" | "ArgMax" => {
            Outcome::not_applicable("no quantized form in an integer graph")
        }
        "LSTM" => Outcome::not_applicable("float32; the quantized form has FP16 gates and states"),
        "GRU" | "RNN" => Outcome::not_applicable("no importer for these recurrent operators"),
        other => panic!(
            "{}: operator {other} of the collection is not judged",
            case.name
        ),
    }
}
