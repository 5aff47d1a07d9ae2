//! Pools and means.

use macforge_model::onnx::{WindowSizes, window_sizes};
use macforge_numeric::Clamp;

use super::conv::{two, window};
use super::pending::{Layer, Pending};
use super::value::{Int, Value};
use super::{Node, Output, Pass, place};
use crate::QuantError;
use crate::graph::{QOp, Window};

impl Pass<'_> {
    /// Maximum: on integers or on dequantized values, which it does not change.
    pub(super) fn max_pool(&mut self, node: &Node) -> Result<(), QuantError> {
        if node.op.output(1).is_some() {
            return Err(self.unsupported(node, "indices as output", "one output"));
        }
        let name = node.output(0)?.to_string();
        let (x, reals) = match self.operand(node, 0)? {
            Value::Int(x) => (x, None),
            // only a monotone function lets the maximum pass
            Value::Mapped(x, reals) if rises(&reals) => (x, Some(reals)),
            Value::Mapped(x, reals) => {
                let x = self.plain(node, &x, &reals)?;
                let reals = x.dequantized();
                (x, Some(reals))
            }
            other => return Err(node.parameter(other.describe(), "a quantized tensor")),
        };
        let x = self.as_image(node, &x)?;
        let (window, _) = self.pool_window(node, &x)?;
        let shape = self.output_shape(node)?;
        let output = Output {
            name: if reals.is_none() {
                name.clone()
            } else {
                format!("{name}:integers")
            },
            params: x.params,
            unsigned: x.unsigned,
            wide: x.wide,
        };
        let op = QOp::MaxPool(window, Clamp::INT8);
        let place = place::image(&shape);
        let value = self.emit_inner(node, op, vec![x.tensor], shape, place, output);
        self.set(
            &name,
            match reals {
                Some(reals) => Value::Mapped(value, reals),
                None => Value::Int(value),
            },
        );
        Ok(())
    }

    /// com.microsoft QLinearGlobalAveragePool and QLinearAveragePool.
    pub(super) fn qlinear_average(&mut self, node: &Node) -> Result<(), QuantError> {
        if node.op.int("channels_last").unwrap_or(0) != 0 {
            return Err(self.unsupported(node, "channels_last", "channels first"));
        }
        let x = self.int_at(node, 0)?;
        let output = self.output_at(node, 3, 4)?;
        let pending = self.average(node, &x)?;
        self.settle(node, pending, output)
    }

    /// GlobalAveragePool, AveragePool and ReduceMean over the pixels.
    pub(super) fn float_average(&mut self, node: &Node) -> Result<(), QuantError> {
        let x = self.plain_operand(node, 0)?;
        let pending = self.average(node, &x)?;
        self.pend(node, pending)
    }

    fn average(&mut self, node: &Node, x: &Int) -> Result<Pending, QuantError> {
        if node.op.op_type == "ReduceMean" {
            self.require_pixel_axes(node, x)?;
        }
        let x = self.as_image(node, x)?;
        let (window, divisor) = self.pool_window(node, &x)?;
        let shape = self.output_shape(node)?;
        let mut pending = Pending::new(node, vec![x], Layer::Average(window, divisor), shape);
        if pending.shape.len() < 3 {
            // ReduceMean without keepdims: [1, C], which lies as [1, 1, C]
            let channels = pending.shape.last().copied().unwrap_or(1);
            pending.shape = vec![1, channels, 1, 1];
            pending.place = place::image(&pending.shape);
        }
        Ok(pending)
    }

    /// ReduceMean is a global average where it runs over all pixels and no channels.
    fn require_pixel_axes(&self, node: &Node, x: &Int) -> Result<(), QuantError> {
        let rank = x.shape.len() as i64;
        let axes = match node.op.ints("axes") {
            Some(axes) => Some(axes.to_vec()),
            None => match node.op.input(1) {
                Some(_) => self.constant(node, 1)?.data.to_i64(),
                None => None,
            },
        };
        let mut axes: Vec<i64> = axes
            .unwrap_or_else(|| (0..rank).collect())
            .iter()
            .map(|&a| if a < 0 { a + rank } else { a })
            .collect();
        axes.sort_unstable();
        if axes == (2..rank).collect::<Vec<_>>() {
            return Ok(());
        }
        let found = format!("a mean over dimensions {axes:?} of {:?}", x.shape);
        Err(self.unsupported(node, &found, "a mean over all pixels"))
    }

    /// The window of a pool, and what to divide by where padding counts.
    fn pool_window(&self, node: &Node, x: &Int) -> Result<(Window, Option<u32>), QuantError> {
        let input = &x.shape[2..];
        let whole = WindowSizes {
            kernel: input.to_vec(),
            stride: vec![1; input.len()],
            dilation: vec![1; input.len()],
            pad_begin: vec![0; input.len()],
            pad_end: vec![0; input.len()],
            output: vec![1; input.len()],
        };
        let Some(kernel) = node.op.ints("kernel_shape") else {
            return Ok((window(&whole), None));
        };
        // inference has checked the values
        let kernel: Vec<usize> = kernel.iter().map(|&k| k.max(1) as usize).collect();
        let fits = two(&kernel).filter(|_| kernel.len() == input.len());
        let fits = fits
            .ok_or_else(|| node.parameter(format!("window {kernel:?}"), "one or two dimensions"));
        let area: usize = fits?.iter().product();
        let sizes = window_sizes(node.op, input, &kernel)
            .map_err(|found| node.parameter(found, "a window that fits"))?;
        let counted = node.op.int("count_include_pad").unwrap_or(0) != 0;
        if counted && node.op.int("ceil_mode").unwrap_or(0) != 0 {
            let found = "count_include_pad with ceil_mode";
            return Err(self.unsupported(node, found, "one of them"));
        }
        Ok((window(&sizes), counted.then_some(area as u32)))
    }
}

/// Whether the real values rise with the integers.
fn rises(reals: &[f32; 256]) -> bool {
    (-128..127).all(|q: i8| reals[usize::from(q as u8)] <= reals[usize::from((q + 1) as u8)])
}
