//! The files of a design and their way to disk: completely or not at all.

use crate::error::CodegenError;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files by path relative to the design folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<String, Vec<u8>>,
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

impl Bundle {
    /// Adds or replaces a file.
    pub fn add(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), content.into());
    }

    /// Content of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Paths in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// SHA-256 of every file.
    pub fn digests(&self) -> BTreeMap<String, String> {
        self.files
            .iter()
            .map(|(path, content)| (path.clone(), sha256(content)))
            .collect()
    }

    /// Writes all files into a new folder beside `dir` and puts it in `dir`'s place at the end.
    ///
    /// # Errors
    /// `dir` holds something else, or the disk refuses; nothing half-written stays.
    pub fn write(&self, dir: &Path) -> Result<(), CodegenError> {
        let replaced = check_target(dir)?;
        let parent = match dir.parent() {
            Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
            _ => PathBuf::from("."),
        };
        fs::create_dir_all(&parent).map_err(|source| io(&parent, source))?;
        let staging = tempfile::Builder::new()
            .prefix(".macforge-")
            .tempdir_in(&parent)
            .map_err(|source| io(&parent, source))?;
        let staged = staging.path().join("design");
        for (path, content) in &self.files {
            let target = staged.join(path);
            let folder = target.parent().expect("a file lies in a folder");
            fs::create_dir_all(folder).map_err(|source| io(folder, source))?;
            fs::write(&target, content).map_err(|source| io(&target, source))?;
        }
        // the old design leaves only when the new one is complete
        let old = staging.path().join("old");
        if replaced {
            fs::rename(dir, &old).map_err(|source| io(dir, source))?;
        }
        if let Err(source) = fs::rename(&staged, dir) {
            if replaced {
                fs::rename(&old, dir).map_err(|source| io(dir, source))?;
            }
            return Err(io(dir, source));
        }
        Ok(())
    }
}

fn io(path: &Path, source: std::io::Error) -> CodegenError {
    CodegenError::Io {
        path: path.to_path_buf(),
        source,
    }
}

/// True when an earlier design stands in `dir`; an empty folder is as good as none.
fn check_target(dir: &Path) -> Result<bool, CodegenError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => {
            if dir.join("manifest.json").is_file() || entries.next().is_none() {
                Ok(true)
            } else {
                Err(CodegenError::ForeignFolder(dir.to_path_buf()))
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(io(dir, source)),
    }
}
