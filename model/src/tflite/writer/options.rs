//! Options tables of the operators.

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, WIPOffset};

use super::put;
use crate::tflite::schema::{self, options_type};

/// `enum ActivationFunctionType`.
#[derive(Clone, Copy, Debug)]
#[repr(i8)]
pub enum Fused {
    /// No activation.
    None = 0,
    /// max(x, 0).
    Relu = 1,
    /// Clamp to [-1, 1].
    ReluN1To1 = 2,
    /// Clamp to [0, 6].
    Relu6 = 3,
    /// Hyperbolic tangent (not supported by the importer).
    Tanh = 4,
}

/// Options table of an operator. Pairs are vertical, horizontal.
#[derive(Clone, Copy, Debug)]
pub enum Options {
    /// No options table.
    None,
    /// `Conv2DOptions`.
    Conv2d {
        /// Strides.
        stride: [i32; 2],
        /// Dilation factors.
        dilation: [i32; 2],
        /// True for SAME padding, false for VALID.
        same: bool,
        /// Fused activation.
        fused: Fused,
    },
    /// `DepthwiseConv2DOptions`.
    DepthwiseConv2d {
        /// Strides.
        stride: [i32; 2],
        /// Dilation factors.
        dilation: [i32; 2],
        /// True for SAME padding, false for VALID.
        same: bool,
        /// Fused activation.
        fused: Fused,
    },
    /// `Pool2DOptions`.
    Pool {
        /// Window.
        kernel: [i32; 2],
        /// Strides.
        stride: [i32; 2],
        /// True for SAME padding, false for VALID.
        same: bool,
        /// Fused activation.
        fused: Fused,
    },
    /// `FullyConnectedOptions`.
    FullyConnected(Fused),
    /// `AddOptions`.
    Add(Fused),
    /// `ReducerOptions`: whether averaged dimensions stay with size 1.
    Reducer(bool),
    /// `SubOptions`.
    Sub(Fused),
    /// `MulOptions`.
    Mul(Fused),
    /// `ConcatenationOptions`, with the axis.
    Concatenation(i32),
    /// `StridedSliceOptions`: masks for begin, end and dimensions to drop.
    StridedSlice([i32; 3]),
    /// `LeakyReluOptions`, with the slope.
    LeakyRelu(f32),
    /// `ResizeNearestNeighborOptions`.
    ResizeNearest {
        /// Corners lie on corners.
        align_corners: bool,
        /// Coordinates are those of pixel centres.
        half_pixel_centers: bool,
    },
    /// `TransposeConvOptions`.
    TransposeConv {
        /// Strides.
        stride: [i32; 2],
        /// True for SAME padding, false for VALID.
        same: bool,
        /// Fused activation.
        fused: Fused,
    },
    /// `BatchMatMulOptions`: whether the first and the second operand lie transposed.
    BatchMatMul([bool; 2]),
    /// `UnidirectionalSequenceLSTMOptions`, batch major.
    Lstm {
        /// Bound of the cell state.
        cell_clip: f32,
        /// Tensor for all five intermediates.
        hidden: i32,
    },
    /// `CallOnceOptions`, with the subgraph.
    CallOnce(i32),
    /// `VarHandleOptions`, with the variable's name.
    VarHandle(&'static str),
    /// `SoftmaxOptions`, with beta.
    Softmax(f32),
}

/// The options table and the type of the union it belongs to.
pub(super) fn table(
    fbb: &mut FlatBufferBuilder<'_>,
    options: Options,
) -> Option<(u8, WIPOffset<TableFinishedWIPOffset>)> {
    let padding = |same: bool| if same { 0i8 } else { 1 };
    let name = match options {
        Options::VarHandle(name) => Some(fbb.create_string(name)),
        _ => None,
    };
    let start = fbb.start_table();
    let kind = match options {
        Options::None => 0,
        Options::Conv2d {
            stride,
            dilation,
            same,
            fused,
        } => {
            use schema::conv2d_options as f;
            put(fbb, f::PADDING, padding(same));
            put(fbb, f::STRIDE_W, stride[1]);
            put(fbb, f::STRIDE_H, stride[0]);
            put(fbb, f::ACTIVATION, fused as i8);
            put(fbb, f::DILATION_W, dilation[1]);
            put(fbb, f::DILATION_H, dilation[0]);
            options_type::CONV_2D
        }
        Options::DepthwiseConv2d {
            stride,
            dilation,
            same,
            fused,
        } => {
            use schema::depthwise_conv2d_options as f;
            put(fbb, f::PADDING, padding(same));
            put(fbb, f::DILATION_W, dilation[1]);
            put(fbb, f::DILATION_H, dilation[0]);
            put(fbb, f::STRIDE_W, stride[1]);
            put(fbb, f::STRIDE_H, stride[0]);
            put(fbb, f::ACTIVATION, fused as i8);
            options_type::DEPTHWISE_CONV_2D
        }
        Options::Pool {
            kernel,
            stride,
            same,
            fused,
        } => {
            use schema::pool2d_options as f;
            put(fbb, f::PADDING, padding(same));
            put(fbb, f::STRIDE_W, stride[1]);
            put(fbb, f::STRIDE_H, stride[0]);
            put(fbb, f::FILTER_W, kernel[1]);
            put(fbb, f::FILTER_H, kernel[0]);
            put(fbb, f::ACTIVATION, fused as i8);
            options_type::POOL_2D
        }
        Options::FullyConnected(fused) => {
            put(
                fbb,
                schema::fully_connected_options::ACTIVATION,
                fused as i8,
            );
            options_type::FULLY_CONNECTED
        }
        Options::Add(fused) | Options::Sub(fused) | Options::Mul(fused) => {
            put(fbb, schema::arithmetic_options::ACTIVATION, fused as i8);
            match options {
                Options::Sub(_) => options_type::SUB,
                Options::Mul(_) => options_type::MUL,
                _ => options_type::ADD,
            }
        }
        Options::Concatenation(axis) => {
            put(fbb, schema::concatenation_options::AXIS, axis);
            options_type::CONCATENATION
        }
        Options::StridedSlice([begin, end, shrink]) => {
            use schema::strided_slice_options as f;
            put(fbb, f::BEGIN_MASK, begin);
            put(fbb, f::END_MASK, end);
            put(fbb, f::SHRINK_AXIS_MASK, shrink);
            options_type::STRIDED_SLICE
        }
        Options::LeakyRelu(alpha) => {
            put(fbb, schema::leaky_relu_options::ALPHA, alpha);
            options_type::LEAKY_RELU
        }
        Options::ResizeNearest {
            align_corners,
            half_pixel_centers,
        } => {
            use schema::resize_nearest_options as f;
            put(fbb, f::ALIGN_CORNERS, align_corners);
            put(fbb, f::HALF_PIXEL_CENTERS, half_pixel_centers);
            options_type::RESIZE_NEAREST
        }
        Options::TransposeConv {
            stride,
            same,
            fused,
        } => {
            use schema::transpose_conv_options as f;
            put(fbb, f::PADDING, padding(same));
            put(fbb, f::STRIDE_W, stride[1]);
            put(fbb, f::STRIDE_H, stride[0]);
            put(fbb, f::ACTIVATION, fused as i8);
            options_type::TRANSPOSE_CONV
        }
        Options::BatchMatMul([x, y]) => {
            put(fbb, schema::batch_matmul_options::ADJ_X, x);
            put(fbb, schema::batch_matmul_options::ADJ_Y, y);
            options_type::BATCH_MATMUL
        }
        Options::Lstm { cell_clip, .. } => {
            use schema::unidirectional_sequence_lstm_options as f;
            put(fbb, f::ACTIVATION, 4i8);
            put(fbb, f::CELL_CLIP, cell_clip);
            options_type::UNIDIRECTIONAL_SEQUENCE_LSTM
        }
        Options::Reducer(keep) => {
            put(fbb, schema::reducer_options::KEEP_DIMS, keep);
            options_type::REDUCER
        }
        Options::CallOnce(subgraph) => {
            put(fbb, schema::call_once_options::SUBGRAPH, subgraph);
            options_type::CALL_ONCE
        }
        Options::VarHandle(_) => {
            if let Some(name) = name {
                put(fbb, schema::var_handle_options::SHARED_NAME, name);
            }
            options_type::VAR_HANDLE
        }
        Options::Softmax(beta) => {
            put(fbb, schema::softmax_options::BETA, beta);
            options_type::SOFTMAX
        }
    };
    let table = fbb.end_table(start);
    (kind != 0).then_some((kind, table))
}
