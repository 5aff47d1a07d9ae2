//! Add, Sub, Mul, Div, Min, Max, PRelu of two operands, and QLinearAdd, QLinearMul.

use std::rc::Rc;

use macforge_numeric::{BinaryRule, FloatOperation, float_functions};

use super::pending::{Layer, Pending};
use super::unary::{Function, mapped};
use super::value::{Constant, Int, Value, float_operation};
use super::{Node, Pass, place};
use crate::QuantError;
use crate::graph::QOp;

impl Pass<'_> {
    /// com.microsoft QLinearAdd and QLinearMul.
    pub(super) fn qlinear_binary(&mut self, node: &Node) -> Result<(), QuantError> {
        let (a, b) = (self.int_at(node, 0)?, self.int_at(node, 3)?);
        let output = self.output_at(node, 6, 7)?;
        if a.shape != b.shape {
            let found = format!("operands of shapes {:?} and {:?}", a.shape, b.shape);
            // onnxruntime's kernels round a broadcast operand in another order
            return Err(self.unsupported(node, &found, "operands of one shape"));
        }
        if a.unsigned != output.unsigned || b.unsigned != output.unsigned {
            return Err(node.parameter("operands of int8 and uint8", "one type"));
        }
        let rule = match node.op.op_type.as_str() {
            "QLinearAdd" => BinaryRule::qlinear_add,
            _ => BinaryRule::qlinear_mul,
        };
        let rule = rule(a.params, b.params, output.params, output.unsigned)
            .map_err(|e| node.rule("scales", e))?;
        let (clamp, lowest) = (rule.clamp, output.params.zero_point <= rule.clamp.lo);
        let rule = rule.clamped(clamp, lowest);
        let (a, b) = self.aligned(node, a, b)?;
        let inputs = vec![a.tensor, b.tensor];
        self.emit(node, QOp::Binary(rule), inputs, a.shape, a.place, output);
        Ok(())
    }

    /// Between DequantizeLinear and QuantizeLinear.
    pub(super) fn float_binary(&mut self, node: &Node) -> Result<(), QuantError> {
        if self.scaled_scores(node)? {
            return Ok(());
        }
        let name = node.output(0)?.to_string();
        let scalars = [self.real_scalar(node, 0), self.real_scalar(node, 1)];
        if let Some(function) = scalar_function(&node.op.op_type, scalars) {
            let index = usize::from(scalars[0].is_some());
            let Value::Mapped(of, reals) = self.operand(node, index)? else {
                let found = self.operand(node, index)?.describe();
                return Err(node.parameter(found, "a dequantized tensor"));
            };
            let value = Value::Mapped(of, mapped(&reals, &function));
            self.set(&name, value);
            return Ok(());
        }
        let Some(operation) = float_operation(&node.op.op_type) else {
            return Err(self.unsupported(
                node,
                "two computed operands, or a constant of several values",
                "one computed operand and one constant value",
            ));
        };
        if node.op.inputs.len() != 2 {
            let found = format!("{} operands", node.op.inputs.len());
            return Err(self.unsupported(node, &found, "two operands"));
        }
        if let Some(folded) = self.folded_bias(node, operation)? {
            return self.pend(node, folded);
        }
        let (a, b) = (self.plain_operand(node, 0)?, self.plain_operand(node, 1)?);
        let shape = self.output_shape(node)?;
        let (a, b) = self.aligned(node, a, b)?;
        let place = if a.shape == shape {
            a.place.clone()
        } else {
            place::image(&shape)
        };
        let mut pending = Pending::new(node, vec![a, b], Layer::Binary(operation), shape);
        pending.place = place;
        self.pend(node, pending)
    }

    /// The one real value of a constant operand, whether float32 or quantized.
    pub(super) fn real_scalar(&self, node: &Node, index: usize) -> Option<f32> {
        let name = node.op.input(index)?;
        if let Some(Value::Constant(constant)) = self.values.get(name) {
            return dequantized_scalar(constant);
        }
        match self.model.constant(node.op, index)?.data.as_f32()? {
            &[value] => Some(value),
            _ => None,
        }
    }

    /// A dequantized int32 bias that is added to a product of constant weights.
    fn folded_bias(
        &self,
        node: &Node,
        operation: FloatOperation,
    ) -> Result<Option<Pending>, QuantError> {
        if operation != FloatOperation::Add {
            return Ok(None);
        }
        for (sum, bias) in [(0, 1), (1, 0)] {
            let Ok(Value::Pending(pending)) = self.operand(node, sum) else {
                continue;
            };
            let mut pending = *pending;
            let open = pending.lower == f32::NEG_INFINITY && pending.upper == f32::INFINITY;
            let x = pending.inputs[0].params.scale;
            let constant = matches!(self.operand(node, bias), Ok(Value::Constant(_)))
                || self.model.constant(node.op, bias).is_some();
            let (own, scales) = match &mut pending.layer {
                Layer::Conv(conv, scales) => (&mut conv.bias, scales),
                Layer::FullyConnected(fc, scales) => (&mut fc.bias, scales),
                _ => continue,
            };
            if !open || !constant || own.iter().any(|&b| b != 0) {
                continue;
            }
            *own = self.real_bias(node, bias, x, scales)?;
            return Ok(Some(pending));
        }
        Ok(None)
    }

    /// Two operands in one layout, which broadcasting can work on.
    fn aligned(&mut self, node: &Node, a: Int, b: Int) -> Result<(Int, Int), QuantError> {
        if a.shape == b.shape {
            let b = self.placed(node, &b, a.place.clone())?;
            return Ok((a, b));
        }
        let rank = a.shape.len().max(b.shape.len());
        let full = |v: &Int| [vec![1; rank - v.shape.len()], v.shape.clone()].concat();
        let mut placed = |v: &Int| {
            let v = self.unflattened(node, v)?;
            let v = self.placed(node, &v, place::plain(&v.shape))?;
            let shape = full(&v);
            let place = place::plain(&shape);
            let v = self.reshaped(node, &v, shape, place);
            self.placed(node, &v, place::image(&v.shape))
        };
        Ok((placed(&a)?, placed(&b)?))
    }
}

/// The function of the computed operand where the other one is a constant value.
fn scalar_function(op: &str, scalars: [Option<f32>; 2]) -> Option<Function> {
    Some(match (op, scalars) {
        ("Add", [Some(c), None] | [None, Some(c)]) => Box::new(move |x| x + c),
        ("Mul", [Some(c), None] | [None, Some(c)]) => Box::new(move |x| x * c),
        ("Min", [Some(c), None] | [None, Some(c)]) => Box::new(move |x: f32| x.min(c)),
        ("Max", [Some(c), None] | [None, Some(c)]) => Box::new(move |x: f32| x.max(c)),
        ("Sub", [Some(c), None]) => Box::new(move |x| c - x),
        ("Sub", [None, Some(c)]) => Box::new(move |x| x - c),
        ("Div", [Some(c), None]) => Box::new(move |x| c / x),
        ("Div", [None, Some(c)]) => Box::new(move |x| x / c),
        ("PRelu", [None, Some(c)]) => Box::new(move |x| float_functions::leaky_relu(x, c)),
        _ => return None,
    })
}

fn dequantized_scalar(constant: &Rc<Constant>) -> Option<f32> {
    match (constant.values.as_slice(), constant.zero_points.as_slice()) {
        (&[value], &[zero_point]) => Some((value - zero_point) as f32 * constant.scales[0]),
        _ => None,
    }
}
