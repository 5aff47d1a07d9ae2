//! Field ids and enumerations of the TFLite schema (version 3), as far as the importer reads it.
//!
//! A field's id is its position in the table's declaration in `schema.fbs`; ids never change, new
//! fields are only appended.

use super::reader::Field;

macro_rules! fields {
    ($($(#[$doc:meta])* $table:ident { $($konst:ident = $id:literal $name:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        pub(crate) mod $table {
            use super::Field;
            $(pub(crate) const $konst: Field = Field { id: $id, name: $name };)*
        }
    )*};
}

fields! {
    /// `table Model`
    model {
        VERSION = 0 "version",
        OPERATOR_CODES = 1 "operator_codes",
        SUBGRAPHS = 2 "subgraphs",
        DESCRIPTION = 3 "description",
        BUFFERS = 4 "buffers",
    }
    /// `table SubGraph`
    subgraph {
        TENSORS = 0 "tensors",
        INPUTS = 1 "inputs",
        OUTPUTS = 2 "outputs",
        OPERATORS = 3 "operators",
    }
    /// `table Tensor`
    tensor {
        SHAPE = 0 "shape",
        TYPE = 1 "type",
        BUFFER = 2 "buffer",
        NAME = 3 "name",
        QUANTIZATION = 4 "quantization",
        SPARSITY = 6 "sparsity",
    }
    /// `table QuantizationParameters`
    quantization {
        SCALE = 2 "scale",
        ZERO_POINT = 3 "zero_point",
        DETAILS_TYPE = 4 "details_type",
        DIMENSION = 6 "quantized_dimension",
    }
    /// `table Buffer`
    buffer {
        DATA = 0 "data",
        OFFSET = 1 "offset",
    }
    /// `table OperatorCode`
    operator_code {
        DEPRECATED_BUILTIN_CODE = 0 "deprecated_builtin_code",
        CUSTOM_CODE = 1 "custom_code",
        BUILTIN_CODE = 3 "builtin_code",
    }
    /// `table Operator`
    operator {
        OPCODE_INDEX = 0 "opcode_index",
        INPUTS = 1 "inputs",
        OUTPUTS = 2 "outputs",
        OPTIONS_TYPE = 3 "builtin_options_type",
        OPTIONS = 4 "builtin_options",
        INTERMEDIATES = 8 "intermediates",
    }
    /// `table Conv2DOptions`
    conv2d_options {
        PADDING = 0 "padding",
        STRIDE_W = 1 "stride_w",
        STRIDE_H = 2 "stride_h",
        ACTIVATION = 3 "fused_activation_function",
        DILATION_W = 4 "dilation_w_factor",
        DILATION_H = 5 "dilation_h_factor",
    }
    /// `table DepthwiseConv2DOptions`
    depthwise_conv2d_options {
        PADDING = 0 "padding",
        STRIDE_W = 1 "stride_w",
        STRIDE_H = 2 "stride_h",
        ACTIVATION = 4 "fused_activation_function",
        DILATION_W = 5 "dilation_w_factor",
        DILATION_H = 6 "dilation_h_factor",
    }
    /// `table Pool2DOptions`
    pool2d_options {
        PADDING = 0 "padding",
        STRIDE_W = 1 "stride_w",
        STRIDE_H = 2 "stride_h",
        FILTER_W = 3 "filter_width",
        FILTER_H = 4 "filter_height",
        ACTIVATION = 5 "fused_activation_function",
    }
    /// `table FullyConnectedOptions`
    fully_connected_options {
        ACTIVATION = 0 "fused_activation_function",
        WEIGHTS_FORMAT = 1 "weights_format",
    }
    /// `table SoftmaxOptions`
    softmax_options {
        BETA = 0 "beta",
    }
    /// `table UnidirectionalSequenceLSTMOptions`
    unidirectional_sequence_lstm_options {
        ACTIVATION = 0 "fused_activation_function",
        CELL_CLIP = 1 "cell_clip",
        TIME_MAJOR = 3 "time_major",
        DIAGONAL_RECURRENT = 5 "diagonal_recurrent_tensors",
    }
    /// `table AddOptions`, `MulOptions`, `SubOptions`: the same first field.
    arithmetic_options {
        ACTIVATION = 0 "fused_activation_function",
    }
    /// `table ConcatenationOptions`
    concatenation_options {
        AXIS = 0 "axis",
        ACTIVATION = 1 "fused_activation_function",
    }
    /// `table ReducerOptions`
    reducer_options {
        KEEP_DIMS = 0 "keep_dims",
    }
    /// `table StridedSliceOptions`
    strided_slice_options {
        BEGIN_MASK = 0 "begin_mask",
        END_MASK = 1 "end_mask",
        ELLIPSIS_MASK = 2 "ellipsis_mask",
        NEW_AXIS_MASK = 3 "new_axis_mask",
        SHRINK_AXIS_MASK = 4 "shrink_axis_mask",
        OFFSET = 5 "offset",
    }
    /// `table LeakyReluOptions`
    leaky_relu_options {
        ALPHA = 0 "alpha",
    }
    /// `table ResizeNearestNeighborOptions`
    resize_nearest_options {
        ALIGN_CORNERS = 0 "align_corners",
        HALF_PIXEL_CENTERS = 1 "half_pixel_centers",
    }
    /// `table TransposeConvOptions`
    transpose_conv_options {
        PADDING = 0 "padding",
        STRIDE_W = 1 "stride_w",
        STRIDE_H = 2 "stride_h",
        ACTIVATION = 3 "fused_activation_function",
    }
    /// `table BatchMatMulOptions`
    batch_matmul_options {
        ADJ_X = 0 "adj_x",
        ADJ_Y = 1 "adj_y",
    }
    /// `table CallOnceOptions`
    call_once_options {
        SUBGRAPH = 0 "init_subgraph_index",
    }
    /// `table VarHandleOptions`
    var_handle_options {
        CONTAINER = 0 "container",
        SHARED_NAME = 1 "shared_name",
    }
}

/// `union BuiltinOptions`: the table type behind `builtin_options`.
pub(crate) mod options_type {
    pub(crate) const CONV_2D: u8 = 1;
    pub(crate) const DEPTHWISE_CONV_2D: u8 = 2;
    pub(crate) const POOL_2D: u8 = 5;
    pub(crate) const FULLY_CONNECTED: u8 = 8;
    pub(crate) const SOFTMAX: u8 = 9;
    pub(crate) const CONCATENATION: u8 = 10;
    pub(crate) const ADD: u8 = 11;
    pub(crate) const UNIDIRECTIONAL_SEQUENCE_LSTM: u8 = 71;
    pub(crate) const MUL: u8 = 21;
    pub(crate) const REDUCER: u8 = 27;
    pub(crate) const SUB: u8 = 28;
    pub(crate) const STRIDED_SLICE: u8 = 32;
    pub(crate) const TRANSPOSE_CONV: u8 = 49;
    pub(crate) const RESIZE_NEAREST: u8 = 74;
    pub(crate) const LEAKY_RELU: u8 = 75;
    pub(crate) const BATCH_MATMUL: u8 = 101;
    pub(crate) const CALL_ONCE: u8 = 103;
    pub(crate) const VAR_HANDLE: u8 = 111;
}

/// Schema version that TFLite files have had since 2017.
pub(crate) const VERSION: u32 = 3;
