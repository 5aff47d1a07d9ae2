//! Writes small `.tflite` files in memory, for tests of this crate and the ones behind it.
//!
//! The official flatbuffers builder does the encoding, so the importer is tested against files
//! that it did not shape itself. Operands may be inconsistent on purpose: nothing is checked.

mod options;

use flatbuffers::{FlatBufferBuilder, Push, TableFinishedWIPOffset, WIPOffset};

pub use options::{Fused, Options};

use super::builtin::{self, builtin_code};
use super::reader::Field;
use super::schema;

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
    /// Reference to a variable.
    pub const RESOURCE: i8 = 13;
    /// Signed 4-bit integer, two to a byte.
    pub const I4: i8 = 17;
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
    /// The second subgraph, which gives variables their first values.
    initialization: Option<Box<ModelWriter>>,
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

    /// Adds a variable with its first value, and a handle of it; gives the handle. All variables
    /// come before other operators.
    pub fn variable(&mut self, name: &'static str, initial: TensorSpec) -> i32 {
        let resource = || TensorSpec {
            name: name.into(),
            element_type: element::RESOURCE,
            ..Default::default()
        };
        if self.initialization.is_none() {
            self.operator("CALL_ONCE", &[], &[], Options::CallOnce(1));
        }
        let other = self.initialization.get_or_insert_default();
        let handle = other.tensor(resource());
        let value = other.tensor(initial);
        other.operator("VAR_HANDLE", &[], &[handle], Options::VarHandle(name));
        other.operator("ASSIGN_VARIABLE", &[handle, value], &[], Options::None);
        let handle = self.tensor(resource());
        self.operator("VAR_HANDLE", &[], &[handle], Options::VarHandle(name));
        handle
    }

    /// Sets the graph's inputs and outputs and encodes the file.
    pub fn finish(mut self, inputs: &[i32], outputs: &[i32]) -> Vec<u8> {
        self.inputs = inputs.into();
        self.outputs = outputs.into();
        let graphs: Vec<&ModelWriter> = [&self]
            .into_iter()
            .chain(self.initialization.as_deref())
            .collect();
        let mut fbb = FlatBufferBuilder::new();
        // Every operator has a code of its own. Buffer 0 is the empty one, then one per tensor.
        let operators = graphs.iter().flat_map(|g| &g.operators);
        let codes: Tables = operators
            .map(|op| operator_code(&mut fbb, &op.name))
            .collect();
        let codes = fbb.create_vector(&codes);
        let tensors = graphs.iter().flat_map(|g| &g.tensors);
        let mut buffers: Tables = vec![buffer(&mut fbb, &[])];
        buffers.extend(tensors.map(|t| buffer(&mut fbb, &t.data)));
        let buffers = fbb.create_vector(&buffers);
        let (mut code, mut buffer) = (0, 1);
        let mut subgraphs = Vec::new();
        for graph in graphs {
            subgraphs.push(graph.subgraph(&mut fbb, code, buffer));
            code += graph.operators.len() as u32;
            buffer += graph.tensors.len() as u32;
        }
        let subgraphs = fbb.create_vector(&subgraphs);
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

    /// `code` and `buffer`: those of the first operator and the first tensor.
    fn subgraph(
        &self,
        fbb: &mut FlatBufferBuilder<'_>,
        code: u32,
        buffer: u32,
    ) -> WIPOffset<TableFinishedWIPOffset> {
        let tensors: Tables = (self.tensors.iter().zip(buffer..))
            .map(|(t, buffer)| tensor(fbb, t, buffer))
            .collect();
        let tensors = fbb.create_vector(&tensors);
        let operators: Tables = (self.operators.iter().zip(code..))
            .map(|(op, code)| operator(fbb, op, code))
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
    let options = options::table(fbb, spec.options);
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
