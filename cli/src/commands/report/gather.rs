//! What a report shows, from the files of a design folder.

use super::precisions::{self, Precision};
use super::roofline::Roofline;
use super::{RESOURCES, SIMULATION};
use crate::cosim::result::Simulation;
use crate::measure::Measured;
use crate::project::Project;
use macforge_codegen::{EstimateEntry, LayerEntry};
use macforge_plan::StorageId;
use miette::{IntoDiagnostic, Result, WrapErr};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// The device and what it has.
#[derive(Serialize)]
pub struct Device {
    pub name: String,
    pub dsp: u32,
    pub bram36: u32,
    pub lut: u32,
    pub ff: u32,
}

/// Where a tensor lies: a buffer in bank words, or memory in bursts of 16 beats.
#[derive(Serialize)]
pub struct Place {
    pub tensor: String,
    pub shape: [usize; 3],
    /// `0`, `1` or `DDR`.
    pub buffer: String,
    pub base: usize,
    pub words: usize,
    pub pitch: usize,
}

/// All that a report shows.
#[derive(Serialize)]
pub struct Report {
    pub model: String,
    pub board: String,
    pub device: Device,
    pub shape: String,
    pub clock_mhz: f64,
    pub semantics: String,
    pub estimate: EstimateEntry,
    pub measured: Option<Measured>,
    pub simulation: Option<Simulation>,
    pub layers: Vec<LayerEntry>,
    /// Absent where there is only one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub precisions: Vec<Precision>,
    /// Of the first precision.
    pub roofline: Roofline,
    pub memory_map: Vec<Place>,
}

/// Reads a design folder.
pub fn gather(dir: &Path) -> Result<Report> {
    let Project { manifest, plan, .. } = Project::open(dir)?;
    let board = macforge_constraints::board(&manifest.board).into_diagnostic()?;
    let r = board.resources();
    let memory_map = plan
        .placements
        .iter()
        .zip(&plan.layers.areas)
        .enumerate()
        .map(|(index, (p, area))| {
            let memory = plan.activation_memory.as_ref();
            let in_memory = memory.and_then(|m| m.row(StorageId(index), 0));
            let [base, words, pitch] = match in_memory {
                Some([first, row]) => [first, p.storage.hwc[0] * row, row],
                None => [p.base, p.size(), p.storage.pitch],
            };
            Place {
                tensor: area.name.clone(),
                shape: p.storage.hwc,
                buffer: in_memory.map_or(p.buffer.to_string(), |_| "DDR".into()),
                base,
                words,
                pitch,
            }
        })
        .collect();
    let simulation: Option<Simulation> = optional(&dir.join(SIMULATION))?;
    let peak = plan.shape.macs_per_cycle();
    let precisions = precisions::gather(dir, &manifest)?;
    let first = &manifest.layers[..plan.layers.sets[0].end];
    Ok(Report {
        model: manifest.model,
        board: manifest.board,
        device: Device {
            name: board.device.clone(),
            dsp: r.dsp,
            bram36: r.bram36,
            lut: r.lut,
            ff: r.ff,
        },
        shape: manifest.shape,
        clock_mhz: manifest.clock_mhz,
        semantics: manifest.semantics,
        estimate: manifest.estimate,
        measured: optional(&dir.join(RESOURCES))?,
        roofline: Roofline::new(first, peak, simulation.as_ref()),
        simulation,
        precisions,
        layers: manifest.layers,
        memory_map,
    })
}

/// Reads an optional JSON file of the design folder.
fn optional<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .into_diagnostic()
            .wrap_err_with(|| format!("{} is damaged; remove it", path.display()))
            .map(Some),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e)
            .into_diagnostic()
            .wrap_err_with(|| format!("{}", path.display())),
    }
}
