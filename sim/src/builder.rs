//! What every build needs: the tools and the cache.

use crate::cache::BuildCache;
use crate::error::SimError;
use crate::toolchain::Toolchain;

/// Tools and cache, found once and used for any number of builds.
#[derive(Debug, Clone)]
pub struct Builder {
    pub(crate) tools: Toolchain,
    pub(crate) cache: BuildCache,
}

impl Builder {
    /// Tools from `PATH`, cache of the user.
    ///
    /// # Errors
    /// As [`Toolchain::discover`] and [`BuildCache::of_user`].
    pub fn from_env() -> Result<Self, SimError> {
        Ok(Self::new(Toolchain::discover()?, BuildCache::of_user()?))
    }

    /// Given tools and cache.
    pub fn new(tools: Toolchain, cache: BuildCache) -> Self {
        Self { tools, cache }
    }

    /// The tools in use.
    pub fn tools(&self) -> &Toolchain {
        &self.tools
    }
}
