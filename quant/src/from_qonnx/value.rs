//! What a value of the ONNX graph means while it is lowered.

use macforge_numeric::{Direction, Interval, Number, Step, step};

use super::constant::Constant;
use crate::graph::{TensorId, Window};

/// A value: known, or computed from the graph's inputs.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per value of the model")]
pub(super) enum Value {
    Constant(Constant),
    Chain(Chain),
}

/// A source of numbers and the scalar steps behind it.
///
/// The ONNX value in row-major order is the source in the order channel, row, column.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub source: Source,
    /// Shape of the source in the integer graph: `[H, W, C]` or `[C]`.
    pub hwc: Vec<usize>,
    /// Shape of the ONNX value, batch included.
    pub shape: Vec<usize>,
    /// One list for all elements, or one per channel. The first step gets the source's number: an
    /// int8 or a sum of products as int64, or a float32.
    pub steps: Vec<Vec<Step>>,
    /// The steps end in integers of this meaning.
    pub levels: Option<Levels>,
    /// The ONNX value that first held these numbers.
    pub label: String,
    /// The node that made the source, for messages.
    pub origin: String,
}

/// Integers and what they stand for: `real = scale * (clamp(level) - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Levels {
    pub scale: f32,
    pub zero_point: i64,
    /// Bounds; [`UNBOUNDED`] where none are stated.
    pub bounds: Interval,
}

/// No bounds.
pub(super) const UNBOUNDED: Interval = Interval {
    lo: i64::MIN,
    hi: i64::MAX,
};

/// Where the numbers come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// An int8 tensor; its values lie in the interval.
    Integers(TensorId, Interval),
    /// A float32 tensor of the host.
    Floats(TensorId),
    /// Sums of products of an int8 tensor with constant weights.
    Product(Product),
    /// The sum of two int8 tensors' real values.
    Pair([Operand; 2]),
}

/// One operand of a sum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub tensor: TensorId,
    pub range: Interval,
    /// Factor of `q - zero_point`.
    pub scale: f32,
    pub zero_point: i32,
}

/// A convolution or fully connected layer before its output's integers are known.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub input: TensorId,
    pub range: Interval,
    pub zero_point: i32,
    /// `None`: fully connected over the flattened input.
    pub window: Option<(Window, bool)>,
    /// `[OC, KH, KW, IC / groups]` or `[OC, IC]`.
    pub weights: Vec<i16>,
    pub bias: Vec<i32>,
    pub groups: usize,
    pub in_channels: usize,
}

impl Chain {
    /// Channels: the last dimension of the source.
    pub fn channels(&self) -> usize {
        self.hwc.last().copied().unwrap_or(1)
    }

    /// Elements.
    pub fn elements(&self) -> usize {
        self.hwc.iter().product()
    }

    /// Adds a step to every channel: one for all, or one per channel.
    pub fn push(&mut self, mut step: impl FnMut(usize) -> Step, count: usize) {
        self.become_real();
        self.extend(&mut step, count);
    }

    /// Adds steps behind the integers, which stay without meaning until levels are set again.
    fn extend(&mut self, step: &mut impl FnMut(usize) -> Step, count: usize) {
        if count > 1 && self.steps.len() == 1 {
            self.steps = vec![self.steps[0].clone(); count];
        }
        for (channel, steps) in self.steps.iter_mut().enumerate() {
            steps.push(step(if count == 1 { 0 } else { channel }));
        }
    }

    /// Adds the same step to every channel of integers.
    pub fn push_on_levels(&mut self, step: Step) {
        for steps in &mut self.steps {
            steps.push(step.clone());
        }
    }

    /// Turns levels into the real values that they stand for.
    pub fn become_real(&mut self) {
        let Some(levels) = self.levels.take() else {
            return;
        };
        for steps in &mut self.steps {
            levels.push_real(steps);
        }
    }

    /// Direction of channel `channel`.
    pub fn direction(&self, channel: usize) -> Direction {
        step::direction(&self.steps[channel % self.steps.len()])
    }
}

impl Levels {
    /// The steps from a level to its real value.
    fn push_real(&self, steps: &mut Vec<Step>) {
        let Interval { lo, hi } = self.bounds;
        if self.bounds != UNBOUNDED {
            steps.push(Step::Clip {
                lo: lo as f32,
                hi: hi as f32,
            });
        }
        if self.zero_point != 0 {
            steps.push(Step::Subtract(Number::Integer(self.zero_point)));
        }
        if self.bounds == UNBOUNDED {
            steps.push(Step::ToFloat);
        }
        if self.scale != 1.0 {
            steps.push(Step::Multiply(Number::Float(self.scale)));
        }
    }
}
