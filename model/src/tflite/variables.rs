//! Variables: resources named by `VAR_HANDLE`, given their first value by the subgraph that
//! `CALL_ONCE` runs.

use std::collections::BTreeMap;

use super::operator_at;
use super::reader::Table;
use super::schema::{self, call_once_options, options_type, var_handle_options};
use super::tensors::{self, Buffers};
use crate::ModelError;
use crate::graph::{Tensor, Variable};

/// The variables of a model, and which tensors of the main graph stand for them.
#[derive(Debug, Default)]
pub(super) struct Handles {
    /// In the order of their first handle; without those that have no first value.
    pub variables: Vec<Variable>,
    /// Handle tensor to index of the variable.
    by_tensor: BTreeMap<usize, usize>,
}

impl Handles {
    /// The variable behind a handle tensor, and its reset value.
    pub fn variable(&self, handle: usize) -> Option<(usize, &Tensor)> {
        let &index = self.by_tensor.get(&handle)?;
        Some((index, &self.variables[index].initial))
    }
}

/// Resource name as `(container, shared name)`.
type Name = (String, String);

/// Finds the variables of subgraph 0.
pub(super) fn find(
    subgraphs: super::reader::TableVector<'_>,
    names: &[String],
    buffers: &mut Buffers<'_>,
) -> Result<Handles, ModelError> {
    let main = subgraphs.get(0)?;
    let mut first_values = BTreeMap::new();
    let mut handles = Handles::default();
    let operators = main.tables(schema::subgraph::OPERATORS)?;
    let mut initialized = false;
    operators.map(|_, table| {
        if operator_at(&table, names)? == "CALL_ONCE" && !initialized {
            initialized = true;
            let index = options(&table, options_type::CALL_ONCE)?
                .map_or(Ok(0), |o| o.scalar(call_once_options::SUBGRAPH, 0i32))?;
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            first_values = constants_of(subgraphs.get(index)?, names, buffers)
                .map_err(|e| e.within(format!("subgraphs[{index}]")))?;
        }
        Ok(())
    })?;
    let mut by_name: BTreeMap<Name, usize> = BTreeMap::new();
    operators.map(|_, table| {
        let Some((name, tensor)) = handle(&table, names)? else {
            return Ok(());
        };
        if let Some(initial) = first_values.get(&name) {
            let variables = &mut handles.variables;
            let index = *by_name.entry(name.clone()).or_insert_with(|| {
                variables.push(Variable {
                    name: name.1.clone(),
                    initial: initial.clone(),
                });
                variables.len() - 1
            });
            handles.by_tensor.insert(tensor, index);
        }
        Ok(())
    })?;
    Ok(handles)
}

/// What the subgraph assigns: constants by variable name. Anything else in it is left out, and the
/// variables that depend on it are then without a first value.
fn constants_of(
    subgraph: Table<'_>,
    names: &[String],
    buffers: &mut Buffers<'_>,
) -> Result<BTreeMap<Name, Tensor>, ModelError> {
    let tensors = subgraph
        .tables(schema::subgraph::TENSORS)?
        .map(|_, table| tensors::read(table, buffers))?;
    let mut handles: BTreeMap<usize, Name> = BTreeMap::new();
    let mut found = BTreeMap::new();
    subgraph
        .tables(schema::subgraph::OPERATORS)?
        .map(|_, table| {
            if let Some((name, tensor)) = handle(&table, names)? {
                handles.insert(tensor, name);
            }
            if operator_at(&table, names)? == "ASSIGN_VARIABLE" {
                let inputs = table.scalars::<i32>(schema::operator::INPUTS)?;
                let input = |i: usize| inputs.get(i).and_then(|&t| usize::try_from(t).ok());
                let name = input(0).and_then(|t| handles.get(&t));
                let value = input(1).and_then(|t| tensors.get(t));
                if let (Some(name), Some(value)) = (name, value)
                    && value.data.is_some()
                {
                    found.insert(name.clone(), value.clone());
                }
            }
            Ok(())
        })?;
    Ok(found)
}

/// Name and output tensor of a `VAR_HANDLE`; `None` for other operators.
fn handle(table: &Table<'_>, names: &[String]) -> Result<Option<(Name, usize)>, ModelError> {
    if operator_at(table, names)? != "VAR_HANDLE" {
        return Ok(None);
    }
    let Some(options) = options(table, options_type::VAR_HANDLE)? else {
        return Ok(None);
    };
    let container = options.string(var_handle_options::CONTAINER)?;
    let name = options.string(var_handle_options::SHARED_NAME)?;
    let outputs = table.scalars::<i32>(schema::operator::OUTPUTS)?;
    let tensor = outputs.first().and_then(|&t| usize::try_from(t).ok());
    Ok(tensor.map(|tensor| ((container, name), tensor)))
}

/// The options table, if it is of the wanted type.
fn options<'a>(table: &Table<'a>, wanted: u8) -> Result<Option<Table<'a>>, ModelError> {
    let found: u8 = table.scalar(schema::operator::OPTIONS_TYPE, 0)?;
    let options = table.table(schema::operator::OPTIONS)?;
    Ok(options.filter(|_| found == wanted))
}
