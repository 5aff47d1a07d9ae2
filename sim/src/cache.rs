//! Build cache: folders named by a digest of everything that decides their content.
//!
//! An entry is made in a temporary folder beside its final place and renamed when complete, so an
//! entry that exists is whole, whatever interrupted its making and however many processes made it.

use crate::error::SimError;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Folder of finished simulation builds.
#[derive(Debug, Clone)]
pub struct BuildCache {
    root: PathBuf,
}

const TEMPORARY_PREFIX: &str = ".building-";

impl BuildCache {
    /// A cache in `root`, which is created when first needed.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The user's cache: `$XDG_CACHE_HOME/macforge`, else `~/.cache/macforge`.
    ///
    /// # Errors
    /// [`SimError::NoCacheFolder`] when neither variable holds an absolute path. (A folder that other
    /// users can write to is no choice: code is loaded from here.)
    pub fn of_user() -> Result<Self, SimError> {
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let base = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .ok_or(SimError::NoCacheFolder)?;
        Ok(Self::at(base.join("macforge")))
    }

    /// Where the entries lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of entry `key`, made by `make` (which fills the folder given to it) when it is not
    /// there yet. The flag is true when it was there.
    pub(crate) fn entry(
        &self,
        key: &Key,
        make: impl FnOnce(&Path) -> Result<(), SimError>,
    ) -> Result<(PathBuf, bool), SimError> {
        let place = self.root.join(key.name());
        if place.is_dir() {
            return Ok((place, true));
        }
        std::fs::create_dir_all(&self.root).map_err(SimError::io("create", &self.root))?;
        self.sweep();
        let building = tempfile::Builder::new()
            .prefix(&format!("{TEMPORARY_PREFIX}{}-", std::process::id()))
            .tempdir_in(&self.root)
            .map_err(SimError::io("create a folder in", &self.root))?;
        let content = building.path().join("entry");
        std::fs::create_dir(&content).map_err(SimError::io("create", &content))?;
        make(&content)?;
        match std::fs::rename(&content, &place) {
            Ok(()) => Ok((place, false)),
            // Somebody else finished the same entry first; both are equal.
            Err(_) if place.is_dir() => Ok((place, false)),
            Err(source) => Err(SimError::io("create", place)(source)),
        }
    }

    /// Removes temporary folders of processes that no longer run (killed in the middle of a build).
    fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.root) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let owner = name
                .to_str()
                .and_then(|name| name.strip_prefix(TEMPORARY_PREFIX))
                .and_then(|rest| rest.split('-').next())
                .and_then(|pid| pid.parse::<u32>().ok());
            if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                // Another process may sweep it at the same moment.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Digest that names a cache entry.
pub(crate) struct Key {
    kind: &'static str,
    digest: Sha256,
}

impl Key {
    /// Starts a key; `kind` is the readable part of the entry's name.
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            digest: Sha256::new(),
        }
    }

    /// Adds one field; its length goes in too, so that fields cannot run into each other.
    pub fn add(&mut self, field: impl AsRef<[u8]>) -> &mut Self {
        let field = field.as_ref();
        self.digest.update((field.len() as u64).to_le_bytes());
        self.digest.update(field);
        self
    }

    /// The name of the entry.
    pub fn name(&self) -> String {
        let digest = self.digest.clone().finalize();
        let hex: String = digest[..16].iter().map(|b| format!("{b:02x}")).collect();
        format!("{}-{hex}", self.kind)
    }
}
