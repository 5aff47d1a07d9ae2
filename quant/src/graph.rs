//! `QGraph`: the integer-only intermediate representation.
//!
//! Everything behind this type (reference model, planner, hardware) sees only integers and the
//! rules of `macforge-numeric`; everything before it deals with file formats and real numbers.

use macforge_numeric::{
    AffineParams, AttentionRule, AveragePoolRule, BinaryRule, Clamp, Fp16LstmRule, Interval,
    LstmRule, Requantizer, Semantics, SoftmaxRule, Step,
};

/// Index of a tensor in [`QGraph::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub usize);

/// Element type of a tensor that crosses a node boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    /// Signed 8-bit integer, affine parameters in [`QTensor::quant`]. uint8 tensors of a model are
    /// held as int8, see [`QTensor::unsigned`]; narrower integers are int8 with a narrower range.
    I8,
    /// Signed 16-bit integer, affine parameters with zero point 0. Only convolutions and fully connected
    /// layers compute with it.
    I16,
    /// Signed 32-bit integer without affine parameters: accumulators that leave the graph as they are.
    I32,
    /// IEEE single precision; only at the graph boundary (before Quantize, after Dequantize).
    F32,
}

/// A value of the graph, batch 1.
#[derive(Clone, Debug, PartialEq)]
pub struct QTensor {
    /// Name from the source model, unique in the graph.
    pub name: String,
    /// Shape without the batch dimension; images are `[H, W, C]`, vectors `[C]`.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// Affine parameters; `Some` exactly for [`DType::I8`] and [`DType::I16`].
    pub quant: Option<AffineParams>,
    /// The model's own type is uint8: values and zero point here are the model's less 128. Matters
    /// only where integers enter or leave the graph.
    pub unsigned: bool,
    /// The model's own layout has the channels in front of the pixels, `[C, H, W]` or `[C, W]`.
    /// Matters only where values enter or leave the graph.
    pub channels_first: bool,
}

impl DType {
    /// The integers of the type, where layers compute with it.
    pub fn limits(self) -> Option<Clamp> {
        match self {
            DType::I8 => Some(Clamp::INT8),
            DType::I16 => Some(Clamp::INT16),
            DType::I32 | DType::F32 => None,
        }
    }
}

impl QTensor {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The shape as `[H, W, C]`; lower ranks are padded with leading ones.
    ///
    /// Ranks above three are rejected by [`QGraph::verify`].
    pub fn hwc(&self) -> [usize; 3] {
        match *self.shape.as_slice() {
            [h, w, c] => [h, w, c],
            [w, c] => [1, w, c],
            [c] => [1, 1, c],
            _ => [1, 1, self.elements()],
        }
    }
}

/// Kernel geometry shared by convolution and pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Vertical and horizontal dilation (1 = dense).
    pub dilation: [usize; 2],
    /// Padding before the first row and the first column (top, left). Bottom and right padding
    /// follow from the output shape.
    pub pad: [usize; 2],
}

/// A convolution, integer parameters only. With as many groups as input channels it is a depthwise
/// one; output channel `oc` belongs to group `oc / (OC / groups)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Kernel geometry.
    pub window: Window,
    /// Weights of at most 16 bits, `[OC, KH, KW, IC / groups]` row-major.
    pub weights: Vec<i16>,
    /// Zero point of the weights, one per output channel; 0 for symmetric weights, and for those of
    /// more than 8 bits.
    pub weight_zero_points: Vec<i32>,
    /// Groups of channels that do not mix; 1 for a dense convolution.
    pub groups: usize,
    /// Output channels, a multiple of the groups.
    pub out_channels: usize,
    /// Input channels, a multiple of the groups.
    pub in_channels: usize,
    /// Bias in accumulator units, one per output channel; added to `sum((w - zw) * (x - zx))`.
    pub bias: Vec<i32>,
    /// Accumulator to output value, one per output channel (zero point and clamp included). Empty
    /// where the output tensor is [`DType::I32`]: the accumulators themselves.
    pub requant: Vec<Requantizer>,
    /// True where the activation function already bounds the output from below (ReLU), so that
    /// reaching the lower clamp is not a saturation.
    pub lower_is_activation: bool,
}

/// A fully connected layer over the flattened input.
#[derive(Clone, Debug, PartialEq)]
pub struct FullyConnected {
    /// Weights of at most 16 bits, `[OC, IC]` row-major.
    pub weights: Vec<i16>,
    /// See [`Conv2d::weight_zero_points`].
    pub weight_zero_points: Vec<i32>,
    /// Output channels.
    pub out_channels: usize,
    /// Input elements (product of the input shape).
    pub in_features: usize,
    /// Bias in accumulator units, one per output channel.
    pub bias: Vec<i32>,
    /// Accumulator to output value, one per output channel; see [`Conv2d::requant`].
    pub requant: Vec<Requantizer>,
    /// See [`Conv2d::lower_is_activation`].
    pub lower_is_activation: bool,
}

impl Conv2d {
    /// One input and one output channel per group.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.in_channels && self.groups == self.out_channels
    }

    /// Input channels of a group: the length of the weights' last dimension.
    pub fn group_channels(&self) -> usize {
        self.in_channels / self.groups
    }
}

/// One gate of an [`Lstm`].
#[derive(Clone, Debug, PartialEq)]
pub struct LstmGate {
    /// Weights of the input, `[units, inputs]` row-major, symmetric.
    pub input_weights: Vec<i8>,
    /// Weights of the hidden state, `[units, units]` row-major, symmetric.
    pub recurrent_weights: Vec<i8>,
    /// Bias in units of the input's accumulator, one per unit.
    pub bias: Vec<i32>,
}

/// A long short-term memory over a sequence `[T, inputs]`; the output is `[T, units]`, the hidden state
/// after every step.
///
/// One inference is one whole sequence: hidden and cell state start as real zero, the hidden state at
/// the output's zero point.
#[derive(Clone, Debug, PartialEq)]
pub struct Lstm {
    /// Length of an input vector.
    pub inputs: usize,
    /// Length of the hidden and of the cell state.
    pub units: usize,
    /// Weights of the gates, in the order of [`macforge_numeric::lstm::Gate::ALL`].
    pub gates: [LstmGate; 4],
    /// Scaling, activation functions and state update.
    pub rule: LstmArithmetic,
}

/// What an [`Lstm`] computes with.
#[derive(Clone, Debug, PartialEq)]
pub enum LstmArithmetic {
    /// TFLite's int16 gates and cell state.
    Integer(LstmRule),
    /// FP16 gates and cell state.
    Fp16(Fp16LstmRule),
}

impl LstmArithmetic {
    /// Zero point of the hidden state.
    pub fn output_zero_point(&self) -> i32 {
        match self {
            LstmArithmetic::Integer(rule) => rule.output_zero_point,
            LstmArithmetic::Fp16(rule) => rule.output.zero_point,
        }
    }
}

impl Lstm {
    /// All weights.
    pub fn weights(&self) -> usize {
        4 * self.units * (self.inputs + self.units)
    }
}

/// Attention of queries `[Tq, C]` on keys and values `[Tk, C]`, in that order of inputs; the output is
/// `[Tq, C]`. Head `h` has channels `h * C / heads..(h + 1) * C / heads` of all four.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Heads, which do not mix; a divisor of the channels.
    pub heads: usize,
    /// Scores, weights and context.
    pub rule: AttentionRule,
}

/// A matrix product of two computed operands: `[.., M, K] x [.., K, N]` to `[.., M, N]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MatMul {
    /// The second operand lies as `[.., N, K]`.
    pub transpose_b: bool,
    /// `sum((a - za) * (b - zb))` to output value; `None` where the output is [`DType::I32`].
    pub requant: Option<Requantizer>,
}

/// float32 work of the host, in front of the first integer tensor or behind the last one. The
/// hardware has no part in it; every operation is stated in float32, in its order.
#[derive(Clone, Debug, PartialEq)]
pub enum HostOp {
    /// A chain of scalar steps on every element: one chain for all, or one per channel (last
    /// dimension). Integers (int8 and int32) enter as they are; the result is float32.
    Steps(Vec<Vec<Step>>),
    /// The same, from float32 to int8: the chain's result is an integer, to which the zero point
    /// is added before clamping.
    Quantize(Vec<Vec<Step>>, Clamp),
    /// Product of the flattened input with `[OC, IC]` weights, summed in the order of `IC`.
    FullyConnected {
        /// Weights, row-major.
        weights: Vec<f32>,
        /// Output channels.
        out_channels: usize,
    },
    /// Dense convolution with `[OC, KH, KW, IC]` weights, summed in that order; zero outside.
    Conv2d {
        /// Kernel geometry.
        window: Window,
        /// Weights, row-major.
        weights: Vec<f32>,
        /// Output channels.
        out_channels: usize,
    },
    /// Softmax over the last dimension.
    Softmax,
    /// Logarithm of softmax over the last dimension.
    LogSoftmax,
    /// Logistic function.
    Sigmoid,
    /// Index of the largest value of the last dimension, the first of several; int32.
    ArgMax,
    /// One index of the last dimension.
    Select(usize),
}

/// What a node computes. Axes and per-dimension lists follow [`QTensor::shape`] (no batch).
#[derive(Clone, Debug, PartialEq)]
pub enum QOp {
    /// `y[oc] = requant(sum((w - zw) * (x - zx)) + bias)`; positions outside the input count as `zx`.
    Conv2d(Conv2d),
    /// The transposed convolution: input pixel `(y, x)` adds `(w - zw) * (x - zx)` to output pixels
    /// `(y * stride + ky * dilation - pad, ...)`, then bias and requantizer.
    ConvTranspose2d(Conv2d),
    /// Product of two computed matrices.
    MatMul(MatMul),
    /// The same over the whole flattened input.
    FullyConnected(FullyConnected),
    /// Element-wise function of two tensors. Shapes broadcast as in numpy: aligned at the last
    /// dimension, a size of 1 or a missing dimension repeats.
    Binary(BinaryRule),
    /// Maximum over a window, then clamp; padding never wins.
    MaxPool(Window, Clamp),
    /// Average over the valid part of a window.
    AveragePool(Window, AveragePoolRule),
    /// Same elements, other shape.
    Reshape,
    /// Dimensions in another order: output dimension `i` is input dimension `perm[i]`.
    Transpose(Vec<usize>),
    /// All inputs one behind the other along an axis. They share the output's affine parameters.
    Concat(usize),
    /// Elements `start[i] + step[i] * n` of every dimension; the output shape gives the counts.
    Slice {
        /// First element per dimension.
        start: Vec<usize>,
        /// Distance per dimension, at least 1.
        step: Vec<usize>,
    },
    /// The input, surrounded by a constant; what is behind follows from the output shape.
    Pad {
        /// Elements in front, per dimension.
        before: Vec<usize>,
        /// The constant.
        value: i8,
    },
    /// Nearest neighbour: output pixel `(y, x)` is input pixel `(rows[y], columns[x])`.
    Resize {
        /// Input row of each output row.
        rows: Vec<usize>,
        /// Input column of each output column.
        columns: Vec<usize>,
    },
    /// Any unary int8 function; index is `q as u8`.
    Table(Box<[i8; 256]>),
    /// Softmax over the last dimension.
    Softmax(SoftmaxRule),
    /// A recurrent layer over the first dimension.
    Lstm(Box<Lstm>),
    /// Multi-head attention of three inputs: queries, keys, values.
    Attention(Attention),
    /// float32 to int8 or int16 with the output tensor's parameters; only at the graph input.
    Quantize,
    /// int8 or int16 to float32 with the input tensor's parameters; only at a graph output.
    Dequantize,
    /// Work of the host in float32.
    Host(HostOp),
}

impl QOp {
    /// Whether the operation takes and gives int16 tensors: it sums products, moves values or converts
    /// them.
    pub fn takes_int16(&self) -> bool {
        let multiplies = matches!(self, QOp::Conv2d(_) | QOp::FullyConnected(_));
        multiplies || matches!(self, QOp::Reshape | QOp::Quantize | QOp::Dequantize)
    }

    /// Whether the operation sums products, which it may give out as they are ([`DType::I32`]).
    pub fn has_accumulators(&self) -> bool {
        matches!(
            self,
            QOp::Conv2d(_) | QOp::ConvTranspose2d(_) | QOp::FullyConnected(_) | QOp::MatMul(_)
        )
    }

    /// Short upper-case name for tables and messages.
    pub fn kind(&self) -> &'static str {
        match self {
            QOp::Conv2d(c) if c.is_depthwise() => "DEPTHWISE_CONV_2D",
            QOp::Conv2d(_) => "CONV_2D",
            QOp::ConvTranspose2d(_) => "TRANSPOSE_CONV",
            QOp::MatMul(_) => "MATMUL",
            QOp::Transpose(_) => "TRANSPOSE",
            QOp::Concat(_) => "CONCATENATION",
            QOp::Slice { .. } => "SLICE",
            QOp::Pad { .. } => "PAD",
            QOp::Resize { .. } => "RESIZE_NEAREST",
            QOp::FullyConnected(_) => "FULLY_CONNECTED",
            QOp::Binary(rule) => rule.name(),
            QOp::MaxPool(..) => "MAX_POOL_2D",
            QOp::AveragePool(..) => "AVERAGE_POOL_2D",
            QOp::Reshape => "RESHAPE",
            QOp::Table(_) => "TABLE",
            QOp::Softmax(_) => "SOFTMAX",
            QOp::Lstm(l) if matches!(l.rule, LstmArithmetic::Fp16(_)) => "LSTM",
            QOp::Lstm(_) => "UNIDIRECTIONAL_SEQUENCE_LSTM",
            QOp::Attention(_) => "ATTENTION",
            QOp::Quantize => "QUANTIZE",
            QOp::Dequantize => "DEQUANTIZE",
            QOp::Host(op) => op.kind(),
        }
    }
}

impl HostOp {
    /// Short upper-case name for tables and messages.
    pub fn kind(&self) -> &'static str {
        match self {
            HostOp::Steps(_) => "HOST_STEPS",
            HostOp::Quantize(..) => "HOST_QUANTIZE",
            HostOp::FullyConnected { .. } => "HOST_FULLY_CONNECTED",
            HostOp::Conv2d { .. } => "HOST_CONV_2D",
            HostOp::Softmax => "HOST_SOFTMAX",
            HostOp::LogSoftmax => "HOST_LOG_SOFTMAX",
            HostOp::Sigmoid => "HOST_SIGMOID",
            HostOp::ArgMax => "HOST_ARG_MAX",
            HostOp::Select(_) => "HOST_SELECT",
        }
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct QNode {
    /// Unique name, made from the source node (`conv2d_3`), a valid Verilog identifier.
    pub name: String,
    /// Where it comes from, for messages: `CONV_2D #3 (model/conv2d_2/Conv2D)`.
    pub source: String,
    /// Input tensors: two for Binary and MatMul, three for Attention, any number for Concat, one otherwise.
    pub inputs: Vec<TensorId>,
    /// Output tensor.
    pub output: TensorId,
    /// The operation.
    pub op: QOp,
}

/// A variable that keeps its value from one inference to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct QState {
    /// Tensor that holds the old value; it has no producer.
    pub read: TensorId,
    /// Tensor whose value the variable takes at the end of an inference; shape and affine
    /// parameters are those of `read`.
    pub write: TensorId,
    /// Value after reset, row-major.
    pub initial: Vec<i8>,
}

/// The integer-only graph. Nodes are in execution order; every tensor has one producer
/// (a node, the graph's inputs or a state).
#[derive(Clone, Debug, PartialEq)]
pub struct QGraph {
    /// Model name (file stem).
    pub name: String,
    /// Rounding rules that all nodes follow.
    pub semantics: Semantics,
    /// All tensors.
    pub tensors: Vec<QTensor>,
    /// All nodes, in execution order.
    pub nodes: Vec<QNode>,
    /// Graph inputs, in the model's order.
    pub inputs: Vec<TensorId>,
    /// Graph outputs, in the model's order.
    pub outputs: Vec<TensorId>,
    /// Variables, in the model's order.
    pub states: Vec<QState>,
    /// What the values of each input can be, where something in front of the graph (see
    /// [`QGraph::parts`]) limits them; empty otherwise.
    pub input_ranges: Vec<Interval>,
}

impl QGraph {
    /// The tensor behind an id.
    pub fn tensor(&self, id: TensorId) -> &QTensor {
        &self.tensors[id.0]
    }

    /// The node that writes `id`; `None` for graph inputs.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.nodes.iter().position(|n| n.output == id)
    }

    /// Indices of the nodes that read `id`, in execution order.
    pub fn consumers(&self, id: TensorId) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|&i| self.nodes[i].inputs.contains(&id))
            .collect()
    }

    /// Multiply-accumulates of node `i` for one inference, padding positions included
    /// (the field's usual count: output pixels x OC x KH x KW x IC).
    pub fn macs(&self, i: usize) -> u64 {
        let node = &self.nodes[i];
        match &node.op {
            QOp::Conv2d(c) => {
                let [h, w, _] = self.tensor(node.output).hwc();
                (h * w * c.weights.len()) as u64
            }
            QOp::ConvTranspose2d(c) => {
                let [h, w, _] = self.tensor(node.inputs[0]).hwc();
                (h * w * c.weights.len()) as u64
            }
            QOp::FullyConnected(f) => f.weights.len() as u64,
            QOp::Lstm(l) => (self.tensor(node.output).hwc()[1] * l.weights()) as u64,
            QOp::MatMul(_) => {
                let inner = self.tensor(node.inputs[0]).shape.last().copied();
                (self.tensor(node.output).elements() * inner.unwrap_or(1)) as u64
            }
            QOp::Attention(_) => {
                let [_, keys, _] = self.tensor(node.inputs[1]).hwc();
                2 * (self.tensor(node.output).elements() * keys) as u64
            }
            _ => 0,
        }
    }
}
