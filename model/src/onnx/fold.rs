//! Folds constant subgraphs of shapes and integers, and constants that are only moved, into
//! initializers. Quantization and arithmetic on floats are left alone: they are the model.

use super::graph::{OnnxAttribute, OnnxGraph, OnnxNode, TensorType};
use super::infer::axis;
use super::tensor::{OnnxTensor, checked_elements};
use super::types::{OnnxType, TensorData};
use crate::ModelError;

/// Most elements that folding makes in all. Real models move each weight once; a hostile file
/// could repeat a large constant without end.
const MAX_FOLDED: usize = 1 << 26;
/// Most elements of a folded value that is larger than its operands.
const MAX_GROWN: usize = 1 << 16;

impl OnnxGraph {
    /// Replaces nodes whose result is known by initializers: `Constant`, `Shape` of a value of
    /// known shape, and `Gather`, `Slice`, `Concat`, `Unsqueeze`, `Squeeze`, `Reshape`, `Flatten`,
    /// `Transpose`, `Cast`, `Identity`, `Expand` and integer `Add`, `Sub`, `Mul`, `Div` of
    /// constants. Results that grow far beyond their operands stay.
    ///
    /// # Errors
    /// As [`OnnxGraph::infer_types`].
    pub fn fold_constants(&mut self) -> Result<(), ModelError> {
        let mut types = self.given_types();
        let mut kept = Vec::with_capacity(self.nodes.len());
        let mut left = MAX_FOLDED;
        for (index, node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            self.infer_node(index, &node, &mut types)?;
            let output = match node.outputs.as_slice() {
                [name] if !name.is_empty() => types.get(name),
                _ => None,
            };
            let value = output.and_then(|of| {
                let operands = (0..node.inputs.len()).filter_map(|i| self.constant(&node, i));
                let own = node.tensor("value").map_or(0, OnnxTensor::elements);
                let operands = own + operands.map(OnnxTensor::elements).sum::<usize>();
                let elements: usize = of.shape.iter().product();
                if elements > left || elements > operands.max(MAX_GROWN) {
                    return None;
                }
                let shape_of = node.input(0).and_then(|name| types.get(name));
                self.evaluate(&node, of, shape_of)
            });
            match value {
                Some(value) => {
                    left -= value.elements();
                    self.initializers.insert(node.outputs[0].clone(), value);
                }
                None => kept.push(node),
            }
        }
        self.nodes = kept;
        self.drop_unused_constants();
        Ok(())
    }

    /// Removes initializers that nothing reads.
    pub fn drop_unused_constants(&mut self) {
        let consumers = self.consumers();
        let outputs = &self.outputs;
        let used =
            |name: &str| consumers.contains_key(name) || outputs.iter().any(|v| v.name == name);
        let unused = self.initializers.keys().filter(|name| !used(name));
        for name in unused.cloned().collect::<Vec<_>>() {
            self.initializers.remove(&name);
        }
    }

    /// The value of a node's one output of type `of`, where it is known.
    fn evaluate(
        &self,
        node: &OnnxNode,
        of: &TensorType,
        input: Option<&TensorType>,
    ) -> Option<OnnxTensor> {
        if !node.domain.is_empty() {
            return None;
        }
        let data = match node.op_type.as_str() {
            "Constant" => constant_value(node)?.data,
            "Shape" => shape_value(node, input?)?,
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity" => {
                self.constant(node, 0)?.data.clone()
            }
            "Transpose" => transposed(node, self.constant(node, 0)?),
            "Cast" => cast(&self.constant(node, 0)?.data, of.dtype)?,
            "Gather" => self.gathered(node)?,
            "Slice" => self.sliced(node)?,
            "Concat" => self.concatenated(node, of)?,
            "Expand" => broadcast_to(self.constant(node, 0)?, &of.shape),
            "Add" | "Sub" | "Mul" | "Div" => self.integer_arithmetic(node, of)?,
            _ => return None,
        };
        (data.len() == of.shape.iter().product::<usize>()).then(|| OnnxTensor {
            shape: of.shape.clone(),
            data,
        })
    }

    fn gathered(&self, node: &OnnxNode) -> Option<TensorData> {
        let (x, indices) = (self.constant(node, 0)?, self.constant(node, 1)?);
        let along = axis(node.int("axis").unwrap_or(0), x.shape.len()).ok()?;
        let size = x.shape[along];
        let position = |i: i64| {
            let from_start = if i < 0 {
                i.checked_add(size as i64)?
            } else {
                i
            };
            usize::try_from(from_start).ok().filter(|&i| i < size)
        };
        let indices = indices.data.to_i64()?;
        let indices: Vec<usize> = indices.into_iter().map(position).collect::<Option<_>>()?;
        let inner: usize = x.shape[along + 1..].iter().product();
        let outer: usize = x.shape[..along].iter().product();
        let at = (0..outer).flat_map(|o| {
            let rows = indices.iter().map(move |&i| (o * size + i) * inner);
            rows.flat_map(move |start| start..start + inner)
        });
        Some(x.data.gather(at))
    }

    fn sliced(&self, node: &OnnxNode) -> Option<TensorData> {
        let x = self.constant(node, 0)?;
        let ranges = self.slice_of(node, &x.shape)?;
        let strides = strides(&x.shape);
        let counts: Vec<usize> = ranges.iter().map(|r| r.count).collect();
        let at = positions(&counts).map(|position| {
            let terms = position.iter().zip(&ranges).zip(&strides);
            let index = |((&n, r), &s): ((&usize, &super::infer::SliceRange), &usize)| {
                (r.start + n as i64 * r.step) as usize * s
            };
            terms.map(index).sum()
        });
        Some(x.data.gather(at))
    }

    fn concatenated(&self, node: &OnnxNode, of: &TensorType) -> Option<TensorData> {
        let parts = (0..node.inputs.len())
            .map(|i| self.constant(node, i))
            .collect::<Option<Vec<_>>>()?;
        let along = axis(node.int("axis").unwrap_or(0), of.shape.len()).ok()?;
        let outer: usize = of.shape[..along].iter().product();
        if parts.iter().any(|p| p.data.dtype() != of.dtype) {
            return None;
        }
        // row by row: the same stretch of every part
        let mut joined = parts.first()?.data.gather(std::iter::empty());
        for row in 0..outer {
            for part in &parts {
                let length = part.elements() / outer.max(1);
                append(&mut joined, &part.data, row * length..(row + 1) * length)?;
            }
        }
        Some(joined)
    }

    fn integer_arithmetic(&self, node: &OnnxNode, of: &TensorType) -> Option<TensorData> {
        let integer = |index| {
            let tensor: &OnnxTensor = self.constant(node, index)?;
            matches!(tensor.data.dtype(), OnnxType::I64 | OnnxType::I32)
                .then(|| broadcast_to(tensor, &of.shape).to_i64())?
        };
        let pairs = integer(0)?.into_iter().zip(integer(1)?);
        let value = |(a, b): (i64, i64)| match node.op_type.as_str() {
            "Add" => a.checked_add(b),
            "Sub" => a.checked_sub(b),
            "Mul" => a.checked_mul(b),
            _ => a.checked_div(b),
        };
        let values: Vec<i64> = pairs.map(value).collect::<Option<_>>()?;
        cast(&TensorData::I64(values), of.dtype)
    }
}

/// Value of a `Constant` node.
pub(super) fn constant_value(node: &OnnxNode) -> Option<OnnxTensor> {
    let (name, attribute) = node.attributes.iter().next()?;
    let vector = |data: TensorData| OnnxTensor::new(vec![data.len()], data);
    match (name.as_str(), attribute) {
        ("value", OnnxAttribute::Tensor(tensor)) => Some(tensor.clone()),
        ("value_float", OnnxAttribute::Float(f)) => Some(OnnxTensor::scalar_f32(*f)),
        ("value_floats", OnnxAttribute::Floats(f)) => Some(vector(TensorData::F32(f.clone()))),
        ("value_int", OnnxAttribute::Int(i)) => {
            Some(OnnxTensor::new(vec![], TensorData::I64(vec![*i])))
        }
        ("value_ints", OnnxAttribute::Ints(i)) => Some(OnnxTensor::vector_i64(i.clone())),
        _ => None,
    }
}

/// Value of a `Shape` node, with the `start` and `end` of operator set 15.
fn shape_value(node: &OnnxNode, input: &TensorType) -> Option<TensorData> {
    let rank = input.shape.len() as i64;
    let bound = |name: &str, default: i64| {
        let value = node.int(name).unwrap_or(default);
        let from_start = if value < 0 { value + rank } else { value };
        from_start.clamp(0, rank) as usize
    };
    let (start, end) = (bound("start", 0), bound("end", rank));
    let sizes = input.shape.get(start..end.max(start))?;
    Some(TensorData::I64(sizes.iter().map(|&d| d as i64).collect()))
}

fn transposed(node: &OnnxNode, x: &OnnxTensor) -> TensorData {
    let rank = x.shape.len();
    let perm: Vec<usize> = match node.ints("perm") {
        Some(perm) => perm.iter().map(|&p| p as usize).collect(),
        None => (0..rank).rev().collect(),
    };
    let strides = strides(&x.shape);
    let counts: Vec<usize> = perm.iter().map(|&p| x.shape[p]).collect();
    let at = positions(&counts).map(|position| {
        let terms = position.iter().zip(&perm);
        terms.map(|(&n, &p)| n * strides[p]).sum()
    });
    x.data.gather(at)
}

/// Row-major distances.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d];
    }
    strides
}

/// All index vectors of a shape, row-major.
fn positions(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let strides = strides(shape);
    let shape = shape.to_vec();
    (0..shape.iter().product()).map(move |flat: usize| {
        let along = strides.iter().zip(&shape);
        along.map(|(&stride, &size)| flat / stride % size).collect()
    })
}

/// A constant repeated to a larger shape.
fn broadcast_to(x: &OnnxTensor, shape: &[usize]) -> TensorData {
    let missing = shape.len().saturating_sub(x.shape.len());
    let strides = strides(&x.shape);
    let at = positions(shape).map(|position| {
        let own = position.iter().skip(missing).zip(&x.shape).zip(&strides);
        own.map(|((&n, &size), &stride)| if size == 1 { 0 } else { n * stride })
            .sum()
    });
    x.data.gather(at)
}

/// Conversions that lose nothing in any of the values; others are left to the model.
fn cast(data: &TensorData, to: OnnxType) -> Option<TensorData> {
    if data.dtype() == to {
        return Some(data.clone());
    }
    checked_elements(&[data.len()], to.bits()?).ok()?;
    if let Some(values) = data.as_f32() {
        let exact = |&v: &f32| (v.fract() == 0.0 && v.abs() < 2e9).then_some(v as i64);
        let values: Vec<i64> = values.iter().map(exact).collect::<Option<_>>()?;
        return cast(&TensorData::I64(values), to);
    }
    let values = data.to_i64()?;
    match to {
        OnnxType::I64 => Some(TensorData::I64(values)),
        OnnxType::I32 => {
            let fit = values.iter().map(|&v| i32::try_from(v).ok());
            Some(TensorData::I32(fit.collect::<Option<_>>()?))
        }
        OnnxType::F32 => {
            let exact = |&v: &i64| (v.unsigned_abs() <= 1 << 24).then_some(v as f32);
            let fit = values.iter().map(exact);
            Some(TensorData::F32(fit.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

/// Adds a stretch of `from` to `to`, which has the same type.
fn append(to: &mut TensorData, from: &TensorData, range: std::ops::Range<usize>) -> Option<()> {
    macro_rules! extend {
        ($($variant:ident),*) => {
            match (to, from) {
                $((TensorData::$variant(to), TensorData::$variant(from)) => {
                    to.extend_from_slice(from.get(range)?);
                    Some(())
                })*
                _ => None,
            }
        };
    }
    extend!(
        F32, F64, I8, U8, I16, U16, I32, U32, I64, U64, Bool, I4, U4, I2, U2
    )
}
