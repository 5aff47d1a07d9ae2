//! The memory behind a design's ports.

/// What the memory holds and how fast it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryModel {
    /// Content from `base` on, which can only be read; addresses that belong neither to it nor to `room`
    /// are answered with a decode error.
    pub image: Vec<u8>,
    /// Bytes behind the image that the design may write and read back. Before they are written they hold a
    /// pattern, nowhere zero.
    pub room: usize,
    /// Address of the image; a multiple of 4,096.
    pub base: u32,
    /// How fast it answers.
    pub timing: MemoryTiming,
}

/// Latency and bandwidth in cycles of the design's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryTiming {
    /// Cycles from a read request to its first beat, and from the last beat of a write to its response.
    pub latency: u64,
    /// Bytes per 1,000 cycles, all ports together; an average, refresh included.
    pub total: u64,
    /// Bytes per 1,000 cycles of one port, in each direction.
    pub port: u64,
    /// Cycles from one refresh to the next.
    pub refresh_every: u64,
    /// Cycles of a refresh, in which no beat comes or is taken; fewer than `refresh_every`.
    pub refresh_cycles: u64,
}

/// `MfMemory` in `shim/memory.h`.
#[repr(C)]
pub(crate) struct RawMemory {
    latency: u64,
    total: u64,
    port: u64,
    refresh_every: u64,
    refresh_cycles: u64,
    base: u64,
    room: u64,
}

impl MemoryModel {
    /// Whether all of it lies below 4 GB, where addresses of 32 bits reach.
    pub(crate) fn is_addressable(&self) -> bool {
        let bytes = (self.image.len() as u64).checked_add(self.room as u64);
        bytes.is_some_and(|bytes| bytes <= (1 << 32) - u64::from(self.base))
    }

    pub(crate) fn raw(&self) -> RawMemory {
        let t = &self.timing;
        let refresh_every = t.refresh_every.max(1);
        RawMemory {
            latency: t.latency,
            total: t.total,
            port: t.port,
            refresh_every,
            refresh_cycles: t.refresh_cycles.min(refresh_every - 1),
            base: self.base.into(),
            room: self.room as u64,
        }
    }
}
