//! Constants: `TensorProto` to typed contents and back.

use super::MAX_BYTES;
use super::proto;
use super::types::{OnnxType, TensorData};
use crate::ModelError;

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxTensor {
    /// Sizes; empty for a scalar.
    pub shape: Vec<usize>,
    /// Contents, row-major; as many elements as the shape has.
    pub data: TensorData,
}

impl OnnxTensor {
    /// A constant of this shape.
    ///
    /// # Panics
    /// The number of elements is not the shape's.
    pub fn new(shape: Vec<usize>, data: TensorData) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{shape:?}");
        OnnxTensor { shape, data }
    }

    /// A float32 scalar.
    pub fn scalar_f32(value: f32) -> Self {
        OnnxTensor::new(vec![], TensorData::F32(vec![value]))
    }

    /// A vector of int64.
    pub fn vector_i64(values: Vec<i64>) -> Self {
        OnnxTensor::new(vec![values.len()], TensorData::I64(values))
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.data.len()
    }
}

/// Value of `TensorProto.data_location` for data in another file.
const EXTERNAL: i32 = 1;

pub(super) fn read(tensor: &proto::Tensor) -> Result<OnnxTensor, ModelError> {
    let at = format!("tensor `{}`", tensor.name);
    if tensor.data_location == EXTERNAL || !tensor.external_data.is_empty() {
        return Err(ModelError::refused(
            at,
            "its data lies in another file",
            "store the data inside the model (`onnx.save` with save_as_external_data=False)",
        ));
    }
    if tensor.segment.is_some() {
        let remedy = "store each tensor in one piece";
        return Err(ModelError::refused(
            at,
            "its data comes in segments",
            remedy,
        ));
    }
    let dtype = OnnxType::from_code(tensor.data_type);
    let Some(bits) = dtype.bits() else {
        return Err(ModelError::refused(
            at,
            format!("element type {dtype}"),
            "convert the model to float32, or to integers of at most 64 bits",
        ));
    };
    let shape = sizes(&tensor.dims).map_err(|e| e.within(&at))?;
    let elements = checked_elements(&shape, bits).map_err(|e| e.within(&at))?;
    let data = match tensor.raw_data.as_deref() {
        Some(raw) => from_raw(dtype, raw, elements),
        None => from_fields(dtype, tensor, elements),
    }
    .map_err(|what| ModelError::malformed(at.clone(), format!("{dtype}{shape:?}: {what}")))?;
    Ok(OnnxTensor { shape, data })
}

fn sizes(dims: &[i64]) -> Result<Vec<usize>, ModelError> {
    let size = |&d: &i64| usize::try_from(d);
    dims.iter()
        .map(size)
        .collect::<Result<_, _>>()
        .map_err(|_| ModelError::malformed("dims", format!("negative size in {dims:?}")))
}

/// Number of elements of a shape whose contents stay below [`MAX_BYTES`].
pub(super) fn checked_elements(shape: &[usize], bits: u32) -> Result<usize, ModelError> {
    let elements = shape.iter().try_fold(1u64, |p, &d| p.checked_mul(d as u64));
    let bits = elements.and_then(|e| e.checked_mul(u64::from(bits)));
    let bytes = bits.map_or(u64::MAX, |b| b.div_ceil(8));
    match elements {
        Some(elements) if bytes <= MAX_BYTES => Ok(elements as usize),
        _ => Err(ModelError::TooLarge {
            at: format!("shape {shape:?}"),
            bytes,
            limit: MAX_BYTES,
        }),
    }
}

/// Little-endian contents; narrow integers are packed from the low bits up.
fn from_raw(dtype: OnnxType, raw: &[u8], elements: usize) -> Result<TensorData, String> {
    let bits = dtype.bits().unwrap_or(8) as usize;
    let wanted = (elements * bits).div_ceil(8);
    if raw.len() != wanted {
        return Err(format!("{} bytes of data, wanted {wanted}", raw.len()));
    }
    macro_rules! words {
        ($variant:ident, $t:ty) => {{
            let (words, _) = raw.as_chunks::<{ size_of::<$t>() }>();
            TensorData::$variant(words.iter().map(|&w| <$t>::from_le_bytes(w)).collect())
        }};
    }
    Ok(match dtype {
        OnnxType::F32 => words!(F32, f32),
        OnnxType::F64 => words!(F64, f64),
        OnnxType::I8 => words!(I8, i8),
        OnnxType::U8 => words!(U8, u8),
        OnnxType::I16 => words!(I16, i16),
        OnnxType::U16 => words!(U16, u16),
        OnnxType::I32 => words!(I32, i32),
        OnnxType::U32 => words!(U32, u32),
        OnnxType::I64 => words!(I64, i64),
        OnnxType::U64 => words!(U64, u64),
        OnnxType::Bool => TensorData::Bool(raw.iter().map(|&b| b != 0).collect()),
        OnnxType::U4 => TensorData::U4(unpack(raw, 4, elements)),
        OnnxType::U2 => TensorData::U2(unpack(raw, 2, elements)),
        OnnxType::I4 => TensorData::I4(sign_extend(&unpack(raw, 4, elements), 4)),
        OnnxType::I2 => TensorData::I2(sign_extend(&unpack(raw, 2, elements), 2)),
        OnnxType::Other(_) => return Err("no contents are known for this type".into()),
    })
}

fn unpack(raw: &[u8], bits: usize, elements: usize) -> Vec<u8> {
    let per_byte = 8 / bits;
    let mask = (1u8 << bits) - 1;
    (0..elements)
        .map(|i| (raw[i / per_byte] >> (i % per_byte * bits)) & mask)
        .collect()
}

fn sign_extend(values: &[u8], bits: u32) -> Vec<i8> {
    let up = 8 - bits;
    let extend = |&v: &u8| (v << up).cast_signed() >> up;
    values.iter().map(extend).collect()
}

/// Contents from the typed fields.
fn from_fields(
    dtype: OnnxType,
    tensor: &proto::Tensor,
    elements: usize,
) -> Result<TensorData, String> {
    let ints = || &tensor.int32_data;
    let data = match dtype {
        OnnxType::F32 => TensorData::F32(tensor.float_data.clone()),
        OnnxType::F64 => TensorData::F64(tensor.double_data.clone()),
        OnnxType::I64 => TensorData::I64(tensor.int64_data.clone()),
        OnnxType::U64 => TensorData::U64(tensor.uint64_data.clone()),
        OnnxType::U32 => TensorData::U32(narrow(&tensor.uint64_data)?),
        OnnxType::I32 => TensorData::I32(ints().clone()),
        OnnxType::I8 => TensorData::I8(narrow(ints())?),
        OnnxType::U8 => TensorData::U8(narrow(ints())?),
        OnnxType::I16 => TensorData::I16(narrow(ints())?),
        OnnxType::U16 => TensorData::U16(narrow(ints())?),
        OnnxType::Bool => TensorData::Bool(ints().iter().map(|&v| v != 0).collect()),
        OnnxType::I4 | OnnxType::U4 | OnnxType::I2 | OnnxType::U2 => {
            // each entry holds one packed byte
            let bytes = ints().iter().map(|&v| v as u8).collect::<Vec<u8>>();
            return from_raw(dtype, &bytes, elements);
        }
        OnnxType::Other(_) => return Err("no contents are known for this type".into()),
    };
    if data.len() != elements {
        return Err(format!("{} values, wanted {elements}", data.len()));
    }
    Ok(data)
}

fn narrow<W: Copy + std::fmt::Display, T: TryFrom<W>>(values: &[W]) -> Result<Vec<T>, String> {
    let fit = |&v: &W| T::try_from(v).map_err(|_| format!("the value {v} does not fit"));
    values.iter().map(fit).collect()
}

/// Writes a constant; contents always as raw data.
pub(super) fn write(name: &str, tensor: &OnnxTensor) -> proto::Tensor {
    proto::Tensor {
        dims: tensor.shape.iter().map(|&d| d as i64).collect(),
        data_type: tensor.data.dtype().code(),
        name: name.to_string(),
        raw_data: Some(to_raw(&tensor.data)),
        ..proto::Tensor::default()
    }
}

fn to_raw(data: &TensorData) -> Vec<u8> {
    macro_rules! words {
        ($values:expr) => {
            $values.iter().flat_map(|v| v.to_le_bytes()).collect()
        };
    }
    match data {
        TensorData::F32(v) => words!(v),
        TensorData::F64(v) => words!(v),
        TensorData::I8(v) => words!(v),
        TensorData::U8(v) => v.clone(),
        TensorData::I16(v) => words!(v),
        TensorData::U16(v) => words!(v),
        TensorData::I32(v) => words!(v),
        TensorData::U32(v) => words!(v),
        TensorData::I64(v) => words!(v),
        TensorData::U64(v) => words!(v),
        TensorData::Bool(v) => v.iter().map(|&b| b.into()).collect(),
        TensorData::I4(v) => pack(v.iter().map(|&x| x.cast_unsigned()), 4),
        TensorData::I2(v) => pack(v.iter().map(|&x| x.cast_unsigned()), 2),
        TensorData::U4(v) => pack(v.iter().copied(), 4),
        TensorData::U2(v) => pack(v.iter().copied(), 2),
    }
}

fn pack(values: impl Iterator<Item = u8>, bits: usize) -> Vec<u8> {
    let mask = (1u8 << bits) - 1;
    let values: Vec<u8> = values.collect();
    let byte = |group: &[u8]| {
        let fields = group.iter().enumerate();
        fields.fold(0, |byte, (i, &v)| byte | ((v & mask) << (i * bits)))
    };
    values.chunks(8 / bits).map(byte).collect()
}
