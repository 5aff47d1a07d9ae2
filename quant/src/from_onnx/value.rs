//! What a value of the ONNX graph means in integers.

use std::rc::Rc;

use macforge_model::onnx::{OnnxType, TensorData};
use macforge_numeric::{AffineParams, FloatOperation};

use super::attention::Scores;
use super::operands::StoredType;
use super::pending::Pending;
use crate::graph::TensorId;

/// Where a tensor's elements lie, seen from ONNX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// ONNX dimension of each dimension of the tensor, in order. Dimensions that are not named have
    /// size 1.
    Axes(Vec<usize>),
    /// A flattened image `[1, C * H * W]`; the tensor still is `[H, W, C]`.
    FlatImage([usize; 3]),
}

/// An integer tensor of the graph under construction.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Int {
    pub tensor: TensorId,
    /// Shape in ONNX, batch included.
    pub shape: Vec<usize>,
    pub place: Place,
    pub params: AffineParams,
    /// The model's own type is uint8.
    pub unsigned: bool,
    /// The type is int16.
    pub wide: bool,
}

/// Real value of each int8 pattern, index `q as u8`.
pub(super) type RealTable = Rc<[f32; 256]>;

/// A constant with its quantization, as DequantizeLinear or an operator's operands state it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    /// Name in messages.
    pub name: String,
    pub shape: Vec<usize>,
    /// The file's integers.
    pub values: Vec<i32>,
    pub dtype: OnnxType,
    /// One, or one per slice along `axis`.
    pub scales: Vec<f32>,
    /// As many as scales, in the file's integers.
    pub zero_points: Vec<i32>,
    pub axis: usize,
}

/// What a value of the ONNX graph is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// float32 graph input.
    RealInput(usize),
    /// Integers.
    Int(Int),
    /// An element-wise real function of int8 values: DequantizeLinear and what follows it.
    Mapped(Int, RealTable),
    /// int16 values after DequantizeLinear.
    Wide(Int),
    /// The output of a layer before QuantizeLinear says what its integers mean.
    Pending(Box<Pending>),
    /// Inside of attention, between its two products.
    Scores(Box<Scores>),
    /// A quantized constant after DequantizeLinear.
    Constant(Rc<Constant>),
}

impl Value {
    /// What it is, in messages.
    pub fn describe(&self) -> &'static str {
        match self {
            Value::RealInput(_) => "a float32 graph input",
            Value::Int(_) => "a quantized tensor",
            Value::Mapped(..) => "a float32 function of a quantized tensor",
            Value::Wide(_) => "a tensor of int16 values",
            Value::Pending(_) => "a float32 result that is not quantized",
            Value::Scores(_) => "scores of attention",
            Value::Constant(_) => "a quantized constant",
        }
    }
}

impl Int {
    /// How the file holds the integers.
    pub fn stored_type(&self) -> StoredType {
        match (self.wide, self.unsigned) {
            (true, _) => StoredType::I16,
            (false, true) => StoredType::U8,
            (false, false) => StoredType::I8,
        }
    }

    /// What DequantizeLinear gives for each pattern.
    pub fn dequantized(&self) -> RealTable {
        Rc::new(table_of(|q| self.params.dequantize(q)))
    }
}

/// A table over all int8 patterns, index `q as u8`.
pub(super) fn table_of<T: Copy + Default>(f: impl Fn(i8) -> T) -> [T; 256] {
    let mut table = [T::default(); 256];
    for (index, value) in table.iter_mut().enumerate() {
        *value = f(index as u8 as i8);
    }
    table
}

/// The operation of a float node on two operands.
pub(super) fn float_operation(op_type: &str) -> Option<FloatOperation> {
    Some(match op_type {
        "Add" => FloatOperation::Add,
        "Sub" => FloatOperation::Sub,
        "Mul" => FloatOperation::Mul,
        "Min" => FloatOperation::Min,
        "Max" => FloatOperation::Max,
        _ => return None,
    })
}

/// The integers of a constant of at most 32 bits.
pub(super) fn integers(data: &TensorData) -> Option<Vec<i32>> {
    let fit = |v: i64| i32::try_from(v).ok();
    data.to_i64()?.into_iter().map(fit).collect()
}
