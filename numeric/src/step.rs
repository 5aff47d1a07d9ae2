//! Scalar steps of a float32 or int64 chain, evaluated one operation at a time as onnxruntime does:
//! what stands between the accumulator of one layer and the integers of the next in models that
//! state their quantization as arithmetic (QONNX, FINN, NEMO's integer-only ONNX).

use std::sync::Arc;

/// A scalar of the two types that such chains go through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// float32.
    Float(f32),
    /// int64.
    Integer(i64),
}

impl Number {
    /// The value as float32; an int64 is rounded to the nearest one.
    pub fn to_f32(self) -> f32 {
        match self {
            Number::Float(x) => x,
            Number::Integer(i) => i as f32,
        }
    }
}

/// How a real value becomes an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, half to even.
    HalfEven,
    /// Towards minus infinity.
    Floor,
    /// Towards plus infinity.
    Ceil,
    /// Towards zero.
    ToZero,
    /// Away from zero.
    Away,
    /// To the nearest, half away from zero.
    HalfUp,
    /// To the nearest, half towards zero.
    HalfDown,
}

impl Rounding {
    /// The rounded value.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Rounding::HalfEven => x.round_ties_even(),
            Rounding::Floor => x.floor(),
            Rounding::Ceil => x.ceil(),
            Rounding::ToZero => x.trunc(),
            Rounding::Away => x.abs().ceil().copysign(x),
            Rounding::HalfUp => x.round(),
            // exact: the half is subtracted only where a fraction is left
            Rounding::HalfDown => {
                let down = x.abs().floor();
                let up = x.abs() - down > 0.5;
                (down + f32::from(u8::from(up))).copysign(x)
            }
        }
    }
}

/// One operation on a scalar `x`.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `x + c`
    Add(Number),
    /// `x - c`
    Subtract(Number),
    /// `c - x`
    SubtractFrom(Number),
    /// `x * c`
    Multiply(Number),
    /// `x / c`; int64 division truncates.
    Divide(Number),
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, lo), hi)`
    Clip {
        /// Lower bound.
        lo: f32,
        /// Upper bound.
        hi: f32,
    },
    /// To an integer value of the same type.
    Round(Rounding),
    /// To int64, towards zero; saturates.
    ToInteger,
    /// To float32.
    ToFloat,
    /// `x >= 0 ? 1 : -1`
    Sign,
    /// How many of these values, in non-decreasing order, are at or below `x`.
    Count(Arc<[f32]>),
}

/// Which way a step, or a chain of steps, moves when its argument grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It never decreases.
    Rising,
    /// It never increases.
    Falling,
}

impl Direction {
    /// The direction of two functions one behind the other.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        if self == next {
            Direction::Rising
        } else {
            Direction::Falling
        }
    }
}

impl Step {
    /// The value behind the step. Operands of unlike types meet as float32; int64 saturates, and a
    /// division by zero gives 0.
    pub fn apply(&self, x: Number) -> Number {
        match *self {
            Step::Add(c) => combine(x, c, |a, b| a + b, i64::saturating_add),
            Step::Subtract(c) => combine(x, c, |a, b| a - b, i64::saturating_sub),
            Step::SubtractFrom(c) => combine(c, x, |a, b| a - b, i64::saturating_sub),
            Step::Multiply(c) => combine(x, c, |a, b| a * b, i64::saturating_mul),
            Step::Divide(c) => combine(
                x,
                c,
                |a, b| a / b,
                |a, b| {
                    if b == 0 { 0 } else { a.saturating_div(b) }
                },
            ),
            Step::Relu => each(x, |v| v.max(0.0), |v| v.max(0)),
            Step::Clip { lo, hi } => Number::Float(x.to_f32().max(lo).min(hi)),
            Step::Round(rounding) => each(x, |v| rounding.apply(v), |v| v),
            Step::ToInteger => match x {
                Number::Float(v) => Number::Integer(v as i64),
                integer => integer,
            },
            Step::ToFloat => Number::Float(x.to_f32()),
            Step::Sign => each(
                x,
                |v| if v >= 0.0 { 1.0 } else { -1.0 },
                |v| if v >= 0 { 1 } else { -1 },
            ),
            Step::Count(ref levels) => {
                let x = x.to_f32();
                Number::Float(levels.partition_point(|&level| level <= x) as f32)
            }
        }
    }

    /// How the step moves; every float32 operation is monotone, roundings included.
    pub fn direction(&self) -> Direction {
        let falling = match *self {
            Step::SubtractFrom(_) => true,
            Step::Multiply(c) | Step::Divide(c) => c.to_f32() < 0.0,
            _ => false,
        };
        if falling {
            Direction::Falling
        } else {
            Direction::Rising
        }
    }
}

/// The value behind a chain.
pub fn apply_steps(steps: &[Step], x: Number) -> Number {
    steps.iter().fold(x, |x, step| step.apply(x))
}

/// The direction of a chain.
pub fn direction(steps: &[Step]) -> Direction {
    let all = steps.iter().map(Step::direction);
    all.fold(Direction::Rising, Direction::then)
}

fn each(x: Number, float: impl Fn(f32) -> f32, integer: impl Fn(i64) -> i64) -> Number {
    match x {
        Number::Float(v) => Number::Float(float(v)),
        Number::Integer(v) => Number::Integer(integer(v)),
    }
}

fn combine(
    a: Number,
    b: Number,
    float: impl Fn(f32, f32) -> f32,
    integer: impl Fn(i64, i64) -> i64,
) -> Number {
    match (a, b) {
        (Number::Integer(a), Number::Integer(b)) => Number::Integer(integer(a, b)),
        (a, b) => Number::Float(float(a.to_f32(), b.to_f32())),
    }
}
