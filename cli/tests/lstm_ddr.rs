//! Recurrent layers whose weights come from memory: hidden states and saturation counts are the
//! reference model's whatever the memory does, and what it does wrong stops the run.

mod fp16_lstm_support;
mod lstm_support;
mod support;

use fp16_lstm_support::Network;
use lstm_support::Recurrent;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use support::memory::{exact, stopped};
use support::{compile, macforge, read_json};

const INTEGER: Recurrent = Recurrent {
    size: [7, 6, 5],
    cell_bits: 3,
    cell_clip: 0.0,
    hidden_scale: 0.0065,
    classes: 4,
};

const FP16: Network = Network {
    size: [9, 5, 12],
    hidden: (0.006, 3),
    classes: 6,
};

/// Compiles a model with weights in memory.
fn design(dir: &Path, (name, model): (&str, Vec<u8>), more: &[&str]) -> PathBuf {
    let (file, out) = (dir.join(name), dir.join("out"));
    fs::write(&file, model).expect("a new file");
    let options = [&["--weights", "ddr"], more].concat();
    compile(&file, "pynq-z2", &options, &out);
    assert!(!out.join("mem/lstm_weights.mem").exists());
    out
}

/// A number of the LSTM's entry.
fn of_lstm(value: &serde_json::Value, keys: &[&str]) -> u64 {
    let layers = value["layers"].as_array().expect("layers");
    let is_lstm = |l: &&serde_json::Value| l["op"].as_str().is_some_and(|op| op.contains("LSTM"));
    let entry = layers.iter().find(is_lstm).expect("an LSTM");
    let found = keys.iter().fold(entry, |value, key| &value[key]);
    found
        .as_u64()
        .unwrap_or_else(|| panic!("no {keys:?} in {entry}"))
}

/// Both rules on arrays whose weight words have one word of the unit, several, and a rest.
#[test]
fn hidden_states_do_not_depend_on_ports_latency_bandwidth_and_stalls() {
    let only = Recurrent {
        classes: 0,
        ..INTEGER
    };
    let fp16 = || FP16.quantized(5).to_bytes().expect("a plain graph");
    for (model, shape, ports) in [
        (("a.tflite", INTEGER.file(3)), "3x8x4", "1"),
        (("a.tflite", only.file(4)), "1x2x2", "1"),
        (("b.onnx", fp16()), "3x8x4", "4"),
        (("b.onnx", fp16()), "2x4x5", "2x32"),
    ] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let name = model.0;
        let out = design(dir.path(), model, &["--shape", shape, "--hp-ports", ports]);
        let fast = exact(&out, &[]);
        let manifest = read_json(&out.join("manifest.json"));
        let [measured, stalls] = ["cycles", "stalls"].map(|key| of_lstm(&fast, &[key]));
        let estimated = of_lstm(&manifest, &["estimated_cycles"]);
        println!(
            "{name} on {shape}: {measured} cycles, {stalls} of waiting, estimated {estimated}"
        );
        // how long the first words take is not part of the model
        let slack = if stalls == 0 { 2 } else { estimated / 20 };
        assert!(
            measured.abs_diff(estimated) <= slack,
            "{measured}, estimated {estimated}"
        );
        for memory in [
            &["--ddr-latency", "20"][..],
            &["--ddr-latency", "400", "--stall", "3"],
            &[
                "--ddr-latency",
                "100",
                "--ddr-bandwidth",
                "10",
                "--stall",
                "4",
            ],
        ] {
            let result = exact(&out, memory);
            let slow = memory.contains(&"--ddr-bandwidth");
            assert!(
                !slow || of_lstm(&result, &["stalls"]) > 50,
                "{name} {memory:?}: {result}"
            );
        }
    }
}

/// LSTM and classifier are more than the device holds; the LSTM's weights are needed in every step.
#[test]
fn the_weights_of_an_lstm_stay_on_chip_where_block_ram_allows() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (file, out) = (dir.path().join("a.tflite"), dir.path().join("out"));
    let model = Recurrent {
        size: [2, 6, 300],
        classes: 1000,
        ..INTEGER
    };
    fs::write(&file, model.file(5)).expect("a new file");
    compile(&file, "zedboard", &["--shape", "1x4x4"], &out);
    for image in ["lstm_weights.mem", "ddr.bin"] {
        assert!(out.join("mem").join(image).exists(), "{image}");
    }
    let manifest = read_json(&out.join("manifest.json"));
    assert_eq!(manifest["weight_stream"]["lstm_on_chip"], true);
    let result = exact(&out, &["--ddr-bandwidth", "50"]);
    assert_eq!(of_lstm(&result, &["stalls"]), 0);
}

#[test]
fn a_fault_in_an_lstms_weights_stops_the_run_with_its_block() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let model = ("a.tflite", INTEGER.file(3));
    let out = design(dir.path(), model, &["--shape", "3x8x4", "--hp-ports", "1"]);
    let manifest = read_json(&out.join("manifest.json"));
    let steps = INTEGER.size[0];
    let block = of_lstm(&manifest, &["stream", "bytes"]) as usize / steps;
    let image = out.join("mem/ddr.bin");
    let good = fs::read(&image).expect("the image");
    for (step, byte) in [(0, 8), (3, 20), (steps - 1, block - 1)] {
        let mut bad = good.clone();
        bad[step * block + byte] ^= 4;
        fs::write(&image, bad).expect("the image");
        let place = format!("at block {step} of memory port 0");
        let crc = "error code 2 (the CRC-32 of a weight block does not match)";
        stopped(&out, &["--layers"], &[crc, &place]);
    }
    fs::write(&image, &good[..block]).expect("the image");
    let slave = ["error code 1 (the memory answered", "of memory port 0"];
    stopped(&out, &["--layers"], &slave);
    fs::write(&image, &good).expect("the image");
    let none = ["error code 3 (no weights came for 65536 cycles)"];
    stopped(&out, &["--ddr-latency", "100000000"], &none);
    exact(&out, &[]);
}

#[test]
fn words_that_are_too_short_for_four_gates_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (model, out) = (dir.path().join("a.tflite"), dir.path().join("out"));
    fs::write(&model, INTEGER.file(3)).expect("a new file");
    let refused = [
        "UNIDIRECTIONAL_SEQUENCE_LSTM #0",
        "4 gates",
        "--weights chip",
    ];
    let arguments = [
        "compile",
        "--board",
        "pynq-z2",
        "--shape",
        "3x2x1",
        "--weights",
    ]
    .map(OsStr::new);
    let with = |place: &str| {
        let more = [
            OsStr::new(place),
            model.as_os_str(),
            "-o".as_ref(),
            out.as_os_str(),
        ];
        macforge(arguments.iter().copied().chain(more))
    };
    with("ddr").refused(&refused);
    with("chip").passed();
}
