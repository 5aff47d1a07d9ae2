//! Narrow weights on chip: steps share words of the weight memory, with the same integers and the same
//! cycles.

#[allow(dead_code, reason = "one network is all that is needed of it")]
mod layers_support;
#[allow(dead_code, reason = "one network is all that is needed of it")]
mod stream_support;
mod support;

use layers_support::Weights;
use std::fs;
use std::path::Path;
use stream_support::narrow_model;
use support::{compile, simulate_stalled};

/// Compiles the test network for an array and compares every stored tensor; the design's words of
/// weights, `plan.txt`, simulation result and manifest.
#[track_caller]
fn exact(
    dir: &Path,
    weights: [Weights; 2],
    shape: &str,
) -> (usize, String, [serde_json::Value; 2]) {
    let (model, out) = (dir.join("model.tflite"), dir.join("out"));
    fs::write(&model, narrow_model(weights)).expect("a new file");
    compile(&model, "pynq-z2", &["--shape", shape], &out);
    let results = simulate_stalled(dir, &format!("{weights:?} on {shape}"));
    let text = |name: &str| fs::read_to_string(out.join(name)).expect("a file of the design");
    (
        text("mem/weights.mem").lines().count(),
        text("plan.txt"),
        results,
    )
}

const NARROW: [Weights; 2] = [Weights::FourBits, Weights::Units];

#[test]
fn narrow_weights_take_less_block_ram_and_no_cycle_more() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (wide_words, plan, [wide, wide_manifest]) =
        exact(dir.path(), [Weights::Any, Weights::Any], "3x8x4");
    assert!(!plan.contains("narrow"), "{plan}");
    let wide_files = support::tree(&dir.path().join("out"));
    assert!(!wide_files.contains_key("rtl/weight_widen.v"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (words, plan, [narrow, manifest]) = exact(dir.path(), NARROW, "3x8x4");
    assert!(
        plan.contains("narrow weights share words of 4 parts"),
        "{plan}"
    );
    assert_eq!([words, wide_words], [505, 1358]);
    assert_eq!(narrow["cycles_per_inference"], wide["cycles_per_inference"]);
    let block_ram = |m: &serde_json::Value| m["estimate"]["bram36"].as_f64().expect("a number");
    let both = [&manifest, &wide_manifest].map(block_ram);
    assert_eq!(both, [4.0, 12.0]);
}

#[test]
fn four_bits_alone_make_words_of_two_parts() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (_, plan, _) = exact(dir.path(), [Weights::FourBits; 2], "3x8x4");
    assert!(
        plan.contains("narrow weights share words of 2 parts"),
        "{plan}"
    );
}

#[test]
fn arrays_of_other_shapes_are_exact() {
    for shape in ["1x4x4", "5x4x2", "2x8x3", "4x2x6"] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (_, plan, _) = exact(dir.path(), NARROW, shape);
        assert!(
            plan.contains("narrow weights share words"),
            "{shape}: {plan}"
        );
    }
}
