//! `QGraph`: the integer-only intermediate representation.
//!
//! Everything behind this type (reference model, planner, hardware) sees only integers and the
//! rules of `macforge-numeric`; everything before it deals with file formats and real numbers.

use macforge_numeric::{
    AddRule, AffineParams, AveragePoolRule, Clamp, Requantizer, Semantics, SoftmaxRule,
};

/// Index of a tensor in [`QGraph::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub usize);

/// Element type of a tensor that crosses a node boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    /// Signed 8-bit integer, affine parameters in [`QTensor::quant`].
    I8,
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
    /// Affine parameters; `None` exactly for [`DType::F32`].
    pub quant: Option<AffineParams>,
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

/// A dense convolution, integer parameters only.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Kernel geometry.
    pub window: Window,
    /// Weights, `[OC, KH, KW, IC]` row-major, zero point 0.
    pub weights: Vec<i8>,
    /// Output channels.
    pub out_channels: usize,
    /// Input channels.
    pub in_channels: usize,
    /// Bias in accumulator units, one per output channel; added to `sum(w * (x - zx))`.
    pub bias: Vec<i32>,
    /// Accumulator to output value, one per output channel (zero point and clamp included).
    pub requant: Vec<Requantizer>,
    /// True where the activation function already bounds the output from below (ReLU), so that
    /// reaching the lower clamp is not a saturation.
    pub lower_is_activation: bool,
}

/// A fully connected layer over the flattened input.
#[derive(Clone, Debug, PartialEq)]
pub struct FullyConnected {
    /// Weights, `[OC, IC]` row-major, zero point 0.
    pub weights: Vec<i8>,
    /// Output channels.
    pub out_channels: usize,
    /// Input elements (product of the input shape).
    pub in_features: usize,
    /// Bias in accumulator units, one per output channel.
    pub bias: Vec<i32>,
    /// Accumulator to output value, one per output channel.
    pub requant: Vec<Requantizer>,
    /// See [`Conv2d::lower_is_activation`].
    pub lower_is_activation: bool,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq)]
pub enum QOp {
    /// `y[oc] = requant(sum(w * (x - zx)) + bias)`; positions outside the input count as `zx`.
    Conv2d(Conv2d),
    /// The same over the whole flattened input.
    FullyConnected(FullyConnected),
    /// Element-wise sum of two tensors of the same shape.
    Add(AddRule),
    /// Maximum over a window, then clamp; padding never wins.
    MaxPool(Window, Clamp),
    /// Average over the valid part of a window.
    AveragePool(Window, AveragePoolRule),
    /// Same elements, other shape.
    Reshape,
    /// Any unary int8 function; index is `q as u8`.
    Table(Box<[i8; 256]>),
    /// Softmax over the last dimension.
    Softmax(SoftmaxRule),
    /// float32 to int8 with the output tensor's parameters; only at the graph input.
    Quantize,
    /// int8 to float32 with the input tensor's parameters; only at a graph output.
    Dequantize,
}

impl QOp {
    /// Short upper-case name for tables and messages.
    pub fn kind(&self) -> &'static str {
        match self {
            QOp::Conv2d(_) => "CONV_2D",
            QOp::FullyConnected(_) => "FULLY_CONNECTED",
            QOp::Add(_) => "ADD",
            QOp::MaxPool(..) => "MAX_POOL_2D",
            QOp::AveragePool(..) => "AVERAGE_POOL_2D",
            QOp::Reshape => "RESHAPE",
            QOp::Table(_) => "TABLE",
            QOp::Softmax(_) => "SOFTMAX",
            QOp::Quantize => "QUANTIZE",
            QOp::Dequantize => "DEQUANTIZE",
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
    /// Input tensors; two for Add, one otherwise.
    pub inputs: Vec<TensorId>,
    /// Output tensor.
    pub output: TensorId,
    /// The operation.
    pub op: QOp,
}

/// The integer-only graph. Nodes are in execution order; every tensor has one producer.
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
            QOp::FullyConnected(f) => f.weights.len() as u64,
            _ => 0,
        }
    }
}
