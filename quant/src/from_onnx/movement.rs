//! Operators that move values: layout changes, selections, Concat.

use std::rc::Rc;

use macforge_model::onnx::TensorData;

use super::pending::{Layer, Pending};
use super::value::{Int, Place, RealTable, Value};
use super::{Node, Output, Pass, place};
use crate::QuantError;
use crate::graph::QOp;

/// Whether `op` moves the values of one tensor.
pub(super) fn is_movement(op: &str) -> bool {
    matches!(
        op,
        "Reshape"
            | "Flatten"
            | "Squeeze"
            | "Unsqueeze"
            | "Transpose"
            | "Slice"
            | "Split"
            | "Pad"
            | "Resize"
            | "Upsample"
    )
}

impl Pass<'_> {
    /// Moves integers; the real function on top of them stays as it is.
    pub(super) fn movement(&mut self, node: &Node) -> Result<(), QuantError> {
        let mut real_wide = false;
        let (x, reals) = match self.operand(node, 0)? {
            Value::Int(x) => (x, None),
            Value::Wide(x) => {
                real_wide = true;
                (x, None)
            }
            Value::Mapped(x, reals) => (x, Some(reals)),
            other => {
                return Err(node.parameter(
                    other.describe(),
                    "QuantizeLinear and DequantizeLinear in front of it",
                ));
            }
        };
        let moved = match node.op.op_type.as_str() {
            "Transpose" => vec![self.transposed(node, x)?],
            "Slice" => vec![self.sliced(node, x)?],
            "Split" => self.split(node, x)?,
            "Pad" => vec![self.padded(node, x, reals.as_ref())?],
            "Resize" | "Upsample" => vec![self.resized(node, x)?],
            _ => vec![self.reshape(node, x)?],
        };
        for (name, value) in node.op.outputs.iter().zip(moved) {
            let value = match &reals {
                Some(reals) => Value::Mapped(value, Rc::clone(reals)),
                None if real_wide => Value::Wide(value),
                None => Value::Int(value),
            };
            self.set(name, value);
        }
        Ok(())
    }

    /// Reshape, Flatten, Squeeze, Unsqueeze.
    fn reshape(&mut self, node: &Node, x: Int) -> Result<Int, QuantError> {
        let shape = self.output_shape(node)?;
        if let Place::FlatImage(_) = x.place
            && shape == x.shape
        {
            return Ok(x);
        }
        // dimensions of size 1 come and go without a move
        let sizes = |shape: &[usize]| -> Vec<usize> {
            (0..shape.len()).filter(|&d| shape[d] != 1).collect()
        };
        let (old, new) = (sizes(&x.shape), sizes(&shape));
        let alike = old
            .iter()
            .map(|&d| x.shape[d])
            .eq(new.iter().map(|&d| shape[d]));
        if let (Place::Axes(axes), true) = (&x.place, alike) {
            let real = axes.iter().filter(|a| old.contains(a));
            let renamed: Vec<usize> = real
                .map(|a| new[old.iter().position(|o| o == a).unwrap_or(0)])
                .collect();
            let value = self.reshaped(node, &x, shape.clone(), Place::Axes(renamed.clone()));
            // spell out dimensions of 1 the usual way where the order allows it
            let usual = if renamed.is_sorted() {
                place::plain(&shape)
            } else {
                place::image(&shape)
            };
            let Place::Axes(axes) = &usual else {
                return Ok(value);
            };
            let same_order = axes
                .iter()
                .copied()
                .filter(|&a| shape[a] != 1)
                .eq(renamed.iter().copied());
            if same_order {
                node.rank(&place::tensor_shape(&shape, &usual))?;
                return Ok(self.reshaped(node, &value, shape, usual));
            }
            return Ok(value);
        }
        // an image becomes a vector: what reads it takes the order into account
        let flat = shape.len() == 2 && shape[0] == 1;
        if flat
            && !x.is_row_major()
            && x.place == place::image(&x.shape)
            && let [_, c, spatial @ ..] = x.shape.as_slice()
            && let Some([h, w]) = super::conv::two(spatial)
        {
            let image = self.placed(node, &x, place::image(&x.shape))?;
            let [h, w, c] = [h, w, *c];
            let place = Place::FlatImage([h, w, c]);
            return Ok(self.reshaped(node, &image, shape, place));
        }
        let x = self.unflattened(node, &x)?;
        let x = self.placed(node, &x, place::plain(&x.shape))?;
        let place = place::plain(&shape);
        node.rank(&place::tensor_shape(&shape, &place))?;
        Ok(self.reshaped(node, &x, shape, place))
    }

    /// Renames the dimensions; whoever needs another order moves the values.
    fn transposed(&mut self, node: &Node, x: Int) -> Result<Int, QuantError> {
        let x = self.unflattened(node, &x)?;
        let shape = self.output_shape(node)?;
        let rank = shape.len();
        let perm: Vec<usize> = match node.op.ints("perm") {
            Some(perm) => perm.iter().map(|&p| p as usize).collect(),
            None => (0..rank).rev().collect(),
        };
        let Place::Axes(axes) = &x.place else {
            return Err(node.parameter("a flattened image", "a tensor of its own shape"));
        };
        let new_axis = |old: &usize| perm.iter().position(|p| p == old).unwrap_or(0);
        let place = Place::Axes(axes.iter().map(new_axis).collect());
        Ok(Int { shape, place, ..x })
    }

    fn sliced(&mut self, node: &Node, x: Int) -> Result<Int, QuantError> {
        let x = self.unflattened(node, &x)?;
        let shape = self.output_shape(node)?;
        let ranges = self
            .model
            .slice_of(node.op, &x.shape)
            .ok_or_else(|| node.parameter("computed positions", "constant starts and ends"))?;
        if let Some(range) = ranges.iter().find(|r| r.step < 1 || r.count == 0) {
            let found = format!("step {} for {} elements", range.step, range.count);
            return Err(self.unsupported(node, &found, "positive steps, at least one element"));
        }
        let start: Vec<usize> = ranges.iter().map(|r| r.start as usize).collect();
        let step: Vec<usize> = ranges.iter().map(|r| r.step as usize).collect();
        self.select(node, &x, shape, &start, &step)
    }

    fn split(&mut self, node: &Node, x: Int) -> Result<Vec<Int>, QuantError> {
        let x = self.unflattened(node, &x)?;
        let rank = x.shape.len() as i64;
        let axis = node.op.int("axis").unwrap_or(0);
        let along = (if axis < 0 { axis + rank } else { axis }) as usize;
        let mut at = 0;
        let mut parts = Vec::new();
        for index in 0..node.op.outputs.len() {
            let shape = self.shape_of(node, node.output(index)?)?;
            let mut start = vec![0; x.shape.len()];
            start[along] = at;
            at += shape[along];
            parts.push(self.select(node, &x, shape, &start, &vec![1; x.shape.len()])?);
        }
        Ok(parts)
    }

    /// A slice, given per dimension of ONNX.
    fn select(
        &mut self,
        node: &Node,
        x: &Int,
        shape: Vec<usize>,
        start: &[usize],
        step: &[usize],
    ) -> Result<Int, QuantError> {
        if shape == x.shape {
            return Ok(x.clone());
        }
        if shape.contains(&0) {
            return Err(self.unsupported(node, "an empty result", "at least one element"));
        }
        let axes = self.named_axes(node, x)?;
        let op = QOp::Slice {
            start: axes.iter().map(|&a| start[a]).collect(),
            step: axes.iter().map(|&a| step[a]).collect(),
        };
        Ok(self.moved(node, op, x, shape, "slice"))
    }

    /// The ONNX dimension of each dimension of the tensor; the others must have size 1 before and
    /// after the operator.
    fn named_axes(&self, node: &Node, x: &Int) -> Result<Vec<usize>, QuantError> {
        match &x.place {
            Place::Axes(axes) if !axes.is_empty() => Ok(axes.clone()),
            _ => Err(node.parameter(format!("a tensor of shape {:?}", x.shape), "dimensions")),
        }
    }

    fn moved(&mut self, node: &Node, op: QOp, x: &Int, shape: Vec<usize>, what: &str) -> Int {
        let output = Output {
            name: self.fresh_tensor(x, what),
            params: x.params,
            unsigned: x.unsigned,
            wide: x.wide,
        };
        self.emit_inner(node, op, vec![x.tensor], shape, x.place.clone(), output)
    }

    fn padded(
        &mut self,
        node: &Node,
        x: Int,
        reals: Option<&RealTable>,
    ) -> Result<Int, QuantError> {
        let x = self.unflattened(node, &x)?;
        let shape = self.output_shape(node)?;
        let mode = node.op.text("mode").unwrap_or("constant");
        if mode != "constant" {
            return Err(self.unsupported(node, &format!("mode {mode}"), "mode constant"));
        }
        if node.op.input(3).is_some() {
            return Err(self.unsupported(node, "axes", "pads of all dimensions"));
        }
        let pads = match node.op.ints("pads") {
            Some(pads) => Some(pads.to_vec()),
            None => self.constant(node, 1)?.data.to_i64(),
        };
        let before = pads.and_then(|pads| {
            let fit = |&p: &i64| usize::try_from(p).ok();
            let all: Option<Vec<usize>> = pads.iter().map(fit).collect();
            all.map(|all| all[..x.shape.len().min(all.len())].to_vec())
        });
        let Some(before) = before.filter(|b| b.len() == x.shape.len()) else {
            return Err(self.unsupported(node, "negative pads", "pads of at least 0 (use Slice)"));
        };
        let value = self.pad_value(node, &x, reals)?;
        let axes = self.named_axes(node, &x)?;
        let unnamed = (0..shape.len()).any(|d| !axes.contains(&d) && shape[d] != 1);
        if unnamed {
            return Err(self.unsupported(node, "padding of the batch", "padding behind the batch"));
        }
        let op = QOp::Pad {
            before: axes.iter().map(|&a| before[a]).collect(),
            value,
        };
        Ok(self.moved(node, op, &x, shape, "pad"))
    }

    /// The integer that stands for the padding's value.
    fn pad_value(&self, node: &Node, x: &Int, reals: Option<&RealTable>) -> Result<i8, QuantError> {
        let Some(reals) = reals else {
            let constant = match node.op.input(2) {
                None => Some(0),
                Some(_) => match super::value::integers(&self.constant(node, 2)?.data).as_deref() {
                    Some(&[value]) => Some(value),
                    _ => None,
                },
            };
            let value = constant.map(|v| if x.unsigned { v - 128 } else { v });
            let fits = value.and_then(|v| i8::try_from(v).ok());
            return fits.ok_or_else(|| node.parameter("the padding's value", "an 8-bit integer"));
        };
        let real = match node.op.input(2) {
            Some(_) => match &self.constant(node, 2)?.data {
                TensorData::F32(values) if values.len() == 1 => values[0],
                _ => return Err(node.parameter("the padding's value", "one float32")),
            },
            None => node.op.float("value").unwrap_or(0.0),
        };
        let zero = x.params.zero_point as i8;
        let own = std::iter::once(zero).chain(-128..=127);
        own.into_iter()
            .find(|&q| reals[usize::from(q as u8)] == real)
            .ok_or_else(|| {
                node.parameter(
                    format!("padding with {real}, which no integer of the input stands for"),
                    "a value on the input's grid, zero for example",
                )
            })
    }

    /// Nearest neighbour by whole factors.
    fn resized(&mut self, node: &Node, x: Int) -> Result<Int, QuantError> {
        let x = self.as_image(node, &x)?;
        let shape = self.output_shape(node)?;
        let mode = node.op.text("mode").unwrap_or("nearest");
        if mode != "nearest" || x.shape.len() != 4 || shape[..2] != x.shape[..2] {
            let found = format!("mode {mode} from {:?} to {shape:?}", x.shape);
            return Err(self.unsupported(node, &found, "nearest neighbour of an image's pixels"));
        }
        let map = |d: usize| super::resize::map(node, x.shape[d], shape[d]);
        let (Some(rows), Some(columns)) = (map(2), map(3)) else {
            let found = format!(
                "coordinates {} rounded {}",
                node.op
                    .text("coordinate_transformation_mode")
                    .unwrap_or("half_pixel"),
                node.op.text("nearest_mode").unwrap_or("round_prefer_floor")
            );
            return Err(self.unsupported(node, &found, "asymmetric, half_pixel or align_corners"));
        };
        Ok(self.moved(node, QOp::Resize { rows, columns }, &x, shape, "resize"))
    }

    /// Concat of dequantized tensors, or of integers that share their parameters.
    pub(super) fn concat(&mut self, node: &Node) -> Result<(), QuantError> {
        let name = node.output(0)?.to_string();
        let shape = self.output_shape(node)?;
        let axis = node.op.int("axis").unwrap_or(0);
        let along = (if axis < 0 {
            axis + shape.len() as i64
        } else {
            axis
        }) as usize;
        let (mut parts, mut tables) = (Vec::new(), Vec::new());
        for index in 0..node.op.inputs.len() {
            match self.operand(node, index)? {
                Value::Int(x) => parts.push(x),
                Value::Mapped(x, reals) => {
                    parts.push(x);
                    tables.push(reals);
                }
                other => return Err(node.parameter(other.describe(), "quantized tensors")),
            }
        }
        let alike = |p: &Int| p.params == parts[0].params && p.unsigned == parts[0].unsigned;
        let one_meaning = tables.windows(2).all(|t| t[0] == t[1]) && parts.iter().all(alike);
        if !tables.is_empty() && tables.len() != parts.len() || tables.is_empty() && !one_meaning {
            return Err(node.parameter("parts of different scales", "one scale for all parts"));
        }
        if !one_meaning {
            let layer = Layer::Concat(tables, along);
            return self.pend(node, Pending::new(node, parts, layer, shape));
        }
        let output = Output {
            name: if tables.is_empty() {
                name.clone()
            } else {
                format!("{name}:integers")
            },
            params: parts[0].params,
            unsigned: parts[0].unsigned,
            wide: parts[0].wide,
        };
        let value = self.joined(node, &parts, along, output)?;
        let value = match tables.pop() {
            Some(reals) => Value::Mapped(value, reals),
            None => Value::Int(value),
        };
        self.set(&name, value);
        Ok(())
    }

    /// com.microsoft QLinearConcat: output scale and zero point, then three operands per part.
    pub(super) fn qlinear_concat(&mut self, node: &Node) -> Result<(), QuantError> {
        let output = self.output_at(node, 0, 1)?;
        let rank = self.output_shape(node)?.len() as i64;
        let axis = node.op.int("axis").unwrap_or(1);
        let along = (if axis < 0 { axis + rank } else { axis }) as usize;
        let mut parts = Vec::new();
        for index in (2..node.op.inputs.len()).step_by(3) {
            let x = self.int_at(node, index)?;
            let reals = x.dequantized();
            parts.push(self.requantized(node, &x, &reals, &output)?);
        }
        let name = output.name.clone();
        let value = self.joined(node, &parts, along, output)?;
        self.set(&name, Value::Int(value));
        Ok(())
    }

    fn concat_place(&self, parts: &[Int], shape: &[usize]) -> Place {
        let image = place::image(shape);
        if parts.iter().all(|p| p.place == place::plain(&p.shape)) {
            return place::plain(shape);
        }
        image
    }

    /// Joins parts of one meaning along dimension `along` of ONNX.
    pub(super) fn joined(
        &mut self,
        node: &Node,
        parts: &[Int],
        along: usize,
        output: Output,
    ) -> Result<Int, QuantError> {
        let shape = self.output_shape(node)?;
        let place = self.concat_place(parts, &shape);
        let axis = match &place {
            Place::Axes(axes) => axes.iter().position(|&a| a == along),
            Place::FlatImage(_) => None,
        };
        let Some(axis) = axis else {
            return Err(self.unsupported(node, "parts along the batch", "another dimension"));
        };
        let mut inputs = Vec::new();
        for part in parts {
            inputs.push(self.placed(node, part, place.clone())?.tensor);
        }
        Ok(self.emit_inner(node, QOp::Concat(axis), inputs, shape, place, output))
    }
}
