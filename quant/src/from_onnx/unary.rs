//! Element-wise functions of one tensor: tables, computed with the float32 operations that
//! onnxruntime performs on the dequantized values.

use std::rc::Rc;

use macforge_numeric::float_functions as functions;

use super::pending::Pending;
use super::value::{RealTable, Value};
use super::{Node, Pass};
use crate::QuantError;

/// Whether `op` is a float operator of this file.
pub(super) fn is_unary(op: &str) -> bool {
    matches!(
        op,
        "Relu"
            | "LeakyRelu"
            | "Clip"
            | "Sigmoid"
            | "Tanh"
            | "HardSigmoid"
            | "HardSwish"
            | "Abs"
            | "Neg"
            | "Identity"
            | "Dropout"
            | "Sqrt"
            | "Floor"
            | "Ceil"
            | "Round"
            | "Sign"
            | "Reciprocal"
    )
}

/// A float32 function.
pub(super) type Function = Box<dyn Fn(f32) -> f32>;

impl Pass<'_> {
    /// Between DequantizeLinear and QuantizeLinear.
    pub(super) fn float_unary(&mut self, node: &Node) -> Result<(), QuantError> {
        let name = node.output(0)?.to_string();
        let op = node.op.op_type.as_str();
        if matches!(op, "Identity" | "Dropout") {
            if node.op.output(1).is_some() {
                return Err(self.unsupported(node, "a mask as output", "inference without a mask"));
            }
            let value = self.operand(node, 0)?;
            self.set(&name, value);
            return Ok(());
        }
        let value = match self.operand(node, 0)? {
            Value::Pending(pending) => Value::Pending(Box::new(self.bounded(node, *pending)?)),
            Value::Mapped(of, reals) => {
                let function = self.function(node)?;
                Value::Mapped(of, mapped(&reals, &function))
            }
            Value::Int(of) if matches!(op, "Relu" | "Clip") => {
                return Err(self.unsupported(
                    node,
                    &format!("on the integers of `{}`", self.graph.tensor(of.tensor).name),
                    "DequantizeLinear in front and QuantizeLinear behind",
                ));
            }
            other => return Err(node.parameter(other.describe(), "a dequantized tensor")),
        };
        self.set(&name, value);
        Ok(())
    }

    /// A monotone bound on a layer that waits for its QuantizeLinear.
    fn bounded(&self, node: &Node, pending: Pending) -> Result<Pending, QuantError> {
        match node.op.op_type.as_str() {
            "Relu" => Ok(pending.bounded(0.0, f32::INFINITY)),
            "Clip" => {
                let (lower, upper) = self.clip_bounds(node)?;
                Ok(pending.bounded(lower, upper))
            }
            _ => Err(node.parameter(
                "a layer's result that is not quantized",
                "QuantizeLinear and DequantizeLinear in front of the function",
            )),
        }
    }

    /// The bounds of a Clip: attributes before operator set 11, constant operands since.
    fn clip_bounds(&self, node: &Node) -> Result<(f32, f32), QuantError> {
        let bound = |name: &str, index: usize, open: f32| match node.op.input(index) {
            Some(_) => self.float_scalar(node, index),
            None => Ok(node.op.float(name).unwrap_or(open)),
        };
        let lower = bound("min", 1, f32::NEG_INFINITY)?;
        let upper = bound("max", 2, f32::INFINITY)?;
        if lower <= upper {
            return Ok((lower, upper));
        }
        Err(node.parameter(format!("bounds {lower} and {upper}"), "min at most max"))
    }

    /// The float32 function of a node.
    fn function(&self, node: &Node) -> Result<Function, QuantError> {
        let alpha = |default: f32| node.op.float("alpha").unwrap_or(default);
        Ok(match node.op.op_type.as_str() {
            "Relu" => Box::new(|x: f32| x.max(0.0)),
            "Clip" => {
                let (lower, upper) = self.clip_bounds(node)?;
                Box::new(move |x: f32| x.max(lower).min(upper))
            }
            "LeakyRelu" => {
                let alpha = alpha(0.01);
                Box::new(move |x: f32| functions::leaky_relu(x, alpha))
            }
            "Sigmoid" => Box::new(functions::sigmoid),
            "Tanh" => Box::new(functions::tanh),
            "HardSigmoid" => {
                let (alpha, beta) = (alpha(0.2), node.op.float("beta").unwrap_or(0.5));
                Box::new(move |x: f32| functions::hard_sigmoid(x, alpha, beta))
            }
            "HardSwish" => Box::new(functions::hard_swish),
            "Abs" => Box::new(f32::abs),
            "Neg" => Box::new(|x: f32| -x),
            "Sqrt" => Box::new(f32::sqrt),
            "Floor" => Box::new(f32::floor),
            "Ceil" => Box::new(f32::ceil),
            "Round" => Box::new(f32::round_ties_even),
            "Sign" => Box::new(|x: f32| if x == 0.0 { 0.0 } else { x.signum() }),
            "Reciprocal" => Box::new(|x: f32| 1.0 / x),
            _ => return Err(self.unsupported(node, "no such function", "a known one")),
        })
    }

    /// com.microsoft operators with scales of their own.
    pub(super) fn qlinear_unary(&mut self, node: &Node) -> Result<(), QuantError> {
        let x = self.int_at(node, 0)?;
        let output = self.output_at(node, 3, 4)?;
        let function: Function = match node.op.op_type.as_str() {
            "QLinearSigmoid" => Box::new(functions::sigmoid),
            _ => {
                let alpha = node.op.float("alpha").unwrap_or(0.01);
                Box::new(move |x: f32| functions::leaky_relu(x, alpha))
            }
        };
        let reals = mapped(&x.dequantized(), &function);
        let name = output.name.clone();
        let value = self.requantized(node, &x, &reals, &output)?;
        self.set(&name, Value::Int(value));
        Ok(())
    }
}

/// The function of every entry.
pub(super) fn mapped(reals: &RealTable, function: &dyn Fn(f32) -> f32) -> RealTable {
    let mut table = **reals;
    for real in &mut table {
        *real = function(*real);
    }
    Rc::new(table)
}
