//! Element types and typed tensor contents.

use std::fmt;

/// Element type of an ONNX tensor (`TensorProto.DataType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnnxType {
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 16-bit integer.
    I16,
    /// Unsigned 16-bit integer.
    U16,
    /// Signed 32-bit integer.
    I32,
    /// Unsigned 32-bit integer.
    U32,
    /// Signed 64-bit integer.
    I64,
    /// Unsigned 64-bit integer.
    U64,
    /// Truth value, one byte each.
    Bool,
    /// Signed 4-bit integer, two in a byte.
    I4,
    /// Unsigned 4-bit integer, two in a byte.
    U4,
    /// Signed 2-bit integer, four in a byte.
    I2,
    /// Unsigned 2-bit integer, four in a byte.
    U2,
    /// A type that no constant of this tool may have (float16, string, ...), by its code.
    Other(i32),
}

/// Codes of `TensorProto.DataType` and names, of the types with contents.
const CODES: [(OnnxType, i32, &str, u32); 15] = [
    (OnnxType::F32, 1, "float32", 32),
    (OnnxType::U8, 2, "uint8", 8),
    (OnnxType::I8, 3, "int8", 8),
    (OnnxType::U16, 4, "uint16", 16),
    (OnnxType::I16, 5, "int16", 16),
    (OnnxType::I32, 6, "int32", 32),
    (OnnxType::I64, 7, "int64", 64),
    (OnnxType::Bool, 9, "bool", 8),
    (OnnxType::F64, 11, "float64", 64),
    (OnnxType::U32, 12, "uint32", 32),
    (OnnxType::U64, 13, "uint64", 64),
    (OnnxType::U4, 21, "uint4", 4),
    (OnnxType::I4, 22, "int4", 4),
    (OnnxType::U2, 25, "uint2", 2),
    (OnnxType::I2, 26, "int2", 2),
];

/// Names of the codes without contents.
const OTHER_NAMES: [(i32, &str); 13] = [
    (0, "undefined"),
    (8, "string"),
    (10, "float16"),
    (14, "complex64"),
    (15, "complex128"),
    (16, "bfloat16"),
    (17, "float8e4m3fn"),
    (18, "float8e4m3fnuz"),
    (19, "float8e5m2"),
    (20, "float8e5m2fnuz"),
    (23, "float4e2m1"),
    (24, "float8e8m0"),
    (27, "float6e2m3"),
];

impl OnnxType {
    /// The type behind a `TensorProto.DataType`.
    pub fn from_code(code: i32) -> Self {
        let known = CODES.iter().find(|entry| entry.1 == code);
        known.map_or(OnnxType::Other(code), |entry| entry.0)
    }

    /// The `TensorProto.DataType` of this type.
    pub fn code(self) -> i32 {
        match self {
            OnnxType::Other(code) => code,
            known => entry(known).1,
        }
    }

    /// Bits per element; `None` for types without contents.
    pub fn bits(self) -> Option<u32> {
        match self {
            OnnxType::Other(_) => None,
            known => Some(entry(known).3),
        }
    }

    /// Smallest and largest value of an integer type of at most 32 bits.
    pub fn int_range(self) -> Option<(i64, i64)> {
        let signed = match self {
            OnnxType::I2 | OnnxType::I4 | OnnxType::I8 | OnnxType::I16 | OnnxType::I32 => true,
            OnnxType::U2 | OnnxType::U4 | OnnxType::U8 | OnnxType::U16 | OnnxType::U32 => false,
            _ => return None,
        };
        let bits = self.bits()?;
        Some(if signed {
            (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        } else {
            (0, (1 << bits) - 1)
        })
    }
}

fn entry(known: OnnxType) -> &'static (OnnxType, i32, &'static str, u32) {
    let found = CODES.iter().find(|entry| entry.0 == known);
    found.expect("every type but Other is in the table")
}

impl fmt::Display for OnnxType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            OnnxType::Other(code) => match OTHER_NAMES.iter().find(|(c, _)| *c == code) {
                Some((_, name)) => f.write_str(name),
                None => write!(f, "type {code}"),
            },
            known => f.write_str(entry(known).2),
        }
    }
}

/// Contents of a constant, one entry per element whatever the packing in the file.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// [`OnnxType::F32`].
    F32(Vec<f32>),
    /// [`OnnxType::F64`].
    F64(Vec<f64>),
    /// [`OnnxType::I8`].
    I8(Vec<i8>),
    /// [`OnnxType::U8`].
    U8(Vec<u8>),
    /// [`OnnxType::I16`].
    I16(Vec<i16>),
    /// [`OnnxType::U16`].
    U16(Vec<u16>),
    /// [`OnnxType::I32`].
    I32(Vec<i32>),
    /// [`OnnxType::U32`].
    U32(Vec<u32>),
    /// [`OnnxType::I64`].
    I64(Vec<i64>),
    /// [`OnnxType::U64`].
    U64(Vec<u64>),
    /// [`OnnxType::Bool`].
    Bool(Vec<bool>),
    /// [`OnnxType::I4`].
    I4(Vec<i8>),
    /// [`OnnxType::U4`].
    U4(Vec<u8>),
    /// [`OnnxType::I2`].
    I2(Vec<i8>),
    /// [`OnnxType::U2`].
    U2(Vec<u8>),
}

/// The same expression for the vector inside, whatever its type.
macro_rules! each {
    ($data:expr, $values:ident => $result:expr) => {
        match $data {
            TensorData::F32($values) => $result,
            TensorData::F64($values) => $result,
            TensorData::I8($values) => $result,
            TensorData::U8($values) => $result,
            TensorData::I16($values) => $result,
            TensorData::U16($values) => $result,
            TensorData::I32($values) => $result,
            TensorData::U32($values) => $result,
            TensorData::I64($values) => $result,
            TensorData::U64($values) => $result,
            TensorData::Bool($values) => $result,
            TensorData::I4($values) => $result,
            TensorData::U4($values) => $result,
            TensorData::I2($values) => $result,
            TensorData::U2($values) => $result,
        }
    };
}

impl TensorData {
    /// Element type.
    pub fn dtype(&self) -> OnnxType {
        match self {
            TensorData::F32(_) => OnnxType::F32,
            TensorData::F64(_) => OnnxType::F64,
            TensorData::I8(_) => OnnxType::I8,
            TensorData::U8(_) => OnnxType::U8,
            TensorData::I16(_) => OnnxType::I16,
            TensorData::U16(_) => OnnxType::U16,
            TensorData::I32(_) => OnnxType::I32,
            TensorData::U32(_) => OnnxType::U32,
            TensorData::I64(_) => OnnxType::I64,
            TensorData::U64(_) => OnnxType::U64,
            TensorData::Bool(_) => OnnxType::Bool,
            TensorData::I4(_) => OnnxType::I4,
            TensorData::U4(_) => OnnxType::U4,
            TensorData::I2(_) => OnnxType::I2,
            TensorData::U2(_) => OnnxType::U2,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements at `indices`, in that order, as a tensor content of the same type.
    ///
    /// # Panics
    /// An index is out of range.
    pub fn gather(&self, indices: impl Iterator<Item = usize>) -> TensorData {
        macro_rules! pick {
            ($($variant:ident),*) => {
                match self {
                    $(TensorData::$variant(v) => {
                        TensorData::$variant(indices.map(|i| v[i]).collect())
                    })*
                }
            };
        }
        pick!(
            F32, F64, I8, U8, I16, U16, I32, U32, I64, U64, Bool, I4, U4, I2, U2
        )
    }

    /// The elements as integers; `None` for floats, truth values and values beyond int64.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        Some(match self {
            TensorData::I8(v) | TensorData::I4(v) | TensorData::I2(v) => widen(v),
            TensorData::U8(v) | TensorData::U4(v) | TensorData::U2(v) => widen(v),
            TensorData::I16(v) => widen(v),
            TensorData::U16(v) => widen(v),
            TensorData::I32(v) => widen(v),
            TensorData::U32(v) => widen(v),
            TensorData::I64(v) => v.clone(),
            TensorData::U64(v) => {
                let fit = v.iter().map(|&x| i64::try_from(x).ok());
                fit.collect::<Option<_>>()?
            }
            TensorData::F32(_) | TensorData::F64(_) | TensorData::Bool(_) => return None,
        })
    }

    /// The elements of a float32 tensor.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match self {
            TensorData::F32(v) => Some(v),
            _ => None,
        }
    }
}

fn widen<T: Copy + Into<i64>>(values: &[T]) -> Vec<i64> {
    values.iter().map(|&v| v.into()).collect()
}
