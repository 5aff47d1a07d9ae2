//! One importer per operator, and what they share.
//!
//! An importer checks operand count, types, ranks and shapes, so that lowering may rely on them,
//! and reads the options. Quantization parameters are judged later, in `macforge-quant`.

mod arithmetic;
mod batch_matmul;
mod concat;
mod context;
mod conv2d;
mod depthwise_conv2d;
mod fully_connected;
mod lstm;
mod mean;
mod pad;
mod pool2d;
mod quantize;
mod reshape;
mod resize;
mod slice;
mod softmax;
mod transpose;
mod transpose_conv;
mod unary;
mod variable;

pub(super) use context::{OpContext, Refusal};
use context::{check_window, malformed, pair, unsupported};

use super::schema::options_type;
use crate::graph::{Activation, BinaryKind, OpKind, Unary};

/// Operators with an importer, for messages.
const SUPPORTED: &str = "ADD, ASSIGN_VARIABLE, AVERAGE_POOL_2D, BATCH_MATMUL, CALL_ONCE, \
    CONCATENATION, CONV_2D, DEPTHWISE_CONV_2D, DEQUANTIZE, EXPAND_DIMS, FULLY_CONNECTED, \
    HARD_SWISH, LEAKY_RELU, LOGISTIC, MAXIMUM, MAX_POOL_2D, MEAN, MINIMUM, MUL, PAD, PADV2, PRELU, \
    QUANTIZE, READ_VARIABLE, RELU, RELU6, RELU_N1_TO_1, RESHAPE, RESIZE_NEAREST_NEIGHBOR, SLICE, \
    SOFTMAX, SPLIT, SPLIT_V, SQUEEZE, STRIDED_SLICE, SUB, TANH, TRANSPOSE, TRANSPOSE_CONV, \
    UNIDIRECTIONAL_SEQUENCE_LSTM, VAR_HANDLE";

/// Chooses the importer by operator name.
pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    match op.name {
        "ADD" => arithmetic::import(op, BinaryKind::Add, Some(options_type::ADD)),
        "ASSIGN_VARIABLE" => variable::import_assign(op),
        "AVERAGE_POOL_2D" => Ok(OpKind::AveragePool2d(pool2d::import(op)?)),
        "BATCH_MATMUL" => batch_matmul::import(op),
        "CALL_ONCE" | "VAR_HANDLE" => Ok(OpKind::Bookkeeping),
        "CONCATENATION" => concat::import(op),
        "CONV_2D" => conv2d::import(op),
        "DEPTHWISE_CONV_2D" => depthwise_conv2d::import(op),
        "DEQUANTIZE" => quantize::import_dequantize(op),
        "EXPAND_DIMS" | "RESHAPE" | "SQUEEZE" => reshape::import(op),
        "FULLY_CONNECTED" => fully_connected::import(op),
        "HARD_SWISH" => unary::import(op, OpKind::Unary(Unary::HardSwish)),
        "LEAKY_RELU" => unary::import_leaky_relu(op),
        "LOGISTIC" => unary::import(op, OpKind::Unary(Unary::Logistic)),
        "MAXIMUM" => arithmetic::import(op, BinaryKind::Maximum, None),
        "MAX_POOL_2D" => Ok(OpKind::MaxPool2d(pool2d::import(op)?)),
        "MEAN" => mean::import(op),
        "MINIMUM" => arithmetic::import(op, BinaryKind::Minimum, None),
        "MUL" => arithmetic::import(op, BinaryKind::Mul, Some(options_type::MUL)),
        "PAD" | "PADV2" => pad::import(op),
        "PRELU" => arithmetic::import_prelu(op),
        "QUANTIZE" => quantize::import_quantize(op),
        "READ_VARIABLE" => variable::import_read(op),
        "RELU" => unary::import(op, OpKind::Activation(Activation::Relu)),
        "RELU6" => unary::import(op, OpKind::Activation(Activation::Relu6)),
        "RELU_N1_TO_1" => unary::import(op, OpKind::Activation(Activation::ReluN1To1)),
        "RESIZE_NEAREST_NEIGHBOR" => resize::import(op),
        "SLICE" => slice::import_slice(op),
        "SOFTMAX" => softmax::import(op),
        "SPLIT" => slice::import_split(op),
        "SPLIT_V" => slice::import_split_v(op),
        "STRIDED_SLICE" => slice::import_strided(op),
        "SUB" => arithmetic::import(op, BinaryKind::Sub, Some(options_type::SUB)),
        "TANH" => unary::import(op, OpKind::Unary(Unary::Tanh)),
        "TRANSPOSE" => transpose::import(op),
        "TRANSPOSE_CONV" => transpose_conv::import(op),
        "UNIDIRECTIONAL_SEQUENCE_LSTM" => lstm::import(op),
        _ => unsupported(
            None,
            "no importer for this operator",
            format!(
                "a lowering of {} to integer hardware; supported are {SUPPORTED}",
                op.name
            ),
        ),
    }
}
