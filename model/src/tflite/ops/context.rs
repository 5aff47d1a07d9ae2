//! What the importers share: access to operands, constants and options, with their checks.

use crate::ModelError;
use crate::graph::{Activation, ElementType, Padding, Tensor};
use crate::tflite::reader::{Field, Table};
use crate::tflite::schema;
use crate::tflite::variables::Handles;

/// Why an operator is not imported.
pub(in crate::tflite) enum Refusal {
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

pub(super) fn unsupported<T>(
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

pub(super) fn malformed<T>(at: &str, what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Malformed(ModelError::malformed(at, what)))
}

/// The operator that an importer looks at.
pub(in crate::tflite) struct OpContext<'a> {
    pub name: &'a str,
    pub table: Table<'a>,
    pub inputs: &'a [Option<usize>],
    pub outputs: &'a [usize],
    pub intermediates: &'a [Option<usize>],
    pub tensors: &'a [Tensor],
    /// Which tensors are handles of variables.
    pub handles: &'a Handles,
}

impl<'a> OpContext<'a> {
    pub(super) fn tensor(&self, index: usize) -> &'a Tensor {
        &self.tensors[index]
    }

    /// Operand `position`; `None` where it is left out.
    pub(super) fn operand(&self, position: usize) -> Option<usize> {
        self.inputs.get(position).copied().flatten()
    }

    /// A computed (not constant) operand.
    pub(super) fn activation(&self, position: usize) -> Result<usize, Refusal> {
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

    /// A computed int8 or uint8 operand.
    pub(super) fn activation8(&self, position: usize) -> Result<usize, Refusal> {
        let index = self.activation(position)?;
        self.expect_8_bits(index)?;
        if self.tensor(index).elements() == 0 {
            let shape = &self.tensor(index).shape;
            return malformed("inputs", format!("input {position} of shape {shape:?}"));
        }
        Ok(index)
    }

    /// Constant weights of 4 or 8 bits; unsigned ones only with unsigned activations.
    pub(super) fn weights(&self, position: usize, activation: usize) -> Result<usize, Refusal> {
        let index = self.any_constant(position)?;
        let (found, like) = (self.tensor(index).dtype, self.tensor(activation).dtype);
        match (like, found) {
            (ElementType::U8, ElementType::U8)
            | (ElementType::I8, ElementType::I8 | ElementType::I4) => Ok(index),
            (ElementType::U8, _) => self.wrong_type(index, "uint8, like the input"),
            _ => self.wrong_type(index, "int8 or int4"),
        }
    }

    /// A constant vector (or scalar) of int32 or int64.
    pub(super) fn integers(&self, position: usize) -> Result<Vec<i64>, Refusal> {
        let index = self.any_constant(position)?;
        let tensor = self.tensor(index);
        match tensor.as_integers() {
            Some(values) => Ok(values),
            None => self.wrong_type(index, "int32 or int64"),
        }
    }

    /// A constant axis of a tensor of this rank; negative ones count from the end.
    pub(super) fn axis(&self, value: i64, rank: usize) -> Result<usize, Refusal> {
        let from_front = if value < 0 {
            value + rank as i64
        } else {
            value
        };
        match usize::try_from(from_front) {
            Ok(axis) if axis < rank => Ok(axis),
            _ => malformed("axis", format!("{value}, but there are {rank} dimensions")),
        }
    }

    fn any_constant(&self, position: usize) -> Result<usize, Refusal> {
        let Some(index) = self.operand(position) else {
            return malformed("inputs", format!("{} has no input {position}", self.name));
        };
        if self.tensor(index).data.is_some() {
            return Ok(index);
        }
        unsupported(
            Some(index),
            format!("input {position} is computed at run time"),
            "a constant",
        )
    }

    /// A constant operand of the given type.
    pub(super) fn constant(&self, position: usize, dtype: ElementType) -> Result<usize, Refusal> {
        let index = self.any_constant(position)?;
        self.expect_type(index, dtype)?;
        Ok(index)
    }

    /// The single output.
    pub(super) fn output(&self) -> Result<usize, Refusal> {
        match *self.outputs {
            [index] => Ok(index),
            _ => malformed(
                "outputs",
                format!("{} has {} outputs, wanted 1", self.name, self.outputs.len()),
            ),
        }
    }

    /// The single output, of the same type as input tensor `like`.
    pub(super) fn output_like(&self, like: usize) -> Result<usize, Refusal> {
        let index = self.output()?;
        self.expect_type(index, self.tensor(like).dtype)?;
        Ok(index)
    }

    pub(super) fn expect_type(&self, index: usize, wanted: ElementType) -> Result<(), Refusal> {
        if self.tensor(index).dtype == wanted {
            return Ok(());
        }
        self.wrong_type(index, wanted)
    }

    pub(super) fn expect_8_bits(&self, index: usize) -> Result<(), Refusal> {
        match self.tensor(index).dtype {
            ElementType::I8 | ElementType::U8 => Ok(()),
            _ => self.wrong_type(index, "int8 or uint8"),
        }
    }

    fn wrong_type<T>(&self, index: usize, wanted: impl std::fmt::Display) -> Result<T, Refusal> {
        let found = self.tensor(index).dtype;
        let needed = match found {
            ElementType::F32 => format!("{wanted}: a model with full integer quantization"),
            ElementType::I16 => format!("{wanted}: conversion with 8-bit activations"),
            _ => wanted.to_string(),
        };
        unsupported(Some(index), format!("{found} tensor"), needed)
    }

    /// An image `[1, H, W, C]`.
    pub(super) fn image(&self, index: usize) -> Result<[usize; 3], Refusal> {
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
    pub(super) fn expect_same_shape(&self, a: usize, b: usize) -> Result<(), Refusal> {
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
    pub(super) fn options(&self, wanted: u8) -> Result<Table<'a>, Refusal> {
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
    pub(super) fn fused(&self, options: Table<'_>, field: Field) -> Result<Activation, Refusal> {
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

    pub(super) fn padding(&self, options: Table<'_>, field: Field) -> Result<Padding, Refusal> {
        match options.scalar(field, 0i8)? {
            0 => Ok(Padding::Same),
            1 => Ok(Padding::Valid),
            code => malformed(field.name, format!("unknown padding {code}")),
        }
    }

    /// Optional bias operand: constant int32 `[channels]`.
    pub(super) fn check_bias(&self, position: usize, channels: usize) -> Result<(), Refusal> {
        if self.operand(position).is_none() {
            return Ok(());
        }
        let bias = self.constant(position, ElementType::I32)?;
        if self.tensor(bias).elements() == channels {
            return Ok(());
        }
        malformed(
            &format!("inputs[{position}]"),
            format!(
                "bias `{}` has shape {:?}, wanted [{channels}]",
                self.tensor(bias).name,
                self.tensor(bias).shape
            ),
        )
    }
}

/// A vertical and a horizontal option, both at least 1.
pub(super) fn pair(
    options: Table<'_>,
    fields: [Field; 2],
    default: i32,
) -> Result<[usize; 2], Refusal> {
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
pub(super) fn check_window(
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
