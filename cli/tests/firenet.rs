//! The built-in fire network: three inputs, four branches, FP16 LSTM and attention, from its name to RTL
//! that equals the reference model on scenes of the test set.

mod support;

use ndarray::{Array2, Array3, Array4, OwnedRepr};
use ndarray_npy::{NpzReader, NpzWriter};
use std::fs::File;
use std::path::{Path, PathBuf};
use support::{command, compile, read_json, repository, run, simulate};

/// The test set with images as floats, channels first, as the float model takes them.
fn write_scenes(path: &Path) {
    let file = repository().join("testdata/firenet-small/test.npz");
    let mut npz = NpzReader::new(File::open(file).expect("the test set")).expect("an archive");
    let image: Array4<u8> = npz.by_name::<OwnedRepr<u8>, _>("image").expect("images");
    let environment: Array2<f32> = npz
        .by_name::<OwnedRepr<f32>, _>("environment")
        .expect("weather");
    let history: Array3<f32> = npz
        .by_name::<OwnedRepr<f32>, _>("history")
        .expect("weather");
    let image = image.permuted_axes([0, 3, 1, 2]).mapv(f32::from);
    let mut npz = NpzWriter::new(File::create(path).expect("a new file"));
    npz.add_array("image", &image).expect("images");
    npz.add_array("environment", &environment).expect("weather");
    npz.add_array("history", &history).expect("weather");
    npz.finish().expect("written");
}

/// Compiles and simulates `samples` scenes; every stored tensor equals the reference model's.
#[track_caller]
fn assert_exact(compile: &[&str], samples: &str) -> u64 {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    let (scenes, out, json) = (dir.join("x.npz"), dir.join("out"), dir.join("y.json"));
    write_scenes(&scenes);
    let mut compiled = command(["compile", "firenet-small", "--board", "pynq-z2"]);
    compiled.args(compile).arg("-o").arg(&out);
    run(compiled).passed();
    let options: [&dyn AsRef<std::ffi::OsStr>; 7] = [
        &"--input",
        &scenes,
        &"--samples",
        &samples,
        &"--layers",
        &"--json",
        &json,
    ];
    simulate(&out, &options).passed();
    let result = read_json(&json);
    assert_eq!(result["mismatches"], 0, "{result}");
    assert_eq!(result["samples"].to_string(), samples);
    let cycles = result["cycles_per_inference"].as_u64();
    println!("{compile:?}: {samples} scenes, {cycles:?} cycles");
    cycles.expect("a number")
}

#[test]
fn the_small_fire_network_runs_by_its_name() {
    assert!(assert_exact(&["--shape", "5x4x16"], "2") <= 56_700);
}

#[test]
fn the_small_fire_network_runs_with_all_weights_from_memory() {
    let cycles = assert_exact(&["--shape", "5x4x16", "--weights", "ddr"], "2");
    assert!(cycles <= 57_000, "{cycles} cycles");
}

/// Yosys takes two minutes; for the full network (see README) three quarters of an hour.
#[test]
fn the_small_fire_network_fits_the_smallest_device_by_yosys() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (out, json) = (dir.path().join("out"), dir.path().join("report.json"));
    let options = ["--shape", "1x4x4", "--weights", "ddr"];
    compile("firenet-small", "zybo-z7-10", &options, &out);
    let mut report = command(["report"]);
    report.arg(&out).args(["--measure", "--json"]).arg(&json);
    run(report).passed();
    let report = read_json(&json);
    let number = |part: &str, key: &str| report[part][key].as_f64().expect("a number");
    for key in ["dsp", "bram36", "ff"] {
        assert!(number("measured", key) <= number("device", key), "{report}");
    }
    let lut = number("measured", "lut");
    assert!(lut <= 0.85 * number("device", "lut"), "{lut} LUTs");
    assert!(lut <= 1.15 * number("estimate", "lut"), "{lut} LUTs");
    assert_eq!(number("measured", "dsp"), number("estimate", "dsp"));
}

/// `cargo test -p macforge-cli --test firenet -- --ignored --nocapture`: 50 scenes in 8 bits, and with 4-bit
/// weights in the layers that stand them, an image and weights of the classes of 16 bits.
#[test]
#[ignore = "two designs with 50 scenes each take two minutes"]
fn fifty_scenes_in_8_bits_and_in_mixed_precision() {
    let policy = repository().join("testdata/firenet-small/mixed.toml");
    let policy = policy.to_str().expect("a path in UTF-8");
    assert_exact(&[], "50");
    assert_exact(&["--policy", policy], "50");
}

/// The full network, one inference of random inputs in every precision, all stored tensors compared; the
/// result.
fn full_network(board: &str, shape: &str, policies: &[PathBuf]) -> serde_json::Value {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (out, json) = (dir.path().join("out"), dir.path().join("y.json"));
    let mut compiled = command(["compile", "firenet", "--board", board, "--shape", shape]);
    let names = policies
        .iter()
        .map(|p| p.to_str().expect("a path in UTF-8"));
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [] => &mut compiled,
        [policy] => compiled.args(["--policy", policy]),
        several => compiled.args(["--precisions", &several.join(",")]),
    };
    compiled.arg("-o").arg(&out);
    run(compiled).passed();
    let manifest = read_json(&out.join("manifest.json"));
    println!("{board}: {}", manifest["estimate"]);
    let options: [&dyn AsRef<std::ffi::OsStr>; 5] =
        [&"--layers", &"--samples", &"1", &"--json", &json];
    simulate(&out, &options).passed();
    let result = read_json(&json);
    assert_eq!(result["mismatches"], 0, "{result}");
    println!("{board}: {} values", result["values_compared"]);
    result
}

/// Cycles of an inference.
fn cycles(result: &serde_json::Value) -> u64 {
    let cycles = result["cycles_per_inference"].as_u64();
    println!("{cycles:?} cycles");
    cycles.expect("a number")
}

/// 4-bit weights where the full network waits for the memory.
fn deep_layers_of_4_bits() -> PathBuf {
    repository().join("testdata/firenet/deep4.toml")
}

/// 52 ms at 200 MHz would be the most that a watch can wait.
#[test]
#[ignore = "a network of 24 million parameters: minutes"]
fn the_full_fire_network_runs_on_a_pynq_z2() {
    assert!(cycles(&full_network("pynq-z2", "9x8x8", &[])) <= 7_500_000);
}

#[test]
#[ignore = "a network of 24 million parameters: minutes"]
fn the_full_fire_network_runs_on_a_zc706() {
    assert!(cycles(&full_network("zc706", "13x32x8", &[])) <= 2_150_000);
}

#[test]
#[ignore = "a network of 24 million parameters: minutes"]
fn the_full_fire_network_is_faster_with_deep_layers_of_4_bits() {
    let result = full_network("zc706", "13x32x8", &[deep_layers_of_4_bits()]);
    assert!(cycles(&result) <= 1_700_000);
}

#[test]
#[ignore = "a network of 24 million parameters, twice: minutes"]
fn the_full_fire_network_runs_in_two_precisions_on_a_pynq_z2() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let eight = dir.path().join("eight.toml");
    std::fs::write(&eight, "[default]\nweights = { bits = 8 }\n").expect("a new file");
    let result = full_network("pynq-z2", "9x8x8", &[eight, deep_layers_of_4_bits()]);
    let of = |precision: usize| cycles(&result["precisions"][precision]);
    assert!(of(0) <= 7_500_000 && of(1) <= 7_250_000);
}
