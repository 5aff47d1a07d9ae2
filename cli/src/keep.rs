//! Files that are written completely or not at all.

use miette::{IntoDiagnostic, Result, WrapErr};
use serde::Serialize;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Writes a JSON file; makes its folder if need be.
pub fn json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).into_diagnostic()? + "\n";
    bytes(path, text.as_bytes())
}

/// Writes a file; makes its folder if need be.
pub fn bytes(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        file.persist(path)?;
        Ok(())
    };
    write()
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write {}", path.display()))
}
