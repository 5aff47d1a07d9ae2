//! Rules of two int8 operands: sums, differences, products, minimum and maximum.

mod float;
mod tflite;
mod weighted;

pub use float::{FloatOperation, FloatRule, QLinearAdd, QLinearMul};
pub use tflite::{TfliteAdd, TfliteMul};
pub use weighted::WeightedSum;

use crate::error::Result;
use crate::extremum::Extremum;
use crate::format::{AffineParams, Clamp};

/// A function of two int8 values, with the bounds of its result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryRule {
    /// What is computed before clamping.
    pub function: BinaryFunction,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Output bounds, the activation included.
    pub clamp: Clamp,
    /// The lower bound is an activation function's, so reaching it is no saturation.
    pub lower_is_activation: bool,
}

/// The functions, each with the constants that its runtime derives from the scales.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BinaryFunction {
    /// TFLite's ADD and SUB.
    TfliteAdd(TfliteAdd),
    /// TFLite's MUL.
    TfliteMul(TfliteMul),
    /// The smaller of the raw values, which share their affine parameters with the output.
    Minimum,
    /// The larger of the raw values.
    Maximum,
    /// onnxruntime's QLinearAdd on x86-64.
    QLinearAdd(QLinearAdd),
    /// onnxruntime's QLinearMul on x86-64.
    QLinearMul(QLinearMul),
    /// DequantizeLinear of both operands, a float32 operation, QuantizeLinear.
    Float(FloatRule),
    /// A quotient of whole numbers, rounded down.
    WeightedSum(WeightedSum),
}

impl BinaryRule {
    /// A rule with the whole of int8 as its output.
    pub fn new(function: BinaryFunction, zero_point: i32) -> Self {
        Self {
            function,
            zero_point,
            clamp: Clamp::INT8,
            lower_is_activation: false,
        }
    }

    /// The same rule with a fused activation.
    #[must_use]
    pub fn clamped(self, clamp: Clamp, lower_is_activation: bool) -> Self {
        Self {
            clamp,
            lower_is_activation,
            ..self
        }
    }

    /// TFLite's ADD for the parameters of the three tensors.
    ///
    /// # Errors
    /// See [`TfliteAdd::new`].
    pub fn tflite_add(a: AffineParams, b: AffineParams, out: AffineParams) -> Result<Self> {
        let function = BinaryFunction::TfliteAdd(TfliteAdd::new(a, b, out)?);
        Ok(Self::new(function, out.zero_point))
    }

    /// TFLite's SUB, `a - b`.
    ///
    /// # Errors
    /// See [`TfliteAdd::new`].
    pub fn tflite_sub(a: AffineParams, b: AffineParams, out: AffineParams) -> Result<Self> {
        let sum = TfliteAdd::new(a, b, out)?;
        let function = BinaryFunction::TfliteAdd(sum.negated_second());
        Ok(Self::new(function, out.zero_point))
    }

    /// TFLite's MUL.
    ///
    /// # Errors
    /// See [`TfliteMul::new`].
    pub fn tflite_mul(a: AffineParams, b: AffineParams, out: AffineParams) -> Result<Self> {
        let function = BinaryFunction::TfliteMul(TfliteMul::new(a, b, out)?);
        Ok(Self::new(function, out.zero_point))
    }

    /// onnxruntime's QLinearAdd of two tensors without broadcasting (a broadcast operand takes
    /// another order of roundings there). `unsigned`: the model's integers are uint8, so that its
    /// values and zero points are these plus 128, which the float32 roundings see.
    ///
    /// # Errors
    /// See [`QLinearAdd::new`].
    pub fn qlinear_add(
        a: AffineParams,
        b: AffineParams,
        out: AffineParams,
        unsigned: bool,
    ) -> Result<Self> {
        let function = BinaryFunction::QLinearAdd(QLinearAdd::new(a, b, out, unsigned)?);
        Ok(Self::new(function, out.zero_point))
    }

    /// onnxruntime's QLinearMul; see [`Self::qlinear_add`] for `unsigned`.
    ///
    /// # Errors
    /// See [`QLinearMul::new`].
    pub fn qlinear_mul(
        a: AffineParams,
        b: AffineParams,
        out: AffineParams,
        unsigned: bool,
    ) -> Result<Self> {
        let function = BinaryFunction::QLinearMul(QLinearMul::new(a, b, out, unsigned)?);
        Ok(Self::new(function, out.zero_point))
    }

    /// The operation between DequantizeLinear and QuantizeLinear.
    ///
    /// # Errors
    /// See [`FloatRule::new`].
    pub fn float(
        operation: FloatOperation,
        a: AffineParams,
        b: AffineParams,
        out: AffineParams,
    ) -> Result<Self> {
        let function = BinaryFunction::Float(FloatRule::new(operation, a, b, out)?);
        Ok(Self::new(function, out.zero_point))
    }

    /// The result before clamping, output zero point added.
    pub fn unclamped(&self, a: i8, b: i8) -> i64 {
        match &self.function {
            BinaryFunction::TfliteAdd(sum) => sum.apply(a, b) + i64::from(self.zero_point),
            BinaryFunction::TfliteMul(product) => product.apply(a, b) + i64::from(self.zero_point),
            BinaryFunction::Minimum => a.min(b).into(),
            BinaryFunction::Maximum => a.max(b).into(),
            BinaryFunction::QLinearAdd(sum) => sum.apply(a, b),
            BinaryFunction::QLinearMul(product) => product.apply(a, b),
            BinaryFunction::Float(rule) => rule.apply(a, b).saturating_add(self.zero_point.into()),
            BinaryFunction::WeightedSum(sum) => sum.apply(a, b) + i64::from(self.zero_point),
        }
    }

    /// The clamped result.
    pub fn apply(&self, a: i8, b: i8) -> i8 {
        self.clamp.apply(self.unclamped(a, b)) as i8
    }

    /// Whether a pair's result counts as a saturation, see [`Clamp::saturates`]. A minimum or maximum
    /// chooses between tabulated values, which never count.
    pub fn saturates(&self, a: i8, b: i8) -> bool {
        if Extremum::takes_smaller(self).is_some() {
            return false;
        }
        self.clamp
            .saturates(self.unclamped(a, b), self.lower_is_activation)
    }

    /// The real factors of `a` and `b` where the function is a weighted sum of them and a
    /// constant, up to rounding.
    pub fn linear_factors(&self) -> Option<(f64, f64)> {
        match &self.function {
            BinaryFunction::TfliteAdd(sum) => Some(sum.factors()),
            BinaryFunction::QLinearAdd(sum) => Some(sum.factors()),
            BinaryFunction::Float(rule) => rule.factors(),
            BinaryFunction::WeightedSum(sum) => Some(sum.factors()),
            BinaryFunction::TfliteMul(_)
            | BinaryFunction::Minimum
            | BinaryFunction::Maximum
            | BinaryFunction::QLinearMul(_) => None,
        }
    }

    /// The operation's usual name.
    pub fn name(&self) -> &'static str {
        match &self.function {
            BinaryFunction::TfliteAdd(sum) if sum.input2_multiplier < 0 => "SUB",
            BinaryFunction::TfliteAdd(_)
            | BinaryFunction::QLinearAdd(_)
            | BinaryFunction::WeightedSum(_) => "ADD",
            BinaryFunction::TfliteMul(_) | BinaryFunction::QLinearMul(_) => "MUL",
            BinaryFunction::Minimum => "MINIMUM",
            BinaryFunction::Maximum => "MAXIMUM",
            BinaryFunction::Float(rule) => rule.operation.name(),
        }
    }
}
