//! Writes small `.tflite` files in memory, for tests of this crate and the ones behind it.
//!
//! The official flatbuffers builder does the encoding, so the importer is tested against files
//! that it did not shape itself. Operands may be inconsistent on purpose: nothing is checked.

use flatbuffers::{FlatBufferBuilder, Push, TableFinishedWIPOffset, WIPOffset};

use super::builtin::{self, builtin_code};
use super::reader::Field;
use super::schema::{self, options_type};

/// `enum TensorType` codes for [`TensorSpec::element_type`].
pub mod element {
    /// IEEE single precision.
    pub const F32: i8 = 0;
    /// Signed 32-bit integer.
    pub const I32: i8 = 2;
    /// Unsigned 8-bit integer.
    pub const U8: i8 = 3;
    /// Signed 16-bit integer.
    pub const I16: i8 = 7;
    /// Signed 8-bit integer.
    pub const I8: i8 = 9;
}

/// One tensor, all fields as they go into the file.
#[derive(Clone, Debug, Default)]
pub struct TensorSpec {
    /// Name.
    pub name: String,
    /// Shape, batch included.
    pub shape: Vec<i32>,
    /// A code of [`element`].
    pub element_type: i8,
    /// Scales; empty for a tensor that is not quantized.
    pub scale: Vec<f32>,
    /// Zero points, as many as scales.
    pub zero_point: Vec<i64>,
    /// Quantized dimension.
    pub dimension: i32,
    /// Constant bytes; empty for a variable.
    pub data: Vec<u8>,
}

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
    /// `SoftmaxOptions`, with beta.
    Softmax(f32),
    /// `UnidirectionalSequenceLSTMOptions`, batch major.
    Lstm {
        /// Bound of the cell state.
        cell_clip: f32,
        /// Tensor for all five intermediates.
        hidden: i32,
    },
}

#[derive(Clone, Debug)]
struct OperatorSpec {
    name: String,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
    options: Options,
}

/// A model under construction; tensors and operators are numbered in the order they are added.
#[derive(Clone, Debug, Default)]
pub struct ModelWriter {
    tensors: Vec<TensorSpec>,
    operators: Vec<OperatorSpec>,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
}

type Tables = Vec<WIPOffset<TableFinishedWIPOffset>>;

impl ModelWriter {
    /// An empty model.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor as specified; gives its index.
    pub fn tensor(&mut self, spec: TensorSpec) -> i32 {
        self.tensors.push(spec);
        self.tensors.len() as i32 - 1
    }

    /// Adds a computed int8 tensor.
    pub fn int8(&mut self, name: &str, shape: &[i32], scale: f32, zero_point: i64) -> i32 {
        self.tensor(TensorSpec {
            name: name.into(),
            shape: shape.into(),
            element_type: element::I8,
            scale: vec![scale],
            zero_point: vec![zero_point],
            ..Default::default()
        })
    }

    /// Adds a computed float32 tensor.
    pub fn float(&mut self, name: &str, shape: &[i32]) -> i32 {
        self.tensor(TensorSpec {
            name: name.into(),
            shape: shape.into(),
            element_type: element::F32,
            ..Default::default()
        })
    }

    /// Adds constant int8 weights, zero points 0; several scales run along dimension 0.
    pub fn weights(&mut self, name: &str, shape: &[i32], scale: &[f32], data: &[i8]) -> i32 {
        self.weights_along(0, name, shape, scale, data)
    }

    /// The same with several scales along dimension `dimension`.
    pub fn weights_along(
        &mut self,
        dimension: i32,
        name: &str,
        shape: &[i32],
        scale: &[f32],
        data: &[i8],
    ) -> i32 {
        self.tensor(TensorSpec {
            name: name.into(),
            shape: shape.into(),
            element_type: element::I8,
            scale: scale.into(),
            zero_point: vec![0; scale.len()],
            dimension,
            data: data.iter().map(|&w| w.cast_unsigned()).collect(),
        })
    }

    /// Adds a constant int32 vector: a bias with its scales, or a shape with none.
    pub fn int32(&mut self, name: &str, scale: &[f32], data: &[i32]) -> i32 {
        self.tensor(TensorSpec {
            name: name.into(),
            shape: vec![data.len() as i32],
            element_type: element::I32,
            scale: scale.into(),
            zero_point: vec![0; scale.len()],
            data: data.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..Default::default()
        })
    }

    /// Adds an operator by its builtin name; other names become custom operators. Input -1 is an
    /// operand left out.
    pub fn operator(&mut self, name: &str, inputs: &[i32], outputs: &[i32], options: Options) {
        self.operators.push(OperatorSpec {
            name: name.into(),
            inputs: inputs.into(),
            outputs: outputs.into(),
            options,
        });
    }

    /// Sets the graph's inputs and outputs and encodes the file.
    pub fn finish(mut self, inputs: &[i32], outputs: &[i32]) -> Vec<u8> {
        self.inputs = inputs.into();
        self.outputs = outputs.into();
        let mut fbb = FlatBufferBuilder::new();
        let codes: Tables = (self.operators.iter())
            .map(|op| operator_code(&mut fbb, &op.name))
            .collect();
        let codes = fbb.create_vector(&codes);
        // Buffer 0 is the empty one, buffer i + 1 belongs to tensor i.
        let mut buffers: Tables = vec![buffer(&mut fbb, &[])];
        buffers.extend(self.tensors.iter().map(|t| buffer(&mut fbb, &t.data)));
        let buffers = fbb.create_vector(&buffers);
        let subgraph = self.subgraph(&mut fbb);
        let subgraphs = fbb.create_vector(&[subgraph]);
        let description = fbb.create_string("written by macforge's test writer");
        let start = fbb.start_table();
        put(&mut fbb, schema::model::VERSION, schema::VERSION);
        put(&mut fbb, schema::model::OPERATOR_CODES, codes);
        put(&mut fbb, schema::model::SUBGRAPHS, subgraphs);
        put(&mut fbb, schema::model::DESCRIPTION, description);
        put(&mut fbb, schema::model::BUFFERS, buffers);
        let root = fbb.end_table(start);
        fbb.finish(root, Some("TFL3"));
        fbb.finished_data().to_vec()
    }

    fn subgraph(&self, fbb: &mut FlatBufferBuilder<'_>) -> WIPOffset<TableFinishedWIPOffset> {
        let tensors: Tables = (self.tensors.iter().enumerate())
            .map(|(i, t)| tensor(fbb, t, i as u32 + 1))
            .collect();
        let tensors = fbb.create_vector(&tensors);
        let operators: Tables = (self.operators.iter().enumerate())
            .map(|(i, op)| operator(fbb, op, i as u32))
            .collect();
        let operators = fbb.create_vector(&operators);
        let inputs = fbb.create_vector(&self.inputs);
        let outputs = fbb.create_vector(&self.outputs);
        let start = fbb.start_table();
        put(fbb, schema::subgraph::TENSORS, tensors);
        put(fbb, schema::subgraph::INPUTS, inputs);
        put(fbb, schema::subgraph::OUTPUTS, outputs);
        put(fbb, schema::subgraph::OPERATORS, operators);
        fbb.end_table(start)
    }
}

/// Writes a field into the table that is being built.
fn put(fbb: &mut FlatBufferBuilder<'_>, field: Field, value: impl Push) {
    fbb.push_slot_always(4 + 2 * field.id, value);
}

fn buffer(fbb: &mut FlatBufferBuilder<'_>, data: &[u8]) -> WIPOffset<TableFinishedWIPOffset> {
    let data = (!data.is_empty()).then(|| fbb.create_vector(data));
    let start = fbb.start_table();
    if let Some(data) = data {
        put(fbb, schema::buffer::DATA, data);
    }
    fbb.end_table(start)
}

fn operator_code(fbb: &mut FlatBufferBuilder<'_>, name: &str) -> WIPOffset<TableFinishedWIPOffset> {
    let code = builtin_code(name);
    let custom = code.is_none().then(|| fbb.create_string(name));
    let code = code.unwrap_or(builtin::CUSTOM);
    let start = fbb.start_table();
    put(
        fbb,
        schema::operator_code::DEPRECATED_BUILTIN_CODE,
        code.min(127) as i8,
    );
    put(fbb, schema::operator_code::BUILTIN_CODE, code);
    if let Some(custom) = custom {
        put(fbb, schema::operator_code::CUSTOM_CODE, custom);
    }
    fbb.end_table(start)
}

fn tensor(
    fbb: &mut FlatBufferBuilder<'_>,
    spec: &TensorSpec,
    buffer: u32,
) -> WIPOffset<TableFinishedWIPOffset> {
    let name = fbb.create_string(&spec.name);
    let shape = fbb.create_vector(&spec.shape);
    let quantization = (!spec.scale.is_empty()).then(|| {
        let scale = fbb.create_vector(&spec.scale);
        let zero_point = fbb.create_vector(&spec.zero_point);
        let start = fbb.start_table();
        put(fbb, schema::quantization::SCALE, scale);
        put(fbb, schema::quantization::ZERO_POINT, zero_point);
        put(fbb, schema::quantization::DIMENSION, spec.dimension);
        fbb.end_table(start)
    });
    let start = fbb.start_table();
    put(fbb, schema::tensor::SHAPE, shape);
    put(fbb, schema::tensor::TYPE, spec.element_type);
    put(fbb, schema::tensor::BUFFER, buffer);
    put(fbb, schema::tensor::NAME, name);
    if let Some(quantization) = quantization {
        put(fbb, schema::tensor::QUANTIZATION, quantization);
    }
    fbb.end_table(start)
}

fn operator(
    fbb: &mut FlatBufferBuilder<'_>,
    spec: &OperatorSpec,
    opcode_index: u32,
) -> WIPOffset<TableFinishedWIPOffset> {
    let inputs = fbb.create_vector(&spec.inputs);
    let outputs = fbb.create_vector(&spec.outputs);
    let options = options(fbb, spec.options);
    let intermediates = match spec.options {
        Options::Lstm { hidden, .. } => Some(fbb.create_vector(&[hidden; 5])),
        _ => None,
    };
    let start = fbb.start_table();
    put(fbb, schema::operator::OPCODE_INDEX, opcode_index);
    put(fbb, schema::operator::INPUTS, inputs);
    put(fbb, schema::operator::OUTPUTS, outputs);
    if let Some((kind, options)) = options {
        put(fbb, schema::operator::OPTIONS_TYPE, kind);
        put(fbb, schema::operator::OPTIONS, options);
    }
    if let Some(intermediates) = intermediates {
        put(fbb, schema::operator::INTERMEDIATES, intermediates);
    }
    fbb.end_table(start)
}

fn options(
    fbb: &mut FlatBufferBuilder<'_>,
    options: Options,
) -> Option<(u8, WIPOffset<TableFinishedWIPOffset>)> {
    let padding = |same: bool| if same { 0i8 } else { 1 };
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
            put(fbb, f::STRIDE_W, stride[1]);
            put(fbb, f::STRIDE_H, stride[0]);
            put(fbb, f::ACTIVATION, fused as i8);
            put(fbb, f::DILATION_W, dilation[1]);
            put(fbb, f::DILATION_H, dilation[0]);
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
        Options::Add(fused) => {
            put(fbb, schema::add_options::ACTIVATION, fused as i8);
            options_type::ADD
        }
        Options::Lstm { cell_clip, .. } => {
            use schema::unidirectional_sequence_lstm_options as f;
            put(fbb, f::ACTIVATION, 4i8);
            put(fbb, f::CELL_CLIP, cell_clip);
            options_type::UNIDIRECTIONAL_SEQUENCE_LSTM
        }
        Options::Softmax(beta) => {
            put(fbb, schema::softmax_options::BETA, beta);
            options_type::SOFTMAX
        }
    };
    let table = fbb.end_table(start);
    (kind != 0).then_some((kind, table))
}
