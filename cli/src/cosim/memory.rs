//! The memory behind a design's read ports, with the board's properties.

use crate::cosim::run::Request;
use crate::project;
use macforge_codegen::Manifest;
use macforge_sim::{MemoryModel, MemoryTiming};
use miette::{IntoDiagnostic, Result, WrapErr};
use std::fs;
use std::path::Path;

/// From a request at an HP port to its first data: what the controller, the interconnect and an open
/// row take, about.
const LATENCY_NS: f64 = 250.0;

/// DDR3: average interval of refreshes and time of one of a 4 Gbit part (JEDEC JESD79-3F, tREFI, tRFC).
const REFRESH_EVERY_NS: f64 = 7800.0;
const REFRESH_NS: f64 = 260.0;

/// Where the image lies; any page does.
const BASE: u32 = 0x1000_0000;

/// The memory of a design that reads its weights from one.
pub fn model(dir: &Path, manifest: &Manifest, request: &Request) -> Result<Option<MemoryModel>> {
    let Some(stream) = &manifest.weight_stream else {
        return Ok(None);
    };
    let path = dir.join(&stream.file);
    let image = fs::read(&path)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read the weights {}", path.display()))?;
    let board = macforge_constraints::board(&manifest.board).into_diagnostic()?;
    let rates = project::rates(board, manifest.clock_mhz);
    let cycles = |ns: f64| (ns * manifest.clock_mhz / 1000.0) as u64;
    let part = |rate: u64| rate * request.ddr_bandwidth / 100;
    Ok(Some(MemoryModel {
        image,
        room: manifest
            .activation_memory
            .as_ref()
            .map_or(0, |memory| memory.bytes),
        base: BASE,
        timing: MemoryTiming {
            latency: request.ddr_latency.unwrap_or_else(|| cycles(LATENCY_NS)),
            total: part(rates.total),
            port: part(rates.port),
            refresh_every: cycles(REFRESH_EVERY_NS),
            refresh_cycles: cycles(REFRESH_NS),
        },
    }))
}
