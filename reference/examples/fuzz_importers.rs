//! Fuzzes importers and lowering: damages model files at random and feeds them in, until the time is
//! over. A panic ends the run with the seed; the peak of memory is printed and bounded.
//!
//! ```text
//! cargo run --release -p macforge-reference --example fuzz_importers -- SECONDS FILE...
//! ```

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use macforge_model::tflite::corrupt::corrupt;
use macforge_model::{Imported, from_bytes};

/// Most memory that a file of a few megabytes may take.
const MAX_KIB: u64 = 4 << 20;

/// Files that were accepted stay in the pool, so that damage adds up; at most this many.
const POOL: usize = 64;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|s| s.parse().ok());
    let files: Vec<String> = arguments.collect();
    let (Some(seconds), false) = (seconds, files.is_empty()) else {
        eprintln!("usage: fuzz_importers SECONDS FILE...");
        return ExitCode::from(2);
    };
    let seeds: Vec<Vec<u8>> = files
        .iter()
        .map(|f| std::fs::read(f).unwrap_or_else(|e| panic!("{f}: {e}")))
        .collect();
    let mut pool = seeds.clone();
    let mut errors = BTreeSet::new();
    let (mut accepted, mut lowered, mut seed) = (0u64, 0u64, 0u64);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let file = corrupt(&pool[seed as usize % pool.len()], seed);
        match catch_unwind(|| feed(&file)) {
            Err(_) => {
                let path = std::env::temp_dir().join(format!("fuzz-{seed}.bin"));
                let written = std::fs::write(&path, &file);
                eprintln!("panic with seed {seed}; {} {written:?}", path.display());
                return ExitCode::FAILURE;
            }
            Ok(Ok(reached)) => {
                accepted += 1;
                lowered += u64::from(reached);
                let at = (seed as usize).wrapping_mul(31) % POOL;
                if pool.len() < POOL + seeds.len() {
                    pool.push(file);
                } else {
                    pool[seeds.len() + at] = file;
                }
            }
            Ok(Err(error)) => {
                errors.insert(error);
            }
        }
        seed += 1;
    }
    let peak = peak_kib();
    println!(
        "{seed} files, {accepted} accepted, {lowered} lowered, {} kinds of errors, peak {} MiB",
        errors.len(),
        peak / 1024
    );
    ExitCode::from(u8::from(peak > MAX_KIB))
}

/// Whether the file lowers; an importer's error by its first words.
fn feed(file: &[u8]) -> Result<bool, String> {
    let model = from_bytes("fuzz", file).map_err(|e| {
        let text = e.to_string();
        text.split(['`', '[', '#']).next().unwrap_or("").to_string()
    })?;
    if let Imported::Onnx(graph) = &model {
        let _ = graph.to_bytes();
    }
    Ok(macforge_quant::lower(&model, None).is_ok())
}

/// Peak of resident memory, where the system tells it.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM"));
    let number = line.and_then(|l| l.split_whitespace().nth(1));
    number.and_then(|n| n.parse().ok()).unwrap_or(0)
}
