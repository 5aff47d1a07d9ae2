//! Scalar arithmetic: steps of a chain, constants, and sums of two tensors.

use macforge_numeric::{Interval, Number, Rounding, Step};

use super::constant::{Constant, Data};
use super::value::{Chain, Levels, UNBOUNDED, Value};
use super::{At, Pass};
use crate::QuantError;

/// ONNX's code of int32 and int64 in `Cast`.
const INTEGER_CODES: [i64; 2] = [6, 7];

impl Pass<'_> {
    pub(super) fn arithmetic(&mut self, at: &At) -> Result<Value, QuantError> {
        match (self.value(at, 0)?.clone(), self.value(at, 1)?.clone()) {
            (Value::Constant(a), Value::Constant(b)) => {
                constants(at, &self.shape(at)?, &a, &b).map(Value::Constant)
            }
            (Value::Chain(chain), Value::Constant(c)) => {
                self.with_constant(at, chain, &c, false).map(Value::Chain)
            }
            (Value::Constant(c), Value::Chain(chain)) => {
                self.with_constant(at, chain, &c, true).map(Value::Chain)
            }
            (Value::Chain(a), Value::Chain(b)) => self.sum(at, a, b).map(Value::Chain),
        }
    }

    fn with_constant(
        &mut self,
        at: &At,
        mut chain: Chain,
        constant: &Constant,
        first: bool,
    ) -> Result<Chain, QuantError> {
        let operands = per_channel(at, &chain, constant)?;
        let step: fn(Number) -> Step = match (at.node.op_type.as_str(), first) {
            ("Add", _) => Step::Add,
            ("Sub", false) => Step::Subtract,
            ("Sub", true) => Step::SubtractFrom,
            ("Mul", _) => Step::Multiply,
            ("Div", false) => Step::Divide,
            (op, _) => {
                return Err(at.error(
                    format!("{op} that is not monotone in its computed operand"),
                    "Add, Sub, Mul, or Div by a constant",
                ));
            }
        };
        if let (&[factor], Some(levels)) = (operands.as_slice(), chain.levels) {
            match (step(factor), factor) {
                // a positive factor changes what the integers stand for, not the integers
                (Step::Multiply(_), Number::Float(f))
                    if f > 0.0 && (levels.scale * f).is_normal() && levels.bounds != UNBOUNDED =>
                {
                    let mut chain = self.integers(at, chain)?;
                    if let Some(levels) = &mut chain.levels {
                        levels.scale *= f;
                    }
                    return Ok(chain);
                }
                // int64 arithmetic on plain integers gives plain integers
                (_, Number::Integer(_)) if levels.is_plain() && levels.bounds == UNBOUNDED => {
                    chain.push_on_levels(step(factor));
                    return Ok(chain);
                }
                _ => {}
            }
        }
        chain.push(|channel| step(operands[channel]), operands.len());
        Ok(chain)
    }

    /// `(x - mean) * scale / sqrt(var + epsilon) + bias` as onnxruntime evaluates it: with
    /// `s = scale / sqrt(var + epsilon)`, `x * s + (bias - mean * s)`.
    pub(super) fn batch_norm(&mut self, at: &At) -> Result<Value, QuantError> {
        let mut chain = self.chain(at, 0)?;
        let mut parameters = Vec::new();
        for index in 1..=4 {
            let constant = self.constant(at, index)?;
            if constant.len() != chain.channels() {
                let found = format!(
                    "{} values for {} channels",
                    constant.len(),
                    chain.channels()
                );
                return Err(at.error(found, "one per channel"));
            }
            parameters.push(constant.reals());
        }
        let epsilon = at.node.float("epsilon").unwrap_or(1e-5);
        let channels = chain.channels();
        let scales: Vec<f32> = (0..channels)
            .map(|c| parameters[0][c] / (parameters[3][c] + epsilon).sqrt())
            .collect();
        let biases: Vec<f32> = (0..channels)
            .map(|c| parameters[1][c] - parameters[2][c] * scales[c])
            .collect();
        if scales.iter().chain(&biases).any(|v| !v.is_finite()) {
            return Err(at.error(
                "parameters that are not finite",
                "a variance above -epsilon",
            ));
        }
        chain.push(|c| Step::Multiply(Number::Float(scales[c])), channels);
        chain.push(|c| Step::Add(Number::Float(biases[c])), channels);
        Ok(Value::Chain(chain))
    }

    pub(super) fn unary(&mut self, at: &At) -> Result<Value, QuantError> {
        match self.value(at, 0)?.clone() {
            Value::Constant(constant) => self.unary_constant(at, constant),
            Value::Chain(chain) => self.unary_chain(at, chain).map(Value::Chain),
        }
    }

    fn unary_constant(&self, at: &At, constant: Constant) -> Result<Value, QuantError> {
        let folded = match at.node.op_type.as_str() {
            "Sqrt" => Constant {
                data: Data::Float(constant.reals().into_iter().map(f32::sqrt).collect()),
                scales: None,
                shape: constant.shape,
            },
            "Neg" => constant.stepped(&[Step::SubtractFrom(Number::Float(0.0))]),
            "Relu" => constant.stepped(&[Step::Relu]),
            _ => return Err(self.unsupported(at)),
        };
        Ok(Value::Constant(folded))
    }

    fn unary_chain(&self, at: &At, mut chain: Chain) -> Result<Chain, QuantError> {
        let rounding = match at.node.op_type.as_str() {
            "Relu" => {
                if let Some(levels) = &mut chain.levels {
                    return Ok(levels.raised(levels.zero_point).map_or_else(
                        || chain.clone().then(Step::Relu),
                        |raised| Chain {
                            levels: Some(raised),
                            ..chain.clone()
                        },
                    ));
                }
                return Ok(chain.then(Step::Relu));
            }
            "Neg" => return Ok(chain.then(Step::SubtractFrom(Number::Float(0.0)))),
            "Clip" => return self.clip(at, chain),
            "Cast" => return cast(at, chain),
            "Floor" => Rounding::Floor,
            "Ceil" => Rounding::Ceil,
            "Round" => Rounding::HalfEven,
            _ => return Err(self.unsupported(at)),
        };
        if chain.levels.is_some_and(|l| l.is_plain()) {
            return Ok(chain);
        }
        let mut chain = chain.then(Step::Round(rounding));
        chain.levels = Some(Levels::PLAIN);
        Ok(chain)
    }

    fn clip(&self, at: &At, mut chain: Chain) -> Result<Chain, QuantError> {
        let bound = |name: &str, index: usize, open: f32| {
            if let Some(value) = at.node.float(name) {
                return Ok(value);
            }
            let constant = self.optional(at, index)?;
            Ok(constant.and_then(Constant::scalar).unwrap_or(open))
        };
        let (lo, hi) = (
            bound("min", 1, f32::NEG_INFINITY)?,
            bound("max", 2, f32::INFINITY)?,
        );
        let whole = |v: f32| v.fract() == 0.0 && v.abs() < 1e6;
        if let Some(levels) = &mut chain.levels
            && levels.is_plain()
            && whole(lo)
            && whole(hi)
            && lo <= hi
        {
            let inside = |v: i64| v.clamp(lo as i64, hi as i64);
            levels.bounds = Interval::new(inside(levels.bounds.lo), inside(levels.bounds.hi));
            return Ok(chain);
        }
        Ok(chain.then(Step::Clip { lo, hi }))
    }
}

impl Levels {
    /// Whole numbers that stand for themselves.
    pub const PLAIN: Levels = Levels {
        scale: 1.0,
        zero_point: 0,
        bounds: UNBOUNDED,
    };

    /// The integers are the real values.
    pub fn is_plain(&self) -> bool {
        self.scale == 1.0 && self.zero_point == 0
    }

    /// The same with a lower bound of at least `lo`; `None` where nothing would be left.
    fn raised(&self, lo: i64) -> Option<Self> {
        let lo = self.bounds.lo.max(lo);
        (lo <= self.bounds.hi).then(|| Levels {
            bounds: Interval::new(lo, self.bounds.hi),
            ..*self
        })
    }
}

fn cast(at: &At, mut chain: Chain) -> Result<Chain, QuantError> {
    match at.node.int("to") {
        Some(1) => match chain.levels {
            // between integers and whole float32 numbers there is no difference below 2^24
            Some(levels) if levels.is_plain() => Ok(chain),
            _ => Ok(chain.then(Step::ToFloat)),
        },
        Some(code) if INTEGER_CODES.contains(&code) => {
            if chain.levels.is_some_and(|l| l.is_plain()) {
                return Ok(chain);
            }
            chain = chain.then(Step::ToInteger);
            chain.levels = Some(Levels::PLAIN);
            Ok(chain)
        }
        other => Err(at.error(format!("Cast to type {other:?}"), "float32, int32 or int64")),
    }
}

/// The constant's element for each channel; one where all are equal.
pub(super) fn per_channel(
    at: &At,
    chain: &Chain,
    constant: &Constant,
) -> Result<Vec<Number>, QuantError> {
    if constant.len() == 1 {
        return Ok(vec![constant.number(0)]);
    }
    let (channels, elements) = (chain.channels(), chain.elements());
    let pixels = elements / channels.max(1);
    let mut operands = vec![None; channels];
    for flat in 0..elements {
        let Some(index) = constant.broadcast_index(&chain.shape, flat) else {
            let found = format!(
                "a constant of shape {:?} for {:?}",
                constant.shape, chain.shape
            );
            return Err(at.error(found, "one that broadcasts to the other operand's shape"));
        };
        let number = constant.number(index);
        let operand: &mut Option<Number> = &mut operands[flat / pixels];
        if operand.is_some_and(|known| known != number) {
            let found = "a constant that differs within a channel";
            return Err(at.error(found, "one value per channel"));
        }
        *operand = Some(number);
    }
    let operands: Vec<Number> = operands.into_iter().flatten().collect();
    match operands.first() {
        Some(&first) if operands.iter().all(|&o| o == first) => Ok(vec![first]),
        _ => Ok(operands),
    }
}

/// Arithmetic between two constants.
fn constants(at: &At, shape: &[usize], a: &Constant, b: &Constant) -> Result<Constant, QuantError> {
    let count: usize = shape.iter().product();
    let mut values = Vec::with_capacity(count);
    for flat in 0..count {
        let (Some(i), Some(j)) = (
            a.broadcast_index(shape, flat),
            b.broadcast_index(shape, flat),
        ) else {
            return Err(at.error(
                format!("constants of shapes {:?} and {:?}", a.shape, b.shape),
                "shapes that broadcast",
            ));
        };
        let (x, y) = (a.number(i), b.number(j));
        values.push(match at.node.op_type.as_str() {
            "Add" => Step::Add(y).apply(x).to_f32(),
            "Sub" => Step::Subtract(y).apply(x).to_f32(),
            "Mul" => Step::Multiply(y).apply(x).to_f32(),
            "Div" => Step::Divide(y).apply(x).to_f32(),
            _ => x.to_f32().powf(y.to_f32()),
        });
    }
    Ok(Constant {
        shape: shape.to_vec(),
        data: Data::Float(values),
        scales: None,
    })
}
