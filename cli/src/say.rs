//! Standard output that survives a closed pipe (`macforge ... | head`).

use std::io::Write;

/// Writes text; when nobody reads any more, the command ends as if it had been read.
pub fn write(text: std::fmt::Arguments) {
    if let Err(error) = std::io::stdout().lock().write_fmt(text) {
        let code = if error.kind() == std::io::ErrorKind::BrokenPipe {
            0
        } else {
            2
        };
        std::process::exit(code);
    }
}

/// `print!` through [`write`].
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::say::write(format_args!($($arg)*)) };
}

/// `println!` through [`write`].
#[macro_export]
macro_rules! sayln {
    () => { $crate::say::write(format_args!("\n")) };
    ($($arg:tt)*) => { $crate::say::write(format_args!("{}\n", format_args!($($arg)*))) };
}
