//! One importer per operator, and what they share.
//!
//! An importer checks operand count, types, ranks and shapes, so that lowering may rely on them,
//! and reads the options. Quantization parameters are judged later, in `macforge-quant`.

mod add;
mod conv2d;
mod depthwise_conv2d;
mod fully_connected;
mod lstm;
mod pool2d;
mod quantize;
mod relu;
mod reshape;
mod softmax;

use super::reader::{Field, Table};
use super::schema;
use crate::ModelError;
use crate::graph::{Activation, ElementType, OpKind, Padding, Tensor};

/// Why an operator is not imported.
pub(super) enum Refusal {
    /// The file contradicts itself: the whole import fails.
    Malformed(ModelError),
    /// Valid, but not supported: goes on the model's list.
    Unsupported {
        /// Tensor that shows it; the operator's first output if `None`.
        tensor: Option<usize>,
        found: String,
        needed: String,
    },
}

impl From<ModelError> for Refusal {
    fn from(error: ModelError) -> Self {
        Refusal::Malformed(error)
    }
}

fn unsupported<T>(
    tensor: Option<usize>,
    found: impl Into<String>,
    needed: impl Into<String>,
) -> Result<T, Refusal> {
    Err(Refusal::Unsupported {
        tensor,
        found: found.into(),
        needed: needed.into(),
    })
}

fn malformed<T>(at: &str, what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Malformed(ModelError::malformed(at, what)))
}

/// The operator that an importer looks at.
pub(super) struct OpContext<'a> {
    pub name: &'a str,
    pub table: Table<'a>,
    pub inputs: &'a [Option<usize>],
    pub outputs: &'a [usize],
    pub intermediates: &'a [Option<usize>],
    pub tensors: &'a [Tensor],
}

/// Chooses the importer by operator name.
pub(super) fn import(op: &OpContext<'_>) -> Result<OpKind, Refusal> {
    match op.name {
        "ADD" => add::import(op),
        "AVERAGE_POOL_2D" => Ok(OpKind::AveragePool2d(pool2d::import(op)?)),
        "CONV_2D" => conv2d::import(op),
        "DEPTHWISE_CONV_2D" => depthwise_conv2d::import(op),
        "DEQUANTIZE" => quantize::import_dequantize(op),
        "FULLY_CONNECTED" => fully_connected::import(op),
        "MAX_POOL_2D" => Ok(OpKind::MaxPool2d(pool2d::import(op)?)),
        "QUANTIZE" => quantize::import_quantize(op),
        "RELU" => relu::import(op, Activation::Relu),
        "RELU6" => relu::import(op, Activation::Relu6),
        "RELU_N1_TO_1" => relu::import(op, Activation::ReluN1To1),
        "RESHAPE" => reshape::import(op),
        "SOFTMAX" => softmax::import(op),
        "UNIDIRECTIONAL_SEQUENCE_LSTM" => lstm::import(op),
        _ => unsupported(
            None,
            "no importer for this operator",
            format!(
                "a lowering of {} to integer hardware; supported are ADD, AVERAGE_POOL_2D, CONV_2D, \
                 DEPTHWISE_CONV_2D, DEQUANTIZE, FULLY_CONNECTED, MAX_POOL_2D, QUANTIZE, RELU, RELU6, RELU_N1_TO_1, \
                 RESHAPE, SOFTMAX, UNIDIRECTIONAL_SEQUENCE_LSTM",
                op.name
            ),
        ),
    }
}

impl<'a> OpContext<'a> {
    fn tensor(&self, index: usize) -> &'a Tensor {
        &self.tensors[index]
    }

    /// Operand `position`; `None` where it is left out.
    fn operand(&self, position: usize) -> Option<usize> {
        self.inputs.get(position).copied().flatten()
    }

    /// A computed (not constant) operand.
    fn activation(&self, position: usize) -> Result<usize, Refusal> {
        let Some(index) = self.operand(position) else {
            return malformed("inputs", format!("{} has no input {position}", self.name));
        };
        if self.tensor(index).data.is_some() {
            return unsupported(
                Some(index),
                format!("input {position} is a constant"),
                "constant folding in the converter",
            );
        }
        Ok(index)
    }

    /// A computed int8 operand.
    fn int8_activation(&self, position: usize) -> Result<usize, Refusal> {
        let index = self.activation(position)?;
        self.expect_type(index, ElementType::I8)?;
        Ok(index)
    }

    /// A constant operand of the given type.
    fn constant(&self, position: usize, dtype: ElementType) -> Result<usize, Refusal> {
        let Some(index) = self.operand(position) else {
            return malformed("inputs", format!("{} has no input {position}", self.name));
        };
        self.expect_type(index, dtype)?;
        if self.tensor(index).data.is_none() {
            return unsupported(
                Some(index),
                format!("input {position} is computed at run time"),
                "a constant",
            );
        }
        Ok(index)
    }

    /// The single output.
    fn output(&self) -> Result<usize, Refusal> {
        match *self.outputs {
            [index] => Ok(index),
            _ => malformed(
                "outputs",
                format!("{} has {} outputs, wanted 1", self.name, self.outputs.len()),
            ),
        }
    }

    fn int8_output(&self) -> Result<usize, Refusal> {
        let index = self.output()?;
        self.expect_type(index, ElementType::I8)?;
        Ok(index)
    }

    fn expect_type(&self, index: usize, wanted: ElementType) -> Result<(), Refusal> {
        let found = self.tensor(index).dtype;
        if found == wanted {
            return Ok(());
        }
        unsupported(
            Some(index),
            format!("{found} tensor"),
            match found {
                ElementType::F32 => format!("{wanted}: a model with full integer quantization"),
                ElementType::U8 => format!("{wanted}: conversion with signed int8 quantization"),
                _ => format!("{wanted}"),
            },
        )
    }

    /// An image `[1, H, W, C]`.
    fn image(&self, index: usize) -> Result<[usize; 3], Refusal> {
        match *self.tensor(index).shape {
            [1, h, w, c] if h > 0 && w > 0 && c > 0 => Ok([h, w, c]),
            [_, h, w, c] if h > 0 && w > 0 && c > 0 => unsupported(
                Some(index),
                format!("shape {:?}", self.tensor(index).shape),
                "batch 1",
            ),
            _ => malformed(
                "inputs",
                format!(
                    "tensor `{}` has shape {:?}, wanted [1, H, W, C]",
                    self.tensor(index).name,
                    self.tensor(index).shape
                ),
            ),
        }
    }

    /// Two tensors must have one shape.
    fn expect_same_shape(&self, a: usize, b: usize) -> Result<(), Refusal> {
        let (a, b) = (self.tensor(a), self.tensor(b));
        if a.shape == b.shape {
            return Ok(());
        }
        malformed(
            "outputs",
            format!(
                "`{}` {:?} and `{}` {:?} differ in shape",
                a.name, a.shape, b.name, b.shape
            ),
        )
    }

    /// The options table, which must be of the given union type.
    fn options(&self, wanted: u8) -> Result<Table<'a>, Refusal> {
        let found: u8 = self.table.scalar(schema::operator::OPTIONS_TYPE, 0)?;
        match self.table.table(schema::operator::OPTIONS)? {
            Some(options) if found == wanted => Ok(options),
            _ => malformed(
                schema::operator::OPTIONS.name,
                format!("options of type {found}, {} needs type {wanted}", self.name),
            ),
        }
    }

    /// A fused activation; the ones that are no clamp are refused.
    fn fused(&self, options: Table<'_>, field: Field) -> Result<Activation, Refusal> {
        match options.scalar(field, 0i8)? {
            0 => Ok(Activation::None),
            1 => Ok(Activation::Relu),
            2 => Ok(Activation::ReluN1To1),
            3 => Ok(Activation::Relu6),
            4 => unsupported(None, "fused TANH", "NONE, RELU, RELU6 or RELU_N1_TO_1"),
            5 => unsupported(None, "fused SIGN_BIT", "NONE, RELU, RELU6 or RELU_N1_TO_1"),
            code => malformed(field.name, format!("unknown activation {code}")),
        }
    }

    fn padding(&self, options: Table<'_>, field: Field) -> Result<Padding, Refusal> {
        match options.scalar(field, 0i8)? {
            0 => Ok(Padding::Same),
            1 => Ok(Padding::Valid),
            code => malformed(field.name, format!("unknown padding {code}")),
        }
    }

    /// Optional bias operand 2: constant int32 `[channels]`.
    fn check_bias(&self, channels: usize) -> Result<(), Refusal> {
        if self.operand(2).is_none() {
            return Ok(());
        }
        let bias = self.constant(2, ElementType::I32)?;
        if self.tensor(bias).elements() == channels {
            return Ok(());
        }
        malformed(
            "inputs[2]",
            format!(
                "bias `{}` has shape {:?}, wanted [{channels}]",
                self.tensor(bias).name,
                self.tensor(bias).shape
            ),
        )
    }
}

/// A vertical and a horizontal option, both at least 1.
fn pair(options: Table<'_>, fields: [Field; 2], default: i32) -> Result<[usize; 2], Refusal> {
    let mut values = [0; 2];
    for (value, field) in values.iter_mut().zip(fields) {
        let read: i32 = options.scalar(field, default)?;
        match usize::try_from(read) {
            Ok(v) if v >= 1 => *value = v,
            _ => return malformed(field.name, format!("{read}, wanted at least 1")),
        }
    }
    Ok(values)
}

/// Checks the output size of a window operator against its input.
fn check_window(
    padding: Padding,
    input: [usize; 3],
    output: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> Result<(), Refusal> {
    for i in 0..2 {
        let expected = padding.output(input[i], kernel[i], stride[i], dilation[i]);
        if expected.map(|(size, _)| size) != Some(output[i]) {
            return malformed(
                "outputs[0]",
                format!(
                    "input {input:?}, kernel {kernel:?}, stride {stride:?}, dilation {dilation:?}, \
                     {padding:?} padding do not give output {output:?}"
                ),
            );
        }
    }
    Ok(())
}
