//! Variables of the model as states of the graph.

use macforge_model::Model;

use crate::QuantError;
use crate::graph::{QState, TensorId};

/// What is known of each variable while operators are lowered in order.
pub(super) struct Variables {
    variables: Vec<Uses>,
}

#[derive(Clone, Default)]
struct Uses {
    /// The tensor that holds the old value.
    read: Option<TensorId>,
    /// The newest value.
    newest: Option<TensorId>,
}

impl Variables {
    pub fn new(model: &Model) -> Self {
        Self {
            variables: vec![Uses::default(); model.variables.len()],
        }
    }

    /// The tensor that a read gives at this point, where one exists already.
    pub fn value(&self, variable: usize) -> Option<TensorId> {
        let uses = &self.variables[variable];
        uses.newest.or(uses.read)
    }

    /// A read has given `id`.
    pub fn read(&mut self, variable: usize, id: TensorId) {
        let uses = &mut self.variables[variable];
        if uses.newest.is_none() {
            uses.read = Some(id);
        }
    }

    pub fn assign(&mut self, variable: usize, id: TensorId) {
        self.variables[variable].newest = Some(id);
    }

    /// The variables whose old value matters; one that is never assigned keeps its value.
    ///
    /// # Errors
    /// Their values are too large together.
    pub fn states(&self, model: &Model) -> Result<Vec<QState>, QuantError> {
        let with_value = || self.variables.iter().zip(&model.variables);
        let read = with_value().filter(|(uses, _)| uses.read.is_some());
        let elements = read.map(|(_, variable)| variable.initial.elements());
        if elements.fold(0, usize::saturating_add) > super::MAX_WEIGHT_BYTES {
            return Err(QuantError::Parameter {
                node: "variables".into(),
                found: format!("more than {} bytes of values", super::MAX_WEIGHT_BYTES),
                wanted: "a model that fits the board's memory".into(),
            });
        }
        let states = with_value()
            .filter_map(|(uses, variable)| {
                let read = uses.read?;
                Some(QState {
                    read,
                    write: uses.newest.unwrap_or(read),
                    initial: variable.initial.as_i8()?,
                })
            })
            .collect();
        Ok(states)
    }
}
