//! onnxruntime's operations on two quantized operands, in the float32 operations that its x86-64
//! kernels perform, in their order. All round to nearest even.

use crate::error::{NumericError, Result};
use crate::format::AffineParams;

/// QLinearAdd of int8 or uint8 (`MlasQLinearAdd`, AVX2 with FMA). In float32, with the model's own
/// integers and zero points:
///
/// 1. `ra = sa / sy`, `rb = sb / sy`
/// 2. `fixed = zy - fma(ra, za, rb * zb)`
/// 3. `y = round(fma(a, ra, fma(b, rb, fixed)))`, half to even; the zero point is inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QLinearAdd {
    /// `sa / sy`.
    pub ratio_a: f32,
    /// `sb / sy`.
    pub ratio_b: f32,
    /// Everything that does not depend on the operands.
    pub fixed: f32,
    /// The model's integers less the int8 values here: 128 for uint8.
    pub offset: i32,
}

/// QLinearMul of int8 or uint8 (`MlasQLinearMul`, SSE2). In float32:
/// `y = round((a - za) * (b - zb) * (sa * sb / sy) + zy)`, half to even; the integer product is
/// exact, and `zy` is the model's own zero point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QLinearMul {
    /// Zero point of the first operand.
    pub zero_point_a: i32,
    /// Zero point of the second operand.
    pub zero_point_b: i32,
    /// `sa * sb / sy`, left to right.
    pub ratio: f32,
    /// Zero point of the output as the model states it.
    pub zero_point: f32,
    /// The model's integers less the int8 values here: 128 for uint8.
    pub offset: i32,
}

/// A float32 operation between DequantizeLinear and QuantizeLinear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatOperation {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
}

/// Both operands dequantized (`s * (q - z)`), one operation, and the quotient by the output's
/// scale rounded half to even, each step one float32 operation. The output's zero point follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatRule {
    /// The operation.
    pub operation: FloatOperation,
    /// Parameters of the first operand.
    pub a: AffineParams,
    /// Parameters of the second operand.
    pub b: AffineParams,
    /// Scale of the output.
    pub scale: f32,
}

/// Rounded results must stay inside int32, where the x86 conversion is defined.
const LARGEST: f64 = (1u64 << 30) as f64;

impl QLinearAdd {
    /// `unsigned`: the model's integers are uint8, the parameters here those less 128.
    ///
    /// # Errors
    /// A ratio of scales is so large that results leave int32, or it is not a float32.
    pub fn new(
        a: AffineParams,
        b: AffineParams,
        out: AffineParams,
        unsigned: bool,
    ) -> Result<Self> {
        let offset = offset(unsigned);
        let (ratio_a, ratio_b) = (a.scale / out.scale, b.scale / out.scale);
        check(f64::from(ratio_a) * 512.0 + f64::from(ratio_b) * 512.0)?;
        let float = |zero_point: i32| (zero_point + offset) as f32;
        let zero_points = ratio_a.mul_add(float(a.zero_point), ratio_b * float(b.zero_point));
        Ok(Self {
            ratio_a,
            ratio_b,
            fixed: float(out.zero_point) - zero_points,
            offset,
        })
    }

    pub(super) fn apply(&self, a: i8, b: i8) -> i64 {
        let float = |q: i8| (i32::from(q) + self.offset) as f32;
        let inner = float(b).mul_add(self.ratio_b, self.fixed);
        let sum = float(a).mul_add(self.ratio_a, inner);
        sum.round_ties_even() as i64 - i64::from(self.offset)
    }

    pub(super) fn factors(&self) -> (f64, f64) {
        (self.ratio_a.into(), self.ratio_b.into())
    }
}

impl QLinearMul {
    /// See [`QLinearAdd::new`].
    ///
    /// # Errors
    /// See [`QLinearAdd::new`].
    pub fn new(
        a: AffineParams,
        b: AffineParams,
        out: AffineParams,
        unsigned: bool,
    ) -> Result<Self> {
        let offset = offset(unsigned);
        let ratio = a.scale * b.scale / out.scale;
        check(f64::from(ratio) * 65536.0)?;
        Ok(Self {
            zero_point_a: a.zero_point,
            zero_point_b: b.zero_point,
            ratio,
            zero_point: (out.zero_point + offset) as f32,
            offset,
        })
    }

    pub(super) fn apply(&self, a: i8, b: i8) -> i64 {
        let product = (i32::from(a) - self.zero_point_a) * (i32::from(b) - self.zero_point_b);
        let y = product as f32 * self.ratio + self.zero_point;
        y.round_ties_even() as i64 - i64::from(self.offset)
    }
}

impl FloatOperation {
    /// The operation's usual name.
    pub fn name(self) -> &'static str {
        match self {
            FloatOperation::Add => "ADD",
            FloatOperation::Sub => "SUB",
            FloatOperation::Mul => "MUL",
            FloatOperation::Min => "MINIMUM",
            FloatOperation::Max => "MAXIMUM",
        }
    }
}

impl FloatRule {
    /// Parameters as int8; the integers' offset cancels in the differences.
    ///
    /// # Errors
    /// A dequantized operand can overflow float32.
    pub fn new(
        operation: FloatOperation,
        a: AffineParams,
        b: AffineParams,
        out: AffineParams,
    ) -> Result<Self> {
        if let Some(p) = [a, b].iter().find(|p| !(p.scale * 512.0).is_finite()) {
            return Err(NumericError::BadScale {
                found: p.scale.into(),
            });
        }
        Ok(Self {
            operation,
            a,
            b,
            scale: out.scale,
        })
    }

    pub(super) fn apply(&self, a: i8, b: i8) -> i64 {
        let (a, b) = (self.a.dequantize(a), self.b.dequantize(b));
        let y = match self.operation {
            FloatOperation::Add => a + b,
            FloatOperation::Sub => a - b,
            FloatOperation::Mul => a * b,
            FloatOperation::Min => a.min(b),
            FloatOperation::Max => a.max(b),
        };
        (y / self.scale).round_ties_even() as i64
    }

    pub(super) fn factors(&self) -> Option<(f64, f64)> {
        let ratio = |p: AffineParams| f64::from(p.scale) / f64::from(self.scale);
        match self.operation {
            FloatOperation::Add => Some((ratio(self.a), ratio(self.b))),
            FloatOperation::Sub => Some((ratio(self.a), -ratio(self.b))),
            FloatOperation::Mul | FloatOperation::Min | FloatOperation::Max => None,
        }
    }
}

fn offset(unsigned: bool) -> i32 {
    if unsigned { 128 } else { 0 }
}

/// Refuses scales whose results can leave int32.
fn check(largest: f64) -> Result<()> {
    if largest < LARGEST {
        return Ok(());
    }
    Err(NumericError::MultiplierRange {
        found: largest,
        semantics: "onnxruntime's quantized addition and multiplication",
        wanted: "scales whose results fit int32",
    })
}
