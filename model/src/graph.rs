//! The imported graph: tensors, operators with typed options, what is not supported.

use std::fmt;
use std::sync::Arc;

/// File format that a model came from; it decides the default rounding semantics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TensorFlow Lite flatbuffer, schema version 3.
    TfLite,
}

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// IEEE single precision.
    F32,
    /// Signed 4-bit integer, two to a byte, the first in the low half.
    I4,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// A type that no supported operator uses; the name is the source format's.
    Other {
        /// Name in the source format.
        name: &'static str,
        /// Bits per element, `None` where the size is not fixed (strings, resources).
        bits: Option<u32>,
    },
}

impl ElementType {
    /// Bits per element; `None` where the size is not fixed.
    pub fn bits(self) -> Option<u32> {
        match self {
            ElementType::I4 => Some(4),
            ElementType::I8 | ElementType::U8 => Some(8),
            ElementType::I16 => Some(16),
            ElementType::F32 | ElementType::I32 => Some(32),
            ElementType::I64 => Some(64),
            ElementType::Other { bits, .. } => bits,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ElementType::F32 => "float32",
            ElementType::I4 => "int4",
            ElementType::I8 => "int8",
            ElementType::U8 => "uint8",
            ElementType::I16 => "int16",
            ElementType::I32 => "int32",
            ElementType::I64 => "int64",
            ElementType::Other { name, .. } => name,
        })
    }
}

/// Affine quantization as the file states it: `r = scale * (q - zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// One scale (per tensor) or one per slice along [`Self::dimension`]. Not validated here.
    pub scale: Vec<f32>,
    /// Zero points, as many as scales, or none (all zero).
    pub zero_point: Vec<i64>,
    /// Dimension that several scales belong to.
    pub dimension: usize,
}

/// Constant bytes of a tensor, little endian, shared between tensors that share a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstData(pub Arc<[u8]>);

/// A value of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name in the file; may be empty or occur twice.
    pub name: String,
    /// Shape, batch dimension included.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: ElementType,
    /// Quantization parameters, where the file has any.
    pub quantization: Option<Quantization>,
    /// Constant content; its length matches shape and type.
    pub data: Option<ConstData>,
}

impl Tensor {
    /// Number of elements; 1 for a scalar. Importers guarantee that it does not overflow.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Constant content of int4, int8 or uint8 as int8; uint8 less 128. `None` for other types and
    /// for variables.
    pub fn as_i8(&self) -> Option<Vec<i8>> {
        let data = &self.data.as_ref()?.0;
        match self.dtype {
            ElementType::I8 => Some(data.iter().map(|&b| b.cast_signed()).collect()),
            ElementType::U8 => Some(data.iter().map(|&b| (b ^ 0x80).cast_signed()).collect()),
            ElementType::I4 => {
                let halves = data.iter().flat_map(|&b| [b << 4, b]);
                let signed = halves.map(|half| half.cast_signed() >> 4);
                Some(signed.take(self.elements()).collect())
            }
            _ => None,
        }
    }

    /// Constant content of int32 or int64; `None` for other types and for variables.
    pub fn as_integers(&self) -> Option<Vec<i64>> {
        if self.dtype != ElementType::I64 {
            return Some(self.as_i32()?.into_iter().map(i64::from).collect());
        }
        let (words, _) = self.data.as_ref()?.0.as_chunks::<8>();
        Some(words.iter().map(|&w| i64::from_le_bytes(w)).collect())
    }

    /// Constant content as int32; `None` for other types and for variables.
    pub fn as_i32(&self) -> Option<Vec<i32>> {
        let data = self
            .data
            .as_ref()
            .filter(|_| self.dtype == ElementType::I32)?;
        let (words, _) = data.0.as_chunks::<4>();
        Some(words.iter().map(|&w| i32::from_le_bytes(w)).collect())
    }
}

/// Activation function fused into an operator, or standing alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Identity.
    None,
    /// max(x, 0).
    Relu,
    /// min(max(x, -1), 1).
    ReluN1To1,
    /// min(max(x, 0), 6).
    Relu6,
}

/// Padding scheme of convolutions and pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Output size is ceil(input / stride); the odd row or column of padding goes last.
    Same,
    /// No padding.
    Valid,
}

impl Padding {
    /// Output size along one dimension, and padding in front of the first element.
    ///
    /// `kernel`, `stride` and `dilation` are at least 1. `None` where the window does not fit or
    /// the arithmetic overflows. Rule: TFLite `ComputePaddingHeightWidth`.
    pub fn output(
        self,
        input: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
    ) -> Option<(usize, usize)> {
        let reach = kernel
            .checked_sub(1)?
            .checked_mul(dilation)?
            .checked_add(1)?;
        match self {
            Padding::Valid => Some((input.checked_sub(reach)?.checked_div(stride)? + 1, 0)),
            Padding::Same => {
                let output = input.div_ceil(stride);
                let needed = output
                    .checked_sub(1)?
                    .checked_mul(stride)?
                    .checked_add(reach)?;
                Some((output, needed.saturating_sub(input) / 2))
            }
        }
    }
}

/// Options of a two-dimensional convolution. Pairs are vertical, horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Strides, at least 1.
    pub stride: [usize; 2],
    /// Dilation factors, at least 1.
    pub dilation: [usize; 2],
    /// Padding scheme.
    pub padding: Padding,
    /// Fused activation.
    pub activation: Activation,
}

/// Options of a two-dimensional pool. Pairs are vertical, horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Window size, at least 1.
    pub kernel: [usize; 2],
    /// Strides, at least 1.
    pub stride: [usize; 2],
    /// Padding scheme.
    pub padding: Padding,
    /// Fused activation.
    pub activation: Activation,
}

/// Options of [`OpKind::Lstm`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LstmOptions {
    /// Bound of the cell state in real numbers; 0 where it is not clipped.
    pub cell_clip: f32,
    /// Tensor whose quantization the hidden state has before it is stored.
    pub hidden: usize,
}

/// A function of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryKind {
    /// Sum.
    Add,
    /// First less second.
    Sub,
    /// Product.
    Mul,
    /// The smaller one.
    Minimum,
    /// The larger one.
    Maximum,
}

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `1 / (1 + exp(-x))`
    Logistic,
    /// Hyperbolic tangent.
    Tanh,
    /// `x * relu6(x + 3) / 6`
    HardSwish,
}

/// A regular selection of elements, per dimension of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceOptions {
    /// First element.
    pub start: Vec<usize>,
    /// Distance, at least 1.
    pub step: Vec<usize>,
    /// Number of elements, at least 1.
    pub count: Vec<usize>,
}

/// What an operator computes. Operand order is the order of [`Operator::inputs`].
#[derive(Clone, Debug, PartialEq)]
pub enum OpKind {
    /// Inputs: activation `[1, H, W, IC]`, weights `[OC, KH, KW, IC]`, optional bias `[OC]`.
    Conv2d(Conv2dOptions),
    /// Inputs: activation `[1, H, W, IC]`, weights `[1, KH, KW, OC]`, optional bias `[OC]`; output
    /// channel `oc` reads input channel `oc / (OC / IC)`.
    DepthwiseConv2d(Conv2dOptions),
    /// Inputs: activation, weights `[OC, IC]`, optional bias `[OC]`.
    FullyConnected(Activation),
    /// Inputs: two operands that broadcast as in numpy, at most one of them a constant of one
    /// element.
    Binary(BinaryKind, Activation),
    /// Inputs: activation and a constant slope that broadcasts to it.
    Prelu,
    /// `x` where positive, else `alpha * x`.
    LeakyRelu {
        /// Slope for negative values.
        alpha: f32,
    },
    /// A function of one value.
    Unary(Unary),
    /// Mean over the axes, which may stay with size 1 or go. Axes are not negative.
    Mean {
        /// Dimensions that are averaged, in ascending order.
        axes: Vec<usize>,
    },
    /// Inputs: any number of activations, one behind the other along an axis.
    Concat {
        /// Dimension.
        axis: usize,
    },
    /// Output `i` holds the elements `start + n * step` of slice `i`, per dimension of the input;
    /// dimensions may be dropped in the output.
    Slices(Vec<SliceOptions>),
    /// Input: activation; surrounded by its zero point, or by constant input 2 where given.
    Pad {
        /// Elements in front, per dimension.
        before: Vec<usize>,
    },
    /// Output dimension `i` is input dimension `perm[i]`.
    Transpose(Vec<usize>),
    /// Nearest neighbour to the output's size, `[1, H, W, C]`.
    ResizeNearest {
        /// The corners' centres lie on each other.
        align_corners: bool,
        /// Coordinates are those of pixel centres.
        half_pixel_centers: bool,
    },
    /// Inputs: output shape, weights `[OC, KH, KW, IC]`, activation `[1, H, W, IC]`, optional bias.
    TransposeConv(Conv2dOptions),
    /// Inputs: `[.., M, K]` and `[.., K, N]`; the second may be constant.
    BatchMatMul {
        /// The first operand lies as `[.., K, M]`.
        transpose_a: bool,
        /// The second operand lies as `[.., N, K]`.
        transpose_b: bool,
    },
    /// The value of a variable of [`Model::variables`], as it was when the inference began.
    ReadVariable(usize),
    /// Input 1 is the new value of a variable of [`Model::variables`].
    AssignVariable(usize),
    /// Nothing to compute: handles of variables, and their initialization.
    Bookkeeping,
    /// Input: activation `[1, H, W, C]`.
    AveragePool2d(PoolOptions),
    /// Input: activation `[1, H, W, C]`.
    MaxPool2d(PoolOptions),
    /// Input: activation; a constant shape may follow.
    Reshape,
    /// Stand-alone activation function, possibly with a change of scale.
    Activation(Activation),
    /// Softmax over the last dimension.
    Softmax {
        /// Factor on the input.
        beta: f32,
    },
    /// A long short-term memory over a whole sequence, its state reset before the first step, with
    /// float gates nowhere. Inputs, in TFLite's order: activation `[1, T, I]`; weights `[U, I]` of the
    /// input, forget, cell and output gate; recurrent weights `[U, U]` of the same; three peepholes left
    /// out; bias `[U]` of each gate; two operands of a projection left out; hidden state (int8) and cell
    /// state (int16), `U` elements each.
    Lstm(LstmOptions),
    /// float32, int8 or uint8 to int8 or uint8.
    Quantize,
    /// int8 or uint8 to float32.
    Dequantize,
    /// Listed in [`Model::unsupported`].
    Unsupported,
}

/// One operator of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// Name in the source format (`CONV_2D`; the custom code for custom operators).
    pub name: String,
    /// Tensor indices; `None` for an optional input left out.
    pub inputs: Vec<Option<usize>>,
    /// Tensor indices; one for every supported kind but [`OpKind::Slices`] and the ones for
    /// variables.
    pub outputs: Vec<usize>,
    /// What it computes.
    pub kind: OpKind,
}

/// An operator that the tool cannot take, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Index in [`Model::operators`].
    pub operator: usize,
    /// Operator name in the source format.
    pub name: String,
    /// The tensor that shows the problem, by name.
    pub tensor: String,
    /// What was found.
    pub found: String,
    /// What would be needed.
    pub needed: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "node #{} {} (tensor `{}`): {}; needed: {}",
            self.operator, self.name, self.tensor, self.found, self.needed
        )
    }
}

/// A variable that keeps its value from one inference to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Name in the file.
    pub name: String,
    /// Shape, type, parameters and reset value.
    pub initial: Tensor,
}

/// An imported model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// File stem, or the name given.
    pub name: String,
    /// Where it came from.
    pub format: Format,
    /// Free text of the file.
    pub description: String,
    /// All tensors of the main graph.
    pub tensors: Vec<Tensor>,
    /// Operators in the file's execution order.
    pub operators: Vec<Operator>,
    /// Variables, in the order the file names them.
    pub variables: Vec<Variable>,
    /// Graph inputs, as tensor indices.
    pub inputs: Vec<usize>,
    /// Graph outputs, as tensor indices.
    pub outputs: Vec<usize>,
    /// Operators that cannot be lowered, in execution order, at most one entry each.
    pub unsupported: Vec<Unsupported>,
}

impl Model {
    /// Multiply-accumulates of operator `index` for one inference, padding positions included;
    /// 0 for operators without weights, and for ones whose shapes make no sense.
    pub fn macs(&self, index: usize) -> u64 {
        let op = &self.operators[index];
        let (Some(weights), Some(&output)) =
            (op.inputs.get(1).copied().flatten(), op.outputs.first())
        else {
            return 0;
        };
        let out = &self.tensors[output].shape;
        if let OpKind::Lstm(_) = op.kind {
            let weights = op.inputs.iter().flatten().map(|&t| &self.tensors[t]);
            let matrices = weights.filter(|t| t.data.is_some() && t.shape.len() == 2);
            let per_step: u64 = matrices.map(|t| t.elements() as u64).sum();
            return per_step.saturating_mul(out.get(1).map_or(0, |&steps| steps as u64));
        }
        let repeats = match (op.name.as_str(), out.as_slice()) {
            ("CONV_2D" | "DEPTHWISE_CONV_2D", &[n, h, w, _]) => {
                n.saturating_mul(h).saturating_mul(w)
            }
            ("TRANSPOSE_CONV", _) => {
                let input = op.inputs.get(2).copied().flatten();
                let shape = input.map_or(&[][..], |t| self.tensors[t].shape.as_slice());
                let pixels = shape.split_last().map_or(&[][..], |(_, pixels)| pixels);
                pixels.iter().fold(1usize, |p, &d| p.saturating_mul(d))
            }
            ("BATCH_MATMUL", &[.., m, _]) => m,
            ("FULLY_CONNECTED", &[ref rows @ .., _]) => {
                rows.iter().fold(1usize, |p, &d| p.saturating_mul(d))
            }
            _ => 0,
        };
        (repeats as u64).saturating_mul(self.tensors[weights].elements() as u64)
    }

    /// Number of constant elements that the operators read (weights, biases, shapes).
    pub fn parameters(&self) -> u64 {
        let used: std::collections::BTreeSet<usize> = self
            .operators
            .iter()
            .flat_map(|op| op.inputs.iter().copied().flatten())
            .collect();
        used.into_iter()
            .filter(|&t| self.tensors[t].data.is_some())
            .map(|t| self.tensors[t].elements() as u64)
            .sum()
    }

    /// Where an operator comes from, for messages: `CONV_2D #3 (model/conv2d_2/Conv2D)`.
    pub fn source(&self, index: usize) -> String {
        let op = &self.operators[index];
        match op.outputs.first() {
            Some(&t) => format!("{} #{index} ({})", op.name, self.tensors[t].name),
            None => format!("{} #{index}", op.name),
        }
    }
}
