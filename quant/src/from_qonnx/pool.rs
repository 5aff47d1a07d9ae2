//! Pools of int8 tensors. An average is a depthwise sum with weights of one, so that its division
//! and rounding become part of the next staircase.

use macforge_numeric::{Clamp, Number, Step};

use super::product::window;
use super::value::{Chain, Product, Source, Value};
use super::{At, Pass, channels_last};
use crate::QuantError;
use crate::graph::{DType, QOp, Window};

/// A window of one position.
pub(super) fn unit_window() -> Window {
    Window {
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 0],
    }
}

impl Pass<'_> {
    pub(super) fn max_pool(&mut self, at: &At) -> Result<Value, QuantError> {
        let chain = self.pooled(at)?;
        let (window, _) = self.pool_window(at, &chain)?;
        let (Source::Integers(input, range), Some(levels)) = (&chain.source, chain.levels) else {
            unreachable!("pooled() returns an int8 tensor");
        };
        let (input, range) = (*input, *range);
        let shape = self.shape(at)?;
        let hwc = channels_last(&shape)
            .ok_or_else(|| at.error(format!("output {shape:?}"), "an image"))?;
        let of = self.graph.tensor(input).clone();
        let clamp = Clamp {
            lo: range.lo as i32,
            hi: range.hi as i32,
        };
        let id = self.add_tensor(&at.output(), hwc.clone(), DType::I8, of.quant, of.unsigned);
        self.add_node(at.source(), QOp::MaxPool(window, clamp), vec![input], id);
        Ok(Value::Chain(Chain {
            source: Source::Integers(id, range),
            hwc,
            shape,
            steps: vec![vec![]],
            levels: Some(levels),
            label: at.output(),
            origin: at.source(),
        }))
    }

    pub(super) fn average_pool(&mut self, at: &At) -> Result<Value, QuantError> {
        let chain = self.pooled(at)?;
        let (window, padded) = match at.node.op_type.as_str() {
            "GlobalAveragePool" => {
                let spatial = &chain.shape[2..];
                let kernel = match *spatial {
                    [w] => [1, w],
                    [h, w] => [h, w],
                    _ => return Err(at.error("an image of other dimensions", "one or two")),
                };
                (
                    Window {
                        kernel,
                        ..unit_window()
                    },
                    false,
                )
            }
            _ => self.pool_window(at, &chain)?,
        };
        if padded {
            return Err(at.error(
                "an average whose window reaches into the padding",
                "no padding, or a Pad in front",
            ));
        }
        let (Source::Integers(input, range), Some(levels)) = (&chain.source, chain.levels) else {
            unreachable!("pooled() returns an int8 tensor");
        };
        let count = window.kernel[0] * window.kernel[1];
        let channels = chain.channels();
        let shape = self.shape(at)?;
        let hwc = channels_last(&shape)
            .ok_or_else(|| at.error(format!("output {shape:?}"), "an image"))?;
        let mut sums = Chain {
            source: Source::Product(Product {
                input: *input,
                range: *range,
                zero_point: levels.zero_point as i32,
                window: Some((window, false)),
                weights: vec![1; channels * count],
                bias: vec![0; channels],
                groups: channels,
                in_channels: channels,
            }),
            hwc,
            shape,
            steps: vec![vec![Step::ToFloat]],
            levels: None,
            label: String::new(),
            origin: at.source(),
        };
        if levels.scale != 1.0 {
            sums.push(|_| Step::Multiply(Number::Float(levels.scale)), 1);
        }
        sums.push(|_| Step::Divide(Number::Float(count as f32)), 1);
        Ok(Value::Chain(sums))
    }

    /// The operand as an int8 image.
    fn pooled(&mut self, at: &At) -> Result<Chain, QuantError> {
        let chain = self.chain(at, 0)?;
        let chain = self.integers(at, chain)?;
        if channels_last(&chain.shape).as_ref() != Some(&chain.hwc) || chain.shape.len() < 3 {
            return Err(at.error("a value that is no image", "an image as it was made"));
        }
        Ok(chain)
    }

    fn pool_window(&self, at: &At, chain: &Chain) -> Result<(Window, bool), QuantError> {
        let kernel = at.node.ints("kernel_shape").unwrap_or_default();
        let kernel = kernel.iter().map(|&k| usize::try_from(k).unwrap_or(0));
        window(at, &chain.shape, &kernel.collect::<Vec<_>>())
    }
}
