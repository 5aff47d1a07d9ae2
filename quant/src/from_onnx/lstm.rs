//! LSTM between DequantizeLinear and QuantizeLinear: int8 weights, FP16 gates and cell state.
//!
//! The rule is this project's own ([`Fp16LstmRule`]), not onnxruntime's float32: the hidden state
//! goes back as the int8 that QuantizeLinear states.

use std::rc::Rc;

use macforge_numeric::Fp16LstmRule;
use macforge_numeric::fp16_lstm::Fp16LstmScales;

use super::operands::Weights;
use super::pending::{Layer, Pending};
use super::value::{Int, Place, Value};
use super::{Node, Output, Pass, place};
use crate::QuantError;
use crate::graph::{Lstm, LstmArithmetic, LstmGate, QOp};

/// A recurrent layer without the scale of its hidden state.
#[derive(Clone, Debug)]
pub(super) struct LstmParts {
    inputs: usize,
    units: usize,
    gates: [LstmGate; 4],
    input_weights: [Vec<f32>; 4],
    recurrent_weights: [Vec<f32>; 4],
}

/// ONNX's blocks of the weights' rows (input, output, forget, cell) in the order of
/// [`macforge_numeric::lstm::Gate::ALL`].
const BLOCKS: [usize; 4] = [0, 2, 3, 1];
/// Operands: weights, bias, lengths, initial states, peepholes.
const INPUT_WEIGHTS: usize = 1;
const RECURRENT_WEIGHTS: usize = 2;
const BIAS: usize = 3;
const LENGTHS: usize = 4;
const STATES: [usize; 2] = [5, 6];
const PEEPHOLES: usize = 7;

impl Pass<'_> {
    /// Both outputs wait for their QuantizeLinear.
    pub(super) fn float_lstm(&mut self, node: &Node) -> Result<(), QuantError> {
        self.check_lstm(node)?;
        let x = self.plain_operand(node, 0)?;
        let &[length, batch, inputs] = x.shape.as_slice() else {
            return Err(node.parameter(format!("a sequence of shape {:?}", x.shape), "[T, 1, I]"));
        };
        if batch != 1 || length == 0 || inputs == 0 {
            let found = format!("a sequence of shape {:?}", x.shape);
            return Err(node.parameter(found, "[T, 1, I]: batch 1, at least one element"));
        }
        let parts = Rc::new(self.lstm_parts(node, &x)?);
        let units = parts.units;
        // [T, I]: the batch of 1 lies in between
        let x = self.placed(node, &x, Place::Axes(vec![0, 2]))?;
        let outputs = [
            (vec![length, 1, 1, units], vec![0, 3]),
            (vec![1, 1, units], vec![2]),
        ];
        for (index, (shape, axes)) in outputs.into_iter().enumerate() {
            // exporters name what nobody reads
            let Some(name) = node.op.output(index).filter(|name| self.is_read(name)) else {
                continue;
            };
            let layer = Layer::Lstm {
                parts: Rc::clone(&parts),
                last: index == 1,
            };
            let mut pending = Pending::new(node, vec![x.clone()], layer, shape);
            pending.place = Place::Axes(axes);
            self.set(name, Value::Pending(Box::new(pending)));
        }
        Ok(())
    }

    /// Refuses what the unit does not have.
    fn check_lstm(&self, node: &Node) -> Result<(), QuantError> {
        let refuse = |found: String, needed: &str| Err(self.unsupported(node, &found, needed));
        let direction = node.op.text("direction").unwrap_or("forward");
        if direction != "forward" {
            return refuse(format!("direction {direction}"), "direction forward");
        }
        for (name, wanted) in [("layout", 0), ("input_forget", 0)] {
            let found = node.op.int(name).unwrap_or(wanted);
            if found != wanted {
                return refuse(format!("{name} {found}"), &format!("{name} {wanted}"));
            }
        }
        if node.op.attributes.contains_key("clip") {
            return refuse("clip".into(), "an LSTM without clip");
        }
        if let Some(names) = node.op.texts("activations")
            && !names
                .iter()
                .map(|n| n.to_lowercase())
                .eq(["sigmoid", "tanh", "tanh"])
        {
            return refuse(format!("activations {names:?}"), "Sigmoid, Tanh, Tanh");
        }
        for (index, what) in [(LENGTHS, "sequence_lens"), (PEEPHOLES, "peepholes")] {
            if node.op.input(index).is_some() {
                return refuse(
                    what.into(),
                    "an LSTM over the whole sequence, without peepholes",
                );
            }
        }
        if let Some(name) = node.op.output(2).filter(|name| self.is_read(name)) {
            return refuse(
                format!("the cell state `{name}` as an output"),
                "outputs Y and Y_h only",
            );
        }
        for index in STATES {
            if !self.is_zero(node, index) {
                return refuse(
                    format!("initial state {index}, which is computed or not zero"),
                    "initial states of zero",
                );
            }
        }
        Ok(())
    }

    /// Whether a value is an operand of a node or leaves the graph.
    pub(super) fn is_read(&self, name: &str) -> bool {
        let mut operands = self.model.nodes.iter().flat_map(|n| &n.inputs);
        operands.any(|i| i == name) || self.model.outputs.iter().any(|o| o.name == name)
    }

    /// Whether an operand is left out or zero.
    fn is_zero(&self, node: &Node, index: usize) -> bool {
        let Some(name) = node.op.input(index) else {
            return true;
        };
        if let Some(Value::Constant(constant)) = self.values.get(name) {
            let zero = constant.zero_points.first().copied().unwrap_or(0);
            let one = constant.zero_points.iter().all(|&z| z == zero);
            return one && constant.values.iter().all(|&v| v == zero);
        }
        let tensor = self.model.constant(node.op, index);
        let values = tensor.and_then(|t| t.data.as_f32());
        values.is_some_and(|v| v.iter().all(|&v| v == 0.0))
    }

    fn lstm_parts(&self, node: &Node, x: &Int) -> Result<LstmParts, QuantError> {
        let own = self.real_weights(node, INPUT_WEIGHTS, 1)?;
        let back = self.real_weights(node, RECURRENT_WEIGHTS, 1)?;
        for (weights, what) in [(&own, "input"), (&back, "recurrent")] {
            if weights.shape.first() != Some(&1) {
                let found = format!("{what} weights of shape {:?}", weights.shape);
                return Err(node.parameter(found, "one direction"));
            }
            if weights.wide || weights.zero_points.iter().any(|&z| z != 0) {
                let found = format!("{what} weights of 16 bits or with a zero point");
                return Err(node.parameter(found, "int8 weights with zero point 0"));
            }
        }
        // shape inference has compared the sizes
        let (&[_, rows, inputs], &[_, _, units]) = (own.shape.as_slice(), back.shape.as_slice())
        else {
            return Err(node.parameter("weights of another rank", "[1, 4H, I] and [1, 4H, H]"));
        };
        if units == 0 || rows != 4 * units {
            return Err(node.parameter(format!("{units} units"), "[1, 4H, I] and [1, 4H, H]"));
        }
        let bias = self.lstm_bias(node, units)?;
        let mut gates = Vec::with_capacity(4);
        for block in BLOCKS {
            gates.push(LstmGate {
                input_weights: bytes(&part(&own.values, block, units * inputs)),
                recurrent_weights: bytes(&part(&back.values, block, units * units)),
                bias: (block * units..(block + 1) * units)
                    .map(|row| steps(node, row, bias[row], x.params.scale, own.scales[row]))
                    .collect::<Result<_, _>>()?,
            });
        }
        let scales = |weights: &Weights| BLOCKS.map(|block| part(&weights.scales, block, units));
        Ok(LstmParts {
            inputs,
            units,
            gates: gates.try_into().expect("four blocks"),
            input_weights: scales(&own),
            recurrent_weights: scales(&back),
        })
    }

    /// Real sum of both biases, per row; float32 values, or integers with their scale.
    fn lstm_bias(&self, node: &Node, units: usize) -> Result<Vec<f64>, QuantError> {
        let Some(name) = node.op.input(BIAS) else {
            return Ok(vec![0.0; 4 * units]);
        };
        let reals: Vec<f64> = match self.values.get(name) {
            Some(Value::Constant(c)) => {
                let per_row = |i: usize| if c.scales.len() == 1 { 0 } else { i };
                let real = |(i, &v): (usize, &i32)| {
                    let zero = i64::from(*c.zero_points.get(per_row(i))?);
                    let scale = f64::from(*c.scales.get(per_row(i))?);
                    Some((i64::from(v) - zero) as f64 * scale)
                };
                c.values.iter().enumerate().map_while(real).collect()
            }
            _ => {
                let values = self.constant(node, BIAS)?.data.as_f32().unwrap_or_default();
                values.iter().map(|&v| v.into()).collect()
            }
        };
        if reals.len() != 8 * units {
            let found = format!("bias `{name}` with {} values", reals.len());
            return Err(node.parameter(
                found,
                format!("{} float32 values, or integers with a scale", 8 * units),
            ));
        }
        let (own, back) = reals.split_at(4 * units);
        Ok(own.iter().zip(back).map(|(a, b)| a + b).collect())
    }

    /// The layer, or its last step, with the hidden state's parameters. Both outputs of a node share
    /// the hidden state, and so its parameters.
    pub(super) fn settle_lstm(
        &mut self,
        node: &Node,
        x: &Int,
        parts: &LstmParts,
        last: bool,
        output: Output,
    ) -> Result<(), QuantError> {
        let name = output.name.clone();
        let sequence = match self.sequences.get(&node.index) {
            Some(known) if known.params == output.params && known.unsigned == output.unsigned => {
                known.clone()
            }
            Some(known) => {
                return Err(node.parameter(
                    format!(
                        "Y with scale {} and Y_h with another scale or zero point",
                        known.params.scale
                    ),
                    "one QuantizeLinear scale and zero point for both: the hidden state is one tensor",
                ));
            }
            None => {
                // where only the last state is read, the name is that state's
                let all = if last {
                    format!("{name}:all")
                } else {
                    name.clone()
                };
                let output = Output {
                    name: all,
                    ..output.clone()
                };
                self.emit_lstm(node, x, parts, output)?
            }
        };
        let value = if last {
            let length = sequence.shape[0];
            let shape = vec![1, 1, 1, parts.units];
            let op = QOp::Slice {
                start: vec![length - 1, 0],
                step: vec![1, 1],
            };
            let inputs = vec![sequence.tensor];
            let row = self.emit_inner(node, op, inputs, shape, Place::Axes(vec![0, 3]), output);
            let shape = vec![1, 1, parts.units];
            self.reshaped(node, &row, shape.clone(), place::plain(&shape))
        } else {
            sequence
        };
        self.set(&name, Value::Int(value));
        Ok(())
    }

    fn emit_lstm(
        &mut self,
        node: &Node,
        x: &Int,
        parts: &LstmParts,
        output: Output,
    ) -> Result<Int, QuantError> {
        let scales = Fp16LstmScales {
            input: x.params.scale,
            input_weights: parts.input_weights.clone(),
            recurrent_weights: parts.recurrent_weights.clone(),
            hidden: output.params.scale,
            hidden_zero_point: output.params.zero_point,
        };
        let rule = Fp16LstmRule::new(&scales).map_err(|e| node.rule("scales of the LSTM", e))?;
        let lstm = Lstm {
            inputs: parts.inputs,
            units: parts.units,
            gates: parts.gates.clone(),
            rule: LstmArithmetic::Fp16(rule),
        };
        let (shape, place) = (vec![x.shape[0], 1, 1, parts.units], Place::Axes(vec![0, 3]));
        let op = QOp::Lstm(Box::new(lstm));
        let sequence = self.emit_inner(node, op, vec![x.tensor], shape, place, output);
        self.sequences.insert(node.index, sequence.clone());
        Ok(sequence)
    }

    /// Where a graph input lies: as an image, or as a sequence where an LSTM reads it.
    pub(super) fn input_place(&self, index: usize) -> Place {
        let input = &self.model.inputs[index];
        let shape = self.types.get(&input.name).map_or(&[][..], |t| &t.shape);
        match self.feeds_lstm(&input.name) {
            true => place::plain(shape),
            false => place::image(shape),
        }
    }

    /// Whether an LSTM reads a value, behind quantization and changes of the layout only.
    fn feeds_lstm(&self, name: &str) -> bool {
        let mut name = name;
        for node in &self.model.nodes {
            // nodes are in topological order
            if node.input(0) != Some(name) {
                continue;
            }
            match node.op_type.as_str() {
                "LSTM" => return true,
                "QuantizeLinear" | "DequantizeLinear" | "Transpose" | "Reshape" | "Squeeze"
                | "Unsqueeze" => name = node.output(0).unwrap_or(name),
                _ => return false,
            }
        }
        false
    }
}

/// Block `block` of `size` elements.
fn part<T: Copy>(all: &[T], block: usize, size: usize) -> Vec<T> {
    all[block * size..(block + 1) * size].to_vec()
}

/// Weights that are not wide.
fn bytes(weights: &[i16]) -> Vec<i8> {
    weights.iter().map(|&w| w as i8).collect()
}

/// A real bias in units of the input's accumulator, ties to even.
fn steps(node: &Node, row: usize, bias: f64, x: f32, w: f32) -> Result<i32, QuantError> {
    let steps = (bias / (f64::from(x) * f64::from(w))).round_ties_even();
    if steps.abs() < f64::from(i32::MAX) {
        return Ok(steps as i32);
    }
    Err(node.parameter(
        format!("bias {bias} of row {row}, {steps} steps of input scale times weight scale"),
        "a bias below 2^31 steps",
    ))
}
