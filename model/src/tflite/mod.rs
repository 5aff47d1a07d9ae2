//! TFLite flatbuffers (`.tflite`): one file per operator under `ops`.

mod builtin;
#[cfg(feature = "test-writer")]
pub mod corrupt;
#[cfg(feature = "test-writer")]
pub mod lstm_writer;
mod ops;
mod reader;
mod schema;
mod tensors;
mod variables;
#[cfg(feature = "test-writer")]
pub mod writer;

use crate::ModelError;
use crate::graph::{Format, Model, OpKind, Operator, Tensor, Unsupported};
use ops::{OpContext, Refusal};
use reader::{Buffer, Field, Table};
use tensors::Buffers;
use variables::Handles;

/// True where the bytes carry the TFLite file identifier.
pub(crate) fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

/// Reads the main graph (subgraph 0) of a TFLite file and names the model `name`.
///
/// # Errors
/// As [`crate::from_bytes`].
pub fn import(name: &str, bytes: &[u8]) -> Result<Model, ModelError> {
    let buffer = Buffer::new(bytes);
    let root = buffer.root().map_err(|e| e.within("root"))?;
    let version = root.scalar(schema::model::VERSION, 0u32)?;
    if version != schema::VERSION {
        return Err(ModelError::malformed(
            schema::model::VERSION.name,
            format!("schema version {version}, wanted {}", schema::VERSION),
        ));
    }
    let names = root
        .tables(schema::model::OPERATOR_CODES)?
        .map(|_, table| operator_name(table))?;
    let mut buffers = Buffers::new(root.tables(schema::model::BUFFERS)?);
    let subgraphs = root.tables(schema::model::SUBGRAPHS)?;
    let handles = variables::find(subgraphs, &names, &mut buffers)?;
    let subgraph = subgraphs.get(0)?;
    let mut model = Model {
        name: name.to_string(),
        format: Format::TfLite,
        description: root.string(schema::model::DESCRIPTION)?,
        tensors: Vec::new(),
        operators: Vec::new(),
        variables: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        unsupported: Vec::new(),
    };
    read_subgraph(&mut model, subgraph, &names, &mut buffers, &handles)
        .map_err(|e| e.within("subgraphs[0]"))?;
    model.variables = handles.variables;
    Ok(model)
}

/// Name behind an entry of `operator_codes`.
fn operator_name(table: Table<'_>) -> Result<String, ModelError> {
    let old: i8 = table.scalar(schema::operator_code::DEPRECATED_BUILTIN_CODE, 0)?;
    let new: i32 = table.scalar(schema::operator_code::BUILTIN_CODE, 0)?;
    // Codes above 127 live only in the new field, which older writers leave at 0.
    let code = new.max(old.into());
    if code == builtin::CUSTOM {
        let custom = table.string(schema::operator_code::CUSTOM_CODE)?;
        if !custom.is_empty() {
            return Ok(custom);
        }
    }
    Ok(builtin::builtin_name(code))
}

fn read_subgraph(
    model: &mut Model,
    subgraph: Table<'_>,
    names: &[String],
    buffers: &mut Buffers<'_>,
    handles: &Handles,
) -> Result<(), ModelError> {
    model.tensors = subgraph
        .tables(schema::subgraph::TENSORS)?
        .map(|_, table| tensors::read(table, buffers))?;
    model.inputs = required_tensors(&subgraph, schema::subgraph::INPUTS, model.tensors.len())?;
    model.outputs = required_tensors(&subgraph, schema::subgraph::OUTPUTS, model.tensors.len())?;
    let mut unsupported = Vec::new();
    let tensors = &model.tensors;
    model.operators = subgraph
        .tables(schema::subgraph::OPERATORS)?
        .map(|index, table| {
            let (operator, refused) = read_operator(index, table, names, tensors, handles)?;
            unsupported.extend(refused);
            Ok(operator)
        })?;
    model.unsupported = unsupported;
    Ok(())
}

/// Reads one operator; a refusal makes it [`OpKind::Unsupported`] with an entry for the list.
fn read_operator(
    index: usize,
    table: Table<'_>,
    names: &[String],
    tensors: &[Tensor],
    handles: &Handles,
) -> Result<(Operator, Option<Unsupported>), ModelError> {
    let name = operator_at(&table, names)?.to_string();
    let inputs = optional_tensors(&table, schema::operator::INPUTS, tensors.len())?;
    let outputs = required_tensors(&table, schema::operator::OUTPUTS, tensors.len())?;
    let intermediates = optional_tensors(&table, schema::operator::INTERMEDIATES, tensors.len())?;
    let context = OpContext {
        name: &name,
        table,
        inputs: &inputs,
        outputs: &outputs,
        intermediates: &intermediates,
        tensors,
        handles,
    };
    let (kind, refused) = match ops::import(&context) {
        Ok(kind) => (kind, None),
        Err(Refusal::Malformed(error)) => return Err(error),
        Err(Refusal::Unsupported {
            tensor,
            found,
            needed,
        }) => {
            let tensor = tensor.or(outputs.first().copied());
            let entry = Unsupported {
                operator: index,
                name: name.clone(),
                tensor: tensor.map(|t| tensors[t].name.clone()).unwrap_or_default(),
                found,
                needed,
            };
            (OpKind::Unsupported, Some(entry))
        }
    };
    let operator = Operator {
        name,
        inputs,
        outputs,
        kind,
    };
    Ok((operator, refused))
}

/// Name of an operator.
fn operator_at<'n>(table: &Table<'_>, names: &'n [String]) -> Result<&'n str, ModelError> {
    let code = table.scalar(schema::operator::OPCODE_INDEX, 0u32)? as usize;
    names.get(code).map(String::as_str).ok_or_else(|| {
        ModelError::malformed(
            schema::operator::OPCODE_INDEX.name,
            format!("{code}, but there are {} operator codes", names.len()),
        )
    })
}

/// Tensor indices where -1 stands for an operand left out.
fn optional_tensors(
    table: &Table<'_>,
    field: Field,
    count: usize,
) -> Result<Vec<Option<usize>>, ModelError> {
    let indices = table.scalars::<i32>(field)?;
    let check = |(i, &index): (usize, &i32)| match usize::try_from(index) {
        Err(_) if index == -1 => Ok(None),
        Ok(index) if index < count => Ok(Some(index)),
        _ => Err(ModelError::malformed(
            format!("{}[{i}]", field.name),
            format!("tensor {index}, but there are {count}"),
        )),
    };
    indices.iter().enumerate().map(check).collect()
}

/// Tensor indices, all of them given.
fn required_tensors(
    table: &Table<'_>,
    field: Field,
    count: usize,
) -> Result<Vec<usize>, ModelError> {
    let indices = optional_tensors(table, field, count)?;
    let given = |(i, index): (usize, Option<usize>)| {
        index
            .ok_or_else(|| ModelError::malformed(format!("{}[{i}]", field.name), "no tensor given"))
    };
    indices.into_iter().enumerate().map(given).collect()
}
