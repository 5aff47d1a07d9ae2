//! Inferences in sequence: a graph's states keep their values in between.

use macforge_quant::QGraph;

use crate::error::ReferenceError;
use crate::run::{Interpreter, Run, reset_values};
use crate::value::Value;

/// A graph and the values of its states.
pub struct Session<'g> {
    interpreter: Interpreter<'g>,
    /// In the order of `graph.states`.
    states: Vec<Value>,
}

impl<'g> Session<'g> {
    /// A session with all states at their reset values.
    ///
    /// # Errors
    /// A reset value does not fit its tensor.
    pub fn new(graph: &'g QGraph) -> Result<Self, ReferenceError> {
        Ok(Self {
            interpreter: Interpreter::new(graph),
            states: reset_values(graph)?,
        })
    }

    /// One inference, see [`Interpreter::run`]; its new values are the states of the next one.
    ///
    /// # Errors
    /// As [`Interpreter::run`]; the states then stay as they were.
    pub fn run(&mut self, inputs: &[Value]) -> Result<Run, ReferenceError> {
        let run = self.interpreter.run_from(&self.states, inputs)?;
        let graph = self.interpreter.graph();
        let new_value = |state: &macforge_quant::QState| {
            let missing = || ReferenceError::MissingInput {
                node: format!("state {}", graph.tensor(state.read).name),
                index: 0,
            };
            run.tensors[state.write.0].clone().ok_or_else(missing)
        };
        self.states = graph
            .states
            .iter()
            .map(new_value)
            .collect::<Result<_, _>>()?;
        Ok(run)
    }

    /// Gives all states their reset values.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn reset(&mut self) -> Result<(), ReferenceError> {
        self.states = reset_values(self.interpreter.graph())?;
        Ok(())
    }
}
