//! Damaged files never panic, hang or grow beyond bounds, up to a verified graph.

mod support;

use std::time::{Duration, Instant};

use macforge_model::from_bytes;
use macforge_model::tflite::corrupt::corrupt;
use macforge_quant::lower;
use support::every_operator;

#[test]
fn ten_thousand_corruptions_give_a_verified_graph_or_an_error() {
    let file = every_operator();
    let (mut good, mut bad) = (0, 0);
    for seed in 0..10_000 {
        let start = Instant::now();
        let result = from_bytes("m", &corrupt(&file, seed)).map(|model| lower(&model, None));
        match result {
            Ok(Ok(_)) => good += 1,
            _ => bad += 1,
        }
        // Generous: the undamaged file takes well under a millisecond.
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "seed {seed} is slow"
        );
    }
    println!(
        "{good} accepted, {bad} refused, peak memory {:?} KiB",
        peak_memory_kib()
    );
    assert!(good > 100 && bad > 3000, "{good} accepted, {bad} refused");
    assert!(
        peak_memory_kib().is_none_or(|kib| kib < 256 << 10),
        "{:?} KiB",
        peak_memory_kib()
    );
}

/// High-water mark of this process, where the system tells.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
