//! The value of a tensor.

use macforge_quant::DType;
use ndarray::ArrayD;

/// A tensor's value; the shape is `QTensor::shape` (no batch dimension).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// int8 elements.
    I8(ArrayD<i8>),
    /// int16 elements.
    I16(ArrayD<i16>),
    /// int32 elements.
    I32(ArrayD<i32>),
    /// float32 elements.
    F32(ArrayD<f32>),
}

impl Value {
    /// Length of every dimension.
    pub fn shape(&self) -> &[usize] {
        match self {
            Value::I8(a) => a.shape(),
            Value::I16(a) => a.shape(),
            Value::I32(a) => a.shape(),
            Value::F32(a) => a.shape(),
        }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Value::I8(_) => DType::I8,
            Value::I16(_) => DType::I16,
            Value::I32(_) => DType::I32,
            Value::F32(_) => DType::F32,
        }
    }

    /// The elements, if they are int8.
    pub fn as_i8(&self) -> Option<&ArrayD<i8>> {
        match self {
            Value::I8(a) => Some(a),
            _ => None,
        }
    }

    /// The elements, if they are float32.
    pub fn as_f32(&self) -> Option<&ArrayD<f32>> {
        match self {
            Value::F32(a) => Some(a),
            _ => None,
        }
    }
}
