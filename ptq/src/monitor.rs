//! Progress and cancellation.

use crate::PtqError;

/// Is told of every step, and may stop the work.
pub trait Monitor {
    /// A stage of `steps` steps begins.
    fn stage(&mut self, name: &str, steps: usize);
    /// One step is done; false stops the work.
    fn step(&mut self) -> bool;
}

/// Says nothing and never stops.
pub struct Silent;

impl Monitor for Silent {
    fn stage(&mut self, _: &str, _: usize) {}
    fn step(&mut self) -> bool {
        true
    }
}

/// A step, or [`PtqError::Cancelled`].
pub(crate) fn step(monitor: &mut dyn Monitor) -> Result<(), PtqError> {
    if monitor.step() {
        Ok(())
    } else {
        Err(PtqError::Cancelled)
    }
}
