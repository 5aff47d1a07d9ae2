//! Operators that move values or give them another shape.

use super::value::{Chain, Source, Value};
use super::{At, Pass, channels_last};
use crate::QuantError;
use crate::graph::{DType, QOp};

impl Pass<'_> {
    /// Other shape, same order.
    pub(super) fn reshape(&mut self, at: &At) -> Result<Value, QuantError> {
        let shape = self.shape(at)?;
        let elements: usize = shape.iter().product();
        Ok(match self.value(at, 0)?.clone() {
            Value::Constant(mut constant) if constant.len() == elements => {
                constant.shape = shape;
                Value::Constant(constant)
            }
            Value::Chain(chain) if chain.elements() == elements => {
                Value::Chain(Chain { shape, ..chain })
            }
            _ => return Err(at.error(format!("shape {shape:?}"), "as many elements as before")),
        })
    }

    pub(super) fn transpose(&mut self, at: &At) -> Result<Value, QuantError> {
        let value = self.value(at, 0)?.clone();
        let rank = match &value {
            Value::Constant(c) => c.shape.len(),
            Value::Chain(c) => c.shape.len(),
        };
        let perm: Vec<usize> = match at.node.ints("perm") {
            Some(perm) => perm
                .iter()
                .map(|&p| usize::try_from(p).unwrap_or(rank))
                .collect(),
            None => (0..rank).rev().collect(),
        };
        match value {
            Value::Constant(constant) => {
                let moved = constant.transposed(&perm);
                let moved =
                    moved.ok_or_else(|| at.error(format!("perm {perm:?}"), "each axis once"))?;
                Ok(Value::Constant(moved))
            }
            Value::Chain(chain) => {
                let real = perm.iter().filter(|&&p| chain.shape.get(p) != Some(&1));
                if !real.is_sorted() {
                    return Err(at.error(
                        format!(
                            "a computed value of {:?} transposed by {perm:?}",
                            chain.shape
                        ),
                        "channels in front of the pixels, as they are",
                    ));
                }
                let shape = self.shape(at)?;
                Ok(Value::Chain(Chain { shape, ..chain }))
            }
        }
    }

    /// Constant padding of an image's rows and columns.
    pub(super) fn pad(&mut self, at: &At) -> Result<Value, QuantError> {
        let chain = self.chain(at, 0)?;
        let pads = match at.node.ints("pads") {
            Some(pads) => pads.to_vec(),
            None => self
                .constant(at, 1)?
                .levels()
                .map(|l| l.0)
                .unwrap_or_default(),
        };
        let value = match at.node.float("value") {
            Some(value) => value,
            None => self
                .optional(at, 2)?
                .and_then(|c| c.scalar())
                .unwrap_or(0.0),
        };
        let rank = chain.shape.len();
        let sizes: Option<Vec<usize>> = pads.iter().map(|&p| usize::try_from(p).ok()).collect();
        let mode = at.node.text("mode").unwrap_or("constant");
        let sizes = sizes.filter(|s| s.len() == 2 * rank && rank > 2 && mode == "constant");
        let Some(sizes) = sizes else {
            return Err(at.error(
                format!("pads {pads:?}, mode {mode}"),
                "constant padding of an image",
            ));
        };
        if sizes.iter().all(|&p| p == 0) {
            return Ok(Value::Chain(chain));
        }
        let chain = self.integers(at, chain)?;
        let (Source::Integers(input, range), Some(levels)) = (&chain.source, chain.levels) else {
            unreachable!("integers() returns an int8 tensor");
        };
        let spatial = sizes[0] == 0 && sizes[1] == 0 && sizes[rank] == 0 && sizes[rank + 1] == 0;
        let level = value / levels.scale + levels.zero_point as f32;
        let known = channels_last(&chain.shape).as_ref() == Some(&chain.hwc);
        if !spatial || !known || level.fract() != 0.0 || !(-128.0..=127.0).contains(&level) {
            let found = format!("padding {pads:?} with {value}");
            return Err(at.error(
                found,
                "padding of rows and columns with one of the integers",
            ));
        }
        let (input, range) = (
            *input,
            range.union(macforge_numeric::Interval::point(level as i64)),
        );
        let shape = self.shape(at)?;
        let hwc = channels_last(&shape)
            .ok_or_else(|| at.error(format!("output {shape:?}"), "an image"))?;
        let mut before: Vec<usize> = sizes[2..rank].to_vec();
        before.push(0);
        let of = self.graph.tensor(input).clone();
        let id = self.add_tensor(&at.output(), hwc.clone(), DType::I8, of.quant, of.unsigned);
        let op = QOp::Pad {
            before,
            value: level as i8,
        };
        self.add_node(at.source(), op, vec![input], id);
        let levels = Some(super::value::Levels {
            bounds: range,
            ..levels
        });
        let source = Source::Integers(id, range);
        Ok(Value::Chain(Chain {
            source,
            hwc,
            shape,
            steps: vec![vec![]],
            levels,
            label: at.output(),
            origin: at.source(),
        }))
    }
}
