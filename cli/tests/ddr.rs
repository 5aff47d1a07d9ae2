//! Weights from DDR memory: the hardware's integers do not depend on the memory, and what the memory
//! does wrong stops the run with a code.

#[allow(dead_code, reason = "two networks are all that is needed of it")]
mod layers_support;
#[allow(
    dead_code,
    reason = "networks with weights in memory are all that is needed of it"
)]
mod stream_support;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use stream_support::{resnet34, stream_model, strip_model};
use support::memory::{exact, stalls, stopped};
use support::{compile, lints, macforge, read_json, simulate};

const SHAPE: &str = "3x8x4";

/// Compiles the test network with weights in memory; `more` are further options.
fn design(dir: &Path, more: &[&str]) -> PathBuf {
    let model = dir.join("model.tflite");
    fs::write(&model, stream_model()).expect("a new file");
    let out = dir.join("out");
    let mut options = vec!["--shape", SHAPE, "--weights", "ddr"];
    options.extend(more);
    compile(&model, "pynq-z2", &options, &out);
    out
}

#[test]
fn outputs_do_not_depend_on_ports_latency_bandwidth_and_stalls() {
    for ports in ["1", "2x32", "3", "4"] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = design(dir.path(), &["--hp-ports", ports]);
        let manifest = read_json(&out.join("manifest.json"));
        let stream = &manifest["weight_stream"];
        // the ring, of at most half of the weight words, is written over again and again
        assert_eq!(stream["ring_words"], 512);
        for memory in [
            &["--ddr-latency", "20"][..],
            &["--ddr-latency", "100", "--stall", "3"],
            &["--ddr-latency", "400"],
            &["--ddr-bandwidth", "10"],
            &[
                "--ddr-latency",
                "400",
                "--ddr-bandwidth",
                "10",
                "--stall",
                "4",
            ],
        ] {
            let result = exact(&out, memory);
            let slow = memory.contains(&"--ddr-bandwidth");
            assert!(
                !slow || stalls(&result) > 1000,
                "{ports} {memory:?}: {result}"
            );
        }
    }
}

#[test]
fn a_fast_memory_costs_the_cycles_of_the_constants_only() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = design(dir.path(), &["--hp-ports", "4"]);
    let streamed = exact(&out, &[]);
    assert_eq!(stalls(&streamed), 0);
    let model = dir.path().join("model.tflite");
    let chip = dir.path().join("chip");
    compile(&model, "pynq-z2", &["--shape", SHAPE], &chip);
    let on_chip = exact(&chip, &[]);
    let cycles = |result: &serde_json::Value| result["cycles_per_inference"].as_u64();
    // the dot array's 3 + 12 + 5 + 1 + 1 + 5 tiles begin with two words of constants, a cycle between them
    assert_eq!(cycles(&streamed), cycles(&on_chip).map(|c| c + 27 * 3));
}

#[test]
fn faults_of_the_memory_stop_the_run_with_a_code() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = design(dir.path(), &["--hp-ports", "2"]);
    let image = out.join("mem/ddr.bin");
    let good = fs::read(&image).expect("the image");
    let manifest = read_json(&out.join("manifest.json"));
    let second = manifest["weight_stream"]["regions"][1]
        .as_u64()
        .expect("a region") as usize;
    let crc = "error code 2 (the CRC-32 of a weight block does not match)";
    // a constant, a weight, a stored CRC, a count, a kind
    for (byte, bit, place) in [
        (30, 3, "at block 0 of memory port 0"),
        (100, 3, "at block 1 of memory port 0"),
        (1, 0, "at block 0 of memory port 0"),
        (second + 4, 0, "of memory port 1"),
        (second + 7, 1, "at block 0 of memory port 1"),
        (second + 5000, 7, "of memory port 1"),
    ] {
        let mut bad = good.clone();
        bad[byte] ^= 1 << bit;
        fs::write(&image, bad).expect("the image");
        stopped(&out, &[], &[crc, place]);
    }
    // beyond the end of the image the memory answers with an error
    fs::write(&image, &good[..second + 6000]).expect("the image");
    stopped(
        &out,
        &["--stall", "2"],
        &["error code 1 (the memory answered", "of memory port 1"],
    );
    fs::write(&image, &good).expect("the image");
    stopped(
        &out,
        &["--ddr-latency", "100000000"],
        &["error code 3 (no weights came for 65536 cycles)"],
    );
    exact(&out, &[]);
}

#[test]
fn narrow_weights_are_narrow_in_memory() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = design(dir.path(), &["--hp-ports", "1"]);
    let manifest = read_json(&out.join("manifest.json"));
    let layers = manifest["layers"].as_array().expect("layers");
    let bits: Vec<u64> = layers
        .iter()
        .filter_map(|l| l["stream"]["weight_bits"].as_u64())
        .collect();
    assert_eq!(bits, [8, 8, 4, 2, 8, 8, 8]);
    // 12 tiles of 9 * 6 words of 32 weights and two of constants, with headers of 8 bytes
    let tile = (9 * 6 * 16 + 8) + (2 * 32 + 8);
    assert_eq!(layers[2]["stream"]["bytes"], 12 * tile);
}

#[test]
fn verilator_and_icarus_take_the_text() {
    for ports in ["3", "1x32"] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        lints(&design(dir.path(), &["--hp-ports", ports]));
    }
}

/// One design for both: a network that is too large for its device, on an array that is, too.
#[test]
fn layers_run_in_strips_and_chains_in_luts_where_the_device_is_too_small() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let model = dir.path().join("model.tflite");
    fs::write(&model, strip_model()).expect("a new file");
    let out = dir.path().join("out");
    compile(&model, "zybo-z7-10", &["--shape", "3x8x8"], &out);
    let manifest = read_json(&out.join("manifest.json"));
    assert!(manifest["estimate"]["bram36"].as_f64() <= Some(60.0));
    // 96 pairs of products, 80 DSPs, lanes among them
    assert!(manifest["estimate"]["dsp"].as_u64() <= Some(80));
    let top = fs::read_to_string(out.join("rtl/macforge_top.v")).expect("the top module");
    assert!(top.contains(".FABRIC("));
    let layers = manifest["layers"].as_array().expect("layers");
    let named = |part: &str| {
        let names = layers.iter().filter_map(|l| l["name"].as_str());
        names.filter(|n| n.contains(part)).count()
    };
    let strips = named("conv2d_0");
    assert!(strips > 1 && named("max_pool2d_1_rows") == strips - 1);
    // the parts of a node have its multiply-accumulates together
    let macs = layers.iter().filter_map(|l| l["macs"].as_u64());
    let block = 16 * 16 * 32 * (64 + 9 * 64 + 9 * 32);
    assert_eq!(macs.sum::<u64>(), 64 * 64 * 64 * 196 + block + 4 * 32);
    let json = dir.path().join("result.json");
    let options: [&dyn AsRef<std::ffi::OsStr>; 5] =
        [&"--layers", &"--samples", &"3", &"--json", &json];
    simulate(&out, &options).passed();
    let simulated = read_json(&json);
    assert_eq!(simulated["mismatches"], 0);
    check_roofline(&out, &simulated);
}

/// The report's floors follow from the layers, and its cycles are the simulated ones.
fn check_roofline(out: &Path, simulated: &serde_json::Value) {
    let json = out.join("../report.json");
    macforge([
        "report".as_ref(),
        out.as_os_str(),
        "--json".as_ref(),
        json.as_os_str(),
    ])
    .passed();
    let report = read_json(&json);
    let roofline = &report["roofline"];
    assert_eq!(roofline["macs_per_cycle_peak"], 3 * 8 * 8);
    assert_eq!(roofline["cycles"], simulated["cycles_per_inference"]);
    let roofs = roofline["layers"].as_array().expect("layers");
    let mut floors = [0, 0];
    for (roof, layer) in roofs
        .iter()
        .zip(report["layers"].as_array().expect("layers"))
    {
        let number = |of: &serde_json::Value, key: &str| of[key].as_u64().unwrap_or(0);
        let compute = number(layer, "macs").div_ceil(3 * 8 * 8);
        let memory = number(&layer["stream"], "memory_floor");
        assert_eq!(number(roof, "compute_floor"), compute);
        assert_eq!(number(roof, "memory_floor"), memory);
        assert_eq!(roof["bound"] == "memory", memory > compute);
        floors = [floors[0] + compute, floors[1] + memory];
    }
    assert_eq!(roofline["floor"], floors[0].max(floors[1]));
}

/// Compiles a ResNet-34, simulates it with every layer, and gives its cycles.
fn resnet34_cycles(board: &str, options: &[&str]) -> u64 {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let model = dir.path().join("resnet34.tflite");
    fs::write(&model, resnet34(4)).expect("a new file");
    let out = dir.path().join("out");
    compile(&model, board, options, &out);
    let json = dir.path().join("result.json");
    let options: [&dyn AsRef<std::ffi::OsStr>; 5] =
        [&"--layers", &"--samples", &"1", &"--json", &json];
    let run = simulate(&out, &options).passed();
    println!("{}", run.stdout);
    let cycles = read_json(&json)["cycles_per_inference"].as_u64();
    cycles.expect("cycles")
}

/// `cargo test -p macforge-cli --test ddr resnet34 -- --ignored --nocapture`
#[test]
#[ignore = "a whole ResNet-34: minutes"]
fn resnet34_runs_on_a_zc706_with_weights_from_memory() {
    let cycles = resnet34_cycles("zc706", &["--clock", "200", "--shape", "7x24x16"]);
    assert!(cycles <= 1_930_000, "{cycles} cycles");
}

/// Its input fills a third of the block RAM, the result of its first layer would fill it twice.
#[test]
#[ignore = "a whole ResNet-34: minutes"]
fn resnet34_runs_on_a_pynq_z2_with_its_first_layers_in_strips() {
    let cycles = resnet34_cycles("pynq-z2", &["--shape", "9x8x8"]);
    assert!(cycles <= 6_890_000, "{cycles} cycles");
}
