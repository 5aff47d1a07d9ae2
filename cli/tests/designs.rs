//! Designs of the built-in model: what is in the folder, and that the hardware computes the golden
//! integers whatever the array, the board, the boundary and the stalls are.

mod support;

use ndarray::{ArrayD, Axis, IxDyn, Slice};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{
    compile, lints, macforge, read_json, read_npz, repository, samples, simulate, tree, write_npz,
};
use tempfile::TempDir;

/// Of the whole folder when every stored tensor is compared: the tensors of nine layers, the output
/// and nine saturation counters.
const INTEGERS_PER_SAMPLE: u64 = 32_808 + 4 + 9;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The golden output of the first `count` samples.
fn golden(count: usize) -> ArrayD<i8> {
    let all = read_npz::<i8>(&samples(), "output0");
    all.slice_axis(Axis(0), Slice::from(..count)).to_owned()
}

/// Simulates the first `count` samples, compares all layers and checks the outputs.
#[track_caller]
fn assert_golden(dir: &Path, count: usize) -> Value {
    let (output, json) = (dir.join("../y.npz"), dir.join("../y.json"));
    let limit = count.to_string();
    simulate(
        dir,
        &[
            &"--layers",
            &"--input",
            &samples(),
            &"--samples",
            &limit,
            &"--output",
            &output,
            &"--json",
            &json,
        ],
    )
    .passed();
    assert_eq!(read_npz::<i8>(&output, "output0"), golden(count));
    let result = read_json(&json);
    assert_eq!(result["mismatches"], 0);
    assert_eq!(
        result["values_compared"],
        INTEGERS_PER_SAMPLE * count as u64
    );
    result
}

/// True where a text holds something like 2024-05-31.
fn has_date(text: &str) -> bool {
    text.as_bytes().windows(10).any(|w| {
        w.iter().enumerate().all(|(i, b)| {
            if i == 4 || i == 7 {
                *b == b'-'
            } else {
                b.is_ascii_digit()
            }
        })
    })
}

#[test]
fn two_compiles_are_byte_equal_and_name_no_place_and_no_date() {
    let (one, two) = (folder(), folder());
    for io in ["int8", "float"] {
        let (first, second) = (one.path().join(io), two.path().join("elsewhere").join(io));
        for out in [&first, &second] {
            compile("fire-risk", "pynq-z2", &["--io", io], out);
        }
        let files = tree(&first);
        assert_eq!(files, tree(&second));
        let root = repository().canonicalize().expect("the repository");
        let temporary = std::env::temp_dir();
        for (name, content) in files.iter().filter(|(name, _)| !name.ends_with(".tflite")) {
            let text = std::str::from_utf8(content).expect("every file but the model is text");
            for place in [one.path(), &root, &temporary] {
                assert!(
                    !text.contains(&place.display().to_string()),
                    "{name}: {}",
                    place.display()
                );
            }
            assert!(!has_date(text), "{name}");
            assert!(text.ends_with('\n'), "{name}");
        }
    }
}

#[test]
fn the_manifest_describes_the_folder() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &["--clock", "125"], &out);
    let mut files = tree(&out);
    files.remove("manifest.json").expect("the manifest");
    let manifest = read_json(&out.join("manifest.json"));
    let digests = manifest["files"].as_object().expect("an object");
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        digests.keys().collect::<Vec<_>>()
    );
    for (name, content) in &files {
        assert_eq!(digests[name], hex_sha256(content), "{name}");
    }
    let model = fs::read(repository().join("testdata/fire-risk/fire_risk_int8.tflite"));
    assert_eq!(
        manifest["model_sha256"],
        hex_sha256(&model.expect("the model"))
    );
    assert_eq!(manifest["policy_sha256"], Value::Null);
    assert_eq!(
        manifest["tool"],
        format!("macforge {}", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        (&manifest["board"], &manifest["device"]),
        (&"pynq-z2".into(), &"xc7z020".into())
    );
    assert_eq!(manifest["clock_mhz"], 125.0);
    assert_eq!(manifest["semantics"], "tflite-double");
    let shape = manifest["shape"].as_str().expect("a text");
    let sides: Vec<u32> = shape
        .split('x')
        .map(|n| n.parse().expect("a number"))
        .collect();
    assert_eq!(sides.len(), 3);
    for key in ["dsp", "bram36", "lut", "ff"] {
        assert!(
            manifest["estimate"][key].as_f64().expect("a number") > 0.0,
            "{key}"
        );
    }
    let layers = manifest["layers"].as_array().expect("a list");
    assert_eq!(layers.len(), 9);
    for layer in layers {
        assert!(["w8a8", "a8"].contains(&layer["precision"].as_str().expect("a text")));
        let module = layer["module"].as_str().expect("a text");
        assert!(files.contains_key(&format!("rtl/{module}.v")), "{module}");
    }
}

fn hex_sha256(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn verilog(dir: &Path) -> Vec<PathBuf> {
    tree(dir)
        .into_keys()
        .filter(|f| f.ends_with(".v"))
        .map(|f| dir.join(f))
        .collect()
}

#[test]
fn the_verilog_is_short_and_lints_without_waivers() {
    let dir = folder();
    let variants: [(&str, &[&str]); 4] = [
        ("int8", &[]),
        ("float", &["--io", "float"]),
        ("segmented", &["--shape", "5x8x2"]),
        ("single_pixel", &["--shape", "1x8x8", "--io", "float"]),
    ];
    for (name, options) in variants {
        let out = dir.path().join(name);
        compile("fire-risk", "pynq-z2", options, &out);
        let sources = verilog(&out);
        let mut lines = 0;
        for source in &sources {
            let text = fs::read_to_string(source).expect("a source");
            assert!(!text.contains("verilator lint_off"), "{}", source.display());
            assert!(
                text.contains("`default_nettype none"),
                "{}",
                source.display()
            );
            lines += text.lines().count();
        }
        assert!(lines < 6000, "{name}: {lines} lines");
        lints(&out);
    }
}

#[test]
fn the_vivado_script_passes_the_recording_stub() {
    let dir = folder();
    for board in ["pynq-z2", "zybo-z7-10", "zc706"] {
        let out = dir.path().join(board);
        compile("fire-risk", board, &[], &out);
        let record = dir.path().join(format!("{board}.record"));
        let stub = repository().join("vivado_scripts/tests/vivado_stub.tcl");
        let run = Command::new("tclsh")
            .args([
                stub.as_os_str(),
                record.as_os_str(),
                out.join("vivado/synth.tcl").as_os_str(),
            ])
            .current_dir(dir.path())
            .output()
            .expect("tclsh is installed");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{board}: {said}");
        let calls = fs::read_to_string(&record).expect("the record");
        for call in [
            "synth_design",
            "place_design",
            "route_design",
            "report_timing_summary",
        ] {
            assert!(calls.contains(call), "{board}: {call}");
        }
    }
}

#[test]
fn every_stored_integer_of_every_sample_is_the_golden_one() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &[], &out);
    let count = golden_count();
    let result = assert_golden(&out, count);
    assert_eq!(result["samples"], count);
    let cycles = result["cycles_per_inference"].as_u64().expect("a number");
    let clock = result["clock_mhz"].as_f64().expect("a number");
    let latency = result["latency_us"].as_f64().expect("a number");
    assert!((latency - cycles as f64 / clock).abs() < 1e-6);
    assert!(result["sim_cycles_per_second"].as_f64().expect("a number") > 0.0);
    assert!(result["macs_per_cycle_peak"].as_u64().expect("a number") > 0);
    let utilization = result["utilization"].as_f64().expect("a number");
    assert!(utilization > 0.0 && utilization <= 1.0);
    let layers = result["layers"].as_array().expect("a list");
    let sum = |key: &str| {
        layers
            .iter()
            .map(|l| l[key].as_u64().expect("a number"))
            .sum::<u64>()
    };
    assert_eq!(layers.len(), 9);
    assert_eq!(result["macs"], sum("macs"));
    // the layers' cycles are parts of the inference, with one cycle or two between them
    assert!(
        sum("cycles") <= cycles && cycles <= sum("cycles") + 2 * 9,
        "{result:#}"
    );
    for layer in layers {
        for key in ["name", "op", "cycles", "macs", "utilization", "saturations"] {
            assert!(!layer[key].is_null(), "{key}");
        }
    }
    let estimate = read_json(&out.join("manifest.json"))["estimate"]["cycles"].as_u64();
    let estimate = estimate.expect("a number");
    assert!(
        estimate.abs_diff(cycles) * 100 <= cycles,
        "estimated {estimate}, measured {cycles}"
    );
}

fn golden_count() -> usize {
    read_npz::<i8>(&samples(), "output0").shape()[0]
}

#[test]
fn random_inputs_with_saturation_agree_too() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &["--shape", "3x8x4"], &out);
    let json = dir.path().join("y.json");
    simulate(&out, &[&"--layers", &"--samples", &"6", &"--json", &json]).passed();
    let result = read_json(&json);
    assert_eq!(result["values_compared"], 6 * INTEGERS_PER_SAMPLE);
    let saturations = |i: usize| {
        result["layers"][i]["saturations"]
            .as_u64()
            .expect("a number")
    };
    assert!(
        (0..9).map(saturations).sum::<u64>() > 0,
        "the counters were never at work"
    );
}

#[test]
fn every_array_shape_computes_the_same_integers() {
    let dir = folder();
    // one and several pixels; more lanes than input channels; incomplete chains; a sum tree
    for shape in [
        "1x8x8", "3x8x4", "5x16x4", "7x16x2", "1x16x16", "3x6x6", "5x6x3",
    ] {
        let out = dir.path().join(shape).join("out");
        compile("fire-risk", "pynq-z2", &["--shape", shape], &out);
        assert_golden(&out, 2);
    }
}

#[test]
fn other_boards_compute_the_same_integers() {
    let dir = folder();
    for board in ["zybo-z7-10", "zc706"] {
        let out = dir.path().join(board).join("out");
        compile("fire-risk", board, &[], &out);
        assert_golden(&out, 2);
        let manifest = read_json(&out.join("manifest.json"));
        assert_eq!(manifest["board"], board);
    }
}

#[test]
fn the_float_boundary_is_exact_to_the_bit() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &["--io", "float"], &out);
    let output = dir.path().join("y.npz");
    simulate(
        &out,
        &[
            &"--layers",
            &"--input",
            &samples(),
            &"--samples",
            &"8",
            &"--output",
            &output,
        ],
    )
    .passed();
    // softmax has the scale 1/256 and the zero point -128, so the real value is exact in float32
    let wanted = golden(8).mapv(|q| ((f32::from(q) + 128.0) / 256.0).to_bits());
    assert_eq!(
        read_npz::<f32>(&output, "output0").mapv(f32::to_bits),
        wanted
    );

    // values between the grid points, ties, extremes, zeros of both signs, denormals
    let special = [
        0.0,
        -0.0,
        f32::MAX,
        f32::MIN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MIN_POSITIVE,
        -f32::MIN_POSITIVE / 8.0,
        1e-30,
        -1e-30,
        f32::from_bits(1),
        0.5,
        -0.5,
    ];
    let image = ArrayD::from_shape_fn(IxDyn(&[2, 32, 32, 4]), |at| {
        let n = (at[0] * 4096 + at[1] * 128 + at[2] * 4 + at[3]) as i32;
        match n % 3 {
            0 => special[n as usize / 3 % special.len()],
            1 => (n - 4096) as f32 / 2048.0,
            _ => (n % 511 - 255) as f32 / 510.0,
        }
    });
    let file = dir.path().join("x.npz");
    write_npz(&file, &image);
    simulate(&out, &[&"--layers", &"--stall", &"3", &"--input", &file]).passed();
}

#[test]
fn stalls_change_neither_outputs_nor_cycles() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &[], &out);
    let (output, json) = (dir.path().join("y.npz"), dir.path().join("y.json"));
    let mut cycles = Vec::new();
    for seed in 0..20 {
        let seed = seed.to_string();
        simulate(
            &out,
            &[
                &"--stall",
                &seed,
                &"--input",
                &samples(),
                &"--samples",
                &"2",
                &"--output",
                &output,
                &"--json",
                &json,
            ],
        )
        .passed();
        assert_eq!(read_npz::<i8>(&output, "output0"), golden(2), "seed {seed}");
        cycles.push(
            read_json(&json)["cycles_per_inference"]
                .as_u64()
                .expect("a number"),
        );
    }
    cycles.dedup();
    assert_eq!(cycles.len(), 1, "{cycles:?}");
}

#[test]
fn a_trace_is_a_waveform_file() {
    let dir = folder();
    let out = dir.path().join("out");
    compile("fire-risk", "pynq-z2", &["--shape", "3x4x4"], &out);
    let trace = dir.path().join("w.fst");
    simulate(
        &out,
        &[
            &"--trace",
            &trace,
            &"--input",
            &samples(),
            &"--samples",
            &"1",
        ],
    )
    .passed();
    let content = fs::read(&trace).expect("the trace");
    // an FST file starts with a header block (type 0) of 329 bytes
    assert_eq!(content[..9], [0, 0, 0, 0, 0, 0, 0, 1, 73]);
    assert!(content.len() > 10_000, "{} bytes", content.len());
}

#[test]
fn the_demo_ends_without_mismatches() {
    let dir = folder();
    let out = dir.path().join("demo");
    let run = macforge(["demo".as_ref(), "-o".as_ref(), out.as_os_str()]).passed();
    let last = run.stdout.lines().last().expect("some output");
    assert!(last.ends_with(" 0 mismatches"), "{last}");
    for part in ["utilization", "cycles per inference", "synth.tcl", "low"] {
        assert!(run.stdout.contains(part), "{part}");
    }
}
