//! Samples: the first array of an `.npz` file, batch first, or seeded random values.

use crate::cosim::layout;
use macforge_numeric::AffineParams;
use macforge_quant::{DType, QGraph};
use macforge_reference::Value;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use ndarray::{ArrayD, Axis, IxDyn};
use ndarray_npy::{NpzReader, ReadableElement};
use std::io::{Read, Seek};
use std::path::Path;

/// An array as the file has it.
enum Raw {
    Integers(ArrayD<i64>),
    Floats(ArrayD<f32>),
}

/// The samples of a file for the graph's input, at most `limit`.
pub fn from_file(graph: &QGraph, path: &Path, limit: Option<usize>) -> Result<Vec<Value>> {
    let file = std::fs::File::open(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read {}", path.display()))?;
    from_reader(graph, file, limit).wrap_err_with(|| format!("in {}", path.display()))
}

/// The same from anything that can be read.
pub fn from_reader<R: Read + Seek>(
    graph: &QGraph,
    reader: R,
    limit: Option<usize>,
) -> Result<Vec<Value>> {
    let mut npz = NpzReader::new(reader)
        .into_diagnostic()
        .wrap_err("not an .npz file")?;
    let raw = first_array(&mut npz)?;
    let input = graph.tensor(graph.inputs[0]);
    let raw = match raw {
        Raw::Integers(a) => Raw::Integers(layout::stored(input, a)),
        Raw::Floats(a) => Raw::Floats(layout::stored(input, a)),
    };
    let (found, batched) = match &raw {
        Raw::Integers(a) => (a.shape().to_vec(), a.ndim() > 0),
        Raw::Floats(a) => (a.shape().to_vec(), a.ndim() > 0),
    };
    // the batch comes first; unit dimensions in between do not matter
    let squeeze = |dims: &[usize]| dims.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
    if !batched || squeeze(&found[1..]) != squeeze(&input.shape) {
        return Err(miette!(
            "the first array has shape {found:?}; wanted [N, {}] for the input `{}`",
            layout::model_shape(input)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            input.name
        ));
    }
    let count = limit.unwrap_or(usize::MAX).min(found[0]);
    (0..count).map(|n| sample(graph, &raw, n)).collect()
}

fn first_array<R: Read + Seek>(npz: &mut NpzReader<R>) -> Result<Raw> {
    if npz.is_empty() {
        return Err(miette!("the file holds no array"));
    }
    macro_rules! try_integers {
        ($($t:ty),*) => {$(
            if let Some(a) = read::<$t, R>(npz) {
                return Ok(Raw::Integers(a.mapv(|v| v as i64)));
            }
        )*};
    }
    try_integers!(i8, u8, i16, u16, i32, u32, i64);
    if let Some(a) = read::<f32, R>(npz) {
        return Ok(Raw::Floats(a));
    }
    if let Some(a) = read::<f64, R>(npz) {
        return Ok(Raw::Floats(a.mapv(|v| v as f32)));
    }
    Err(miette!(
        "the first array is neither integer nor float, or is damaged"
    ))
}

fn read<T: ReadableElement, R: Read + Seek>(npz: &mut NpzReader<R>) -> Option<ArrayD<T>> {
    npz.by_index::<ndarray::OwnedRepr<T>, IxDyn>(0).ok()
}

fn sample(graph: &QGraph, raw: &Raw, n: usize) -> Result<Value> {
    let input = graph.tensor(graph.inputs[0]);
    let shape = IxDyn(&input.shape);
    match (raw, input.dtype) {
        (_, DType::I32) => Err(miette!("the input `{}` is int32", input.name)),
        (Raw::Integers(a), DType::I8) => {
            let values = a
                .index_axis(Axis(0), n)
                .iter()
                .map(|&v| int8(v, &input.name))
                .collect::<Result<_>>()?;
            Ok(Value::I8(
                ArrayD::from_shape_vec(shape, values).into_diagnostic()?,
            ))
        }
        (Raw::Integers(a), DType::F32) => {
            // raw integers for a float boundary: the real values that they stand for
            let params = inner_params(graph)?;
            let values = a
                .index_axis(Axis(0), n)
                .iter()
                .map(|&v| Ok(params.dequantize(int8(v, &input.name)?)))
                .collect::<Result<_>>()?;
            Ok(Value::F32(
                ArrayD::from_shape_vec(shape, values).into_diagnostic()?,
            ))
        }
        (Raw::Floats(a), DType::I8) => {
            let params = inner_params(graph)?;
            let values = a
                .index_axis(Axis(0), n)
                .iter()
                .map(|&v| params.quantize(v))
                .collect();
            Ok(Value::I8(
                ArrayD::from_shape_vec(shape, values).into_diagnostic()?,
            ))
        }
        (Raw::Floats(a), DType::F32) => {
            let values = a.index_axis(Axis(0), n).iter().copied().collect();
            Ok(Value::F32(
                ArrayD::from_shape_vec(shape, values).into_diagnostic()?,
            ))
        }
    }
}

fn int8(value: i64, input: &str) -> Result<i8> {
    i8::try_from(value).map_err(|_| miette!("the value {value} is not an int8 for `{input}`"))
}

/// Affine parameters of the int8 tensor at the input boundary.
fn inner_params(graph: &QGraph) -> Result<AffineParams> {
    let input = graph.inputs[0];
    let quantized = graph.nodes.iter().find(|n| {
        n.inputs.first() == Some(&input) && matches!(n.op, macforge_quant::QOp::Quantize)
    });
    let inner = quantized.map_or(input, |n| n.output);
    let tensor = graph.tensor(inner);
    tensor
        .quant
        .ok_or_else(|| miette!("the input `{}` has no scale", tensor.name))
}

/// `count` samples of seeded random int8 values; the first two are the extremes.
pub fn random(graph: &QGraph, count: usize) -> Result<Vec<Value>> {
    let input = graph.tensor(graph.inputs[0]);
    // a network that quantizes in float32 itself gets reals around zero
    let params = inner_params(graph).unwrap_or(AffineParams {
        scale: 1.0 / 64.0,
        zero_point: 0,
    });
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8 as i8
    };
    let mut samples = Vec::new();
    for n in 0..count {
        let values: Vec<i8> = (0..input.elements())
            .map(|_| match n {
                0 => -128,
                1 => 127,
                _ => next(),
            })
            .collect();
        let array = ArrayD::from_shape_vec(IxDyn(&input.shape), values).into_diagnostic()?;
        samples.push(match input.dtype {
            DType::I8 => Value::I8(array),
            DType::F32 => Value::F32(array.mapv(|q| params.dequantize(q))),
            DType::I32 => return Err(miette!("the input `{}` is int32", input.name)),
        });
    }
    Ok(samples)
}

/// Stream beats of a sample: four int8 or one float32 each.
pub fn beats(value: &Value) -> Vec<u32> {
    match value {
        Value::I8(a) => {
            let bytes: Vec<u8> = a.iter().map(|&v| v as u8).collect();
            bytes
                .chunks(4)
                .map(|c| c.iter().rev().fold(0u32, |w, &b| w << 8 | u32::from(b)))
                .collect()
        }
        Value::I32(a) => a.iter().map(|v| v.cast_unsigned()).collect(),
        Value::F32(a) => a.iter().map(|v| v.to_bits()).collect(),
    }
}
