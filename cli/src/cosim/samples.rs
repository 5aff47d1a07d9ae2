//! Samples: the first array of an `.npz` file, batch first, or seeded random values.

use crate::cosim::decode::top_bit;
use crate::cosim::{layout, pairs};
use macforge_numeric::AffineParams;
use macforge_quant::{DType, QGraph, QTensor, TensorId};
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

/// The samples of a file, at most `limit`: one value per graph input. A graph with one input takes
/// the first array, one with several takes the arrays with their names, or all arrays in order.
pub fn from_file(graph: &QGraph, path: &Path, limit: Option<usize>) -> Result<Vec<Vec<Value>>> {
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
) -> Result<Vec<Vec<Value>>> {
    let mut npz = NpzReader::new(reader)
        .into_diagnostic()
        .wrap_err("not an .npz file")?;
    let names = npz.names().into_diagnostic()?;
    let mut arrays = Vec::new();
    for (position, &id) in graph.inputs.iter().enumerate() {
        let named = (graph.inputs.len() > 1)
            .then(|| names.iter().position(|n| *n == graph.tensor(id).name))
            .flatten();
        let raw = array(&mut npz, named.unwrap_or(position))?;
        let raw = match raw {
            Raw::Integers(a) => Raw::Integers(layout::stored(graph.tensor(id), a)),
            Raw::Floats(a) => Raw::Floats(layout::stored(graph.tensor(id), a)),
        };
        check_shape(graph, id, &raw)?;
        arrays.push((id, raw));
    }
    let fewest = arrays.iter().map(|(_, raw)| raw.shape()[0]).min();
    let count = limit.unwrap_or(usize::MAX).min(fewest.unwrap_or(0));
    (0..count)
        .map(|n| {
            arrays
                .iter()
                .map(|(id, raw)| sample(graph, *id, raw, n))
                .collect()
        })
        .collect()
}

/// The batch comes first; unit dimensions in between do not matter.
fn check_shape(graph: &QGraph, id: TensorId, raw: &Raw) -> Result<()> {
    let (input, found) = (graph.tensor(id), raw.shape());
    let squeeze = |dims: &[usize]| dims.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
    if !found.is_empty() && squeeze(&found[1..]) == squeeze(&input.shape) {
        return Ok(());
    }
    let wanted = layout::model_shape(input);
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let which = if graph.inputs.len() == 1 {
        "the first array"
    } else {
        "an array"
    };
    Err(miette!(
        "{which} has shape {found:?}; wanted [N, {}] for the input `{}`",
        wanted.join(", "),
        input.name
    ))
}

impl Raw {
    fn shape(&self) -> &[usize] {
        match self {
            Raw::Integers(a) => a.shape(),
            Raw::Floats(a) => a.shape(),
        }
    }
}

fn array<R: Read + Seek>(npz: &mut NpzReader<R>, at: usize) -> Result<Raw> {
    if npz.is_empty() {
        return Err(miette!("the file holds no array"));
    }
    if at >= npz.len() {
        return Err(miette!(
            "the file has {} arrays, fewer than the model inputs",
            npz.len()
        ));
    }
    macro_rules! try_integers {
        ($($t:ty),*) => {$(
            if let Some(a) = read::<$t, R>(npz, at) {
                return Ok(Raw::Integers(a.mapv(|v| v as i64)));
            }
        )*};
    }
    try_integers!(i8, u8, i16, u16, i32, u32, i64);
    if let Some(a) = read::<f32, R>(npz, at) {
        return Ok(Raw::Floats(a));
    }
    if let Some(a) = read::<f64, R>(npz, at) {
        return Ok(Raw::Floats(a.mapv(|v| v as f32)));
    }
    let which = if at == 0 {
        "the first array".into()
    } else {
        format!("array {at}")
    };
    Err(miette!(
        "{which} is neither integer nor float, or is damaged"
    ))
}

fn read<T: ReadableElement, R: Read + Seek>(
    npz: &mut NpzReader<R>,
    at: usize,
) -> Option<ArrayD<T>> {
    npz.by_index::<ndarray::OwnedRepr<T>, IxDyn>(at).ok()
}

fn sample(graph: &QGraph, id: TensorId, raw: &Raw, n: usize) -> Result<Value> {
    let input = graph.tensor(id);
    let shape = IxDyn(&input.shape);
    match (raw, input.dtype) {
        (_, DType::I32) => Err(miette!("the input `{}` is int32", input.name)),
        (Raw::Integers(a), DType::I8) => {
            let values = a
                .index_axis(Axis(0), n)
                .iter()
                .map(|&v| int8(v, input))
                .collect::<Result<_>>()?;
            Ok(Value::I8(
                ArrayD::from_shape_vec(shape, values).into_diagnostic()?,
            ))
        }
        (Raw::Integers(a), DType::I16) => {
            let int16 = |&v: &i64| {
                let held = i16::try_from(v).ok();
                held.ok_or_else(|| miette!("the value {v} is not an int16 for `{}`", input.name))
            };
            let values = a
                .index_axis(Axis(0), n)
                .iter()
                .map(int16)
                .collect::<Result<_>>()?;
            Ok(Value::I16(
                ArrayD::from_shape_vec(shape, values).into_diagnostic()?,
            ))
        }
        (Raw::Floats(a), DType::I16) => {
            let params = inner_params(graph, id)?;
            let quantized = |&v: &f32| params.quantize_wide(graph.semantics, v);
            let values = a.index_axis(Axis(0), n).iter().map(quantized).collect();
            Ok(Value::I16(
                ArrayD::from_shape_vec(shape, values).into_diagnostic()?,
            ))
        }
        (Raw::Integers(a), DType::F32) => {
            // raw integers for a float boundary: the real values that they stand for
            let params = inner_params(graph, id)?;
            let values = a
                .index_axis(Axis(0), n)
                .iter()
                .map(|&v| Ok(params.dequantize(int8(v, inner(graph, id))?)))
                .collect::<Result<_>>()?;
            Ok(Value::F32(
                ArrayD::from_shape_vec(shape, values).into_diagnostic()?,
            ))
        }
        (Raw::Floats(a), DType::I8) => {
            let params = inner_params(graph, id)?;
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

/// The model's integer as int8; a uint8 is held less 128.
fn int8(value: i64, input: &QTensor) -> Result<i8> {
    let (kind, zero) = if input.unsigned {
        ("a uint8", 128)
    } else {
        ("an int8", 0)
    };
    let held = value.checked_sub(zero).and_then(|v| i8::try_from(v).ok());
    held.ok_or_else(|| miette!("the value {value} is not {kind} for `{}`", input.name))
}

/// The int8 tensor behind a graph input.
fn inner(graph: &QGraph, input: TensorId) -> &QTensor {
    let quantized = graph.nodes.iter().find(|n| {
        n.inputs.first() == Some(&input) && matches!(n.op, macforge_quant::QOp::Quantize)
    });
    graph.tensor(quantized.map_or(input, |n| n.output))
}

/// Affine parameters of the int8 tensor behind a graph input.
fn inner_params(graph: &QGraph, input: TensorId) -> Result<AffineParams> {
    let tensor = inner(graph, input);
    tensor
        .quant
        .ok_or_else(|| miette!("the input `{}` has no scale", tensor.name))
}

/// `count` samples of seeded random values; the first two are the extremes.
pub fn random(graph: &QGraph, count: usize) -> Result<Vec<Vec<Value>>> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u16
    };
    let mut value = |n: usize, id: TensorId| -> Result<Value> {
        let input = graph.tensor(id);
        // a network that quantizes in float32 itself gets reals around zero
        let params = inner_params(graph, id).unwrap_or(AffineParams {
            scale: 1.0 / 64.0,
            zero_point: 0,
        });
        let bits: Vec<u16> = (0..input.elements())
            .map(|_| match n {
                0 => 0x8080,
                1 => 0x7f7f,
                _ => next(),
            })
            .collect();
        let bits = ArrayD::from_shape_vec(IxDyn(&input.shape), bits).into_diagnostic()?;
        let array = bits.mapv(|v| v as u8 as i8);
        Ok(match input.dtype {
            DType::I16 => Value::I16(bits.mapv(|v| match n {
                0 => i16::MIN,
                1 => i16::MAX,
                _ => v.cast_signed(),
            })),
            DType::I8 => Value::I8(array),
            DType::F32 => Value::F32(array.mapv(|q| params.dequantize(q))),
            DType::I32 => return Err(miette!("the input `{}` is int32", input.name)),
        })
    };
    (0..count)
        .map(|n| graph.inputs.iter().map(|&id| value(n, id)).collect())
        .collect()
}

/// Stream beats of each tensor of a sample: four bytes or one float32 each.
pub fn beats(graph: &QGraph, sample: &[Value]) -> Vec<Vec<u32>> {
    let inputs = graph.inputs.iter().map(|&id| graph.tensor(id));
    inputs
        .zip(sample)
        .map(|(tensor, value)| tensor_beats(tensor, value))
        .collect()
}

fn tensor_beats(tensor: &QTensor, value: &Value) -> Vec<u32> {
    match value {
        Value::I8(a) => words(a.iter().map(|&v| v as u8 ^ top_bit(tensor))),
        Value::I16(a) => {
            let values: Vec<i16> = a.iter().copied().collect();
            words(
                pairs::split(tensor, &values)
                    .into_iter()
                    .map(i8::cast_unsigned),
            )
        }
        Value::I32(a) => a.iter().map(|v| v.cast_unsigned()).collect(),
        Value::F32(a) => a.iter().map(|v| v.to_bits()).collect(),
    }
}

/// Four bytes per word, the first one lowest.
fn words(bytes: impl Iterator<Item = u8>) -> Vec<u32> {
    let bytes: Vec<u8> = bytes.collect();
    bytes
        .chunks(4)
        .map(|c| c.iter().rev().fold(0u32, |w, &b| w << 8 | u32::from(b)))
        .collect()
}
