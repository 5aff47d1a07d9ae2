//! What the tests of this crate share.

use macforge_sim::{BuildCache, Builder, Toolchain};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Builds into a cache of this test run: the tests then never see what an earlier run left behind.
pub fn builder() -> Builder {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
    Builder::new(
        Toolchain::discover().unwrap(),
        BuildCache::at(folder.path()),
    )
}
