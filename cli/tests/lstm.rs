//! Recurrent models through the whole command: hidden states, saturation counts and what follows them
//! are the reference model's, integer by integer.

mod lstm_support;
mod support;

use lstm_support::Recurrent;
use std::fs;
use std::path::Path;
use support::{Run, command, read_json, run, simulate_stalled};
use tempfile::TempDir;

const SMALL: Recurrent = Recurrent {
    size: [7, 6, 5],
    cell_bits: 3,
    cell_clip: 0.0,
    hidden_scale: 1.0 / 128.0,
    classes: 0,
};

fn compile(dir: &Path, shape: &str, model: &[u8]) -> Run {
    fs::write(dir.join("model.tflite"), model).expect("a new file");
    let arguments = [
        "compile",
        "model.tflite",
        "--board",
        "pynq-z2",
        "--shape",
        shape,
    ];
    let mut command = command(arguments);
    command.current_dir(dir).args(["-o", "out"]);
    run(command)
}

/// Simulates with stalled streams, compares every integer, and holds the estimate against the cycles.
#[track_caller]
fn assert_exact(model: Recurrent, shape: &str, seed: u64) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let compiled = compile(dir.path(), shape, &model.file(seed));
    assert_eq!(
        compiled.code, 0,
        "{model:?} on {shape}: {}",
        compiled.stderr
    );
    let context = format!("{model:?} on {shape}");
    let [result, manifest] = simulate_stalled(dir.path(), &context);
    let measured = result["layers"][0]["cycles"].as_i64().expect("a number");
    let estimated = manifest["layers"][0]["estimated_cycles"]
        .as_i64()
        .expect("a number");
    assert!(
        (measured - estimated).abs() <= 2,
        "{measured} cycles, estimated {estimated}"
    );
    dir
}

#[test]
fn sequences_of_any_size_are_exact() {
    // more pixels than lanes, words that hold several vectors' parts, one unit, one step
    assert_exact(SMALL, "3x8x4", 1);
    let deep = Recurrent {
        size: [5, 3, 18],
        cell_bits: 0,
        cell_clip: 0.3,
        ..SMALL
    };
    assert_exact(deep, "1x4x2", 2);
    let wide = Recurrent {
        size: [2, 70, 1],
        cell_bits: 6,
        cell_clip: 9.0,
        ..SMALL
    };
    assert_exact(wide, "4x8x8", 3);
    let single = Recurrent {
        size: [1, 1, 3],
        ..SMALL
    };
    assert_exact(single, "2x8x4", 4);
}

#[test]
fn layers_behind_the_sequence_see_all_of_it_and_saturations_are_counted() {
    let model = Recurrent {
        hidden_scale: 0.004,
        classes: 6,
        ..SMALL
    };
    let dir = assert_exact(model, "3x8x4", 5);
    let result = read_json(&dir.path().join("y.json"));
    let saturations = &result["layers"][0]["saturations"];
    assert!(saturations.as_u64() > Some(0), "{saturations}");
}

#[test]
fn factors_beyond_the_units_shift_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let model = Recurrent {
        hidden_scale: 8.0,
        ..SMALL
    };
    compile(dir.path(), "3x8x4", &model.file(6))
        .refused(&["UNIDIRECTIONAL_SEQUENCE_LSTM #0", "below 128"]);
}
