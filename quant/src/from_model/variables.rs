//! Variables of the model as states of the graph.

use macforge_model::Model;

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
    pub fn states(&self, model: &Model) -> Vec<QState> {
        let with_value = self.variables.iter().zip(&model.variables);
        with_value
            .filter_map(|(uses, variable)| {
                let read = uses.read?;
                Some(QState {
                    read,
                    write: uses.newest.unwrap_or(read),
                    initial: variable.initial.as_i8()?,
                })
            })
            .collect()
    }
}
