//! The crate's error type.

/// Why a board, a device or a constraint was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConstraintsError {
    /// No board of that name.
    #[error("unknown board `{name}`{}; known boards: {}", suggestion(.nearest), .known.join(", "))]
    UnknownBoard {
        /// Name that was asked for.
        name: String,
        /// Known name that resembles it, if one does.
        nearest: Option<String>,
        /// Every known name, in order.
        known: Vec<String>,
    },
    /// No device of that name.
    #[error("unknown device `{name}`{}; known devices: {}", suggestion(.nearest), .known.join(", "))]
    UnknownDevice {
        /// Name that was asked for.
        name: String,
        /// Known name that resembles it, if one does.
        nearest: Option<String>,
        /// Every known name, in order.
        known: Vec<String>,
    },
    /// A board file that is not TOML of the expected form: the parser's message.
    #[error("board file: {0}")]
    BoardSyntax(String),
    /// A board file whose values contradict each other or leave their range.
    #[error("board `{board}`: {problem}")]
    BoardValue {
        /// Name in the file.
        board: String,
        /// What is wrong, with found and wanted values.
        problem: String,
    },
    /// A clock that no Zynq-7000 logic can have.
    #[error("clock of {mhz} MHz: wanted a frequency from {min} to {max} MHz")]
    ClockOutOfRange {
        /// Frequency that was asked for, MHz.
        mhz: f64,
        /// Lowest accepted, MHz.
        min: f64,
        /// Highest accepted, MHz.
        max: f64,
    },
    /// A port name that is no plain Verilog identifier.
    #[error("`{0}` is no Verilog identifier: wanted a letter or `_`, then letters, digits, `_`")]
    BadIdentifier(String),
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or_else(String::new, |n| format!(" (did you mean `{n}`?)"))
}
