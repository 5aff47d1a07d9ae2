//! Several precisions in one design with weights from DDR memory: each has its own part of the image, which
//! an inference reads once it is known that it is this one's.

mod float_support;
#[allow(dead_code, reason = "two networks are all that is needed of it")]
mod layers_support;
#[allow(dead_code, reason = "two networks are all that is needed of it")]
mod stream_support;
mod support;

use float_support::{CALIBRATION, write_policies};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use stream_support::{stream_model, stream_variant, strip_model, strip_variant};
use support::memory::{exact, stalls, stopped};
use support::{macforge_in, read_json, simulate};

/// Compiles for a pynq-z2 in a folder that has the models.
fn compile(dir: &Path, arguments: &str) -> PathBuf {
    compile_for(dir, &format!("{arguments} --board pynq-z2 --weights ddr"))
}

fn compile_for(dir: &Path, arguments: &str) -> PathBuf {
    macforge_in(dir, &format!("compile {arguments} -o out")).passed();
    dir.join("out")
}

/// Two quantizations of one network, with other bits in every layer, on a small array.
fn design(dir: &Path, ports: &str) -> PathBuf {
    fs::write(dir.join("one.tflite"), stream_model()).expect("a new file");
    fs::write(dir.join("two.tflite"), stream_variant()).expect("a new file");
    let precisions = "one.tflite --precisions one.tflite,two.tflite";
    compile(
        dir,
        &format!("{precisions} --shape 3x8x4 --hp-ports {ports}"),
    )
}

/// Four samples in every precision, in the order 0 1 1 0 0 1 1 0.
#[track_caller]
fn both_exact(out: &Path, options: &[&str]) -> Value {
    let result = exact(out, options);
    for precision in result["precisions"].as_array().expect("two precisions") {
        assert_eq!(precision["mismatches"], 0, "{options:?}");
        assert!(precision["values_compared"].as_u64() > Some(1000));
    }
    result
}

/// First byte of each port's region.
fn regions(manifest: &Value, precision: usize) -> Vec<usize> {
    let regions = &manifest["precisions"][precision]["stream"]["regions"];
    let bytes = regions.as_array().expect("regions").iter();
    let bytes = bytes.map(|b| b.as_u64().expect("a number") as usize);
    bytes.collect()
}

#[test]
fn both_are_exact_whatever_the_memory_does() {
    for ports in ["1", "2x32", "3", "4"] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = design(dir.path(), ports);
        let manifest = read_json(&out.join("manifest.json"));
        // the ring is written over again and again within an inference
        assert_eq!(manifest["weight_stream"]["ring_words"], 512);
        let of_both = [regions(&manifest, 0), regions(&manifest, 1)].concat();
        assert_eq!(of_both[0], 0);
        assert!(of_both.is_sorted() && of_both.iter().all(|r| r % 4096 == 0));
        let image = fs::metadata(out.join("mem/ddr.bin")).expect("the image");
        assert!(of_both.last().copied() < Some(image.len() as usize));
        for memory in [
            &["--ddr-latency", "20"][..],
            &["--ddr-latency", "400", "--stall", "3"],
            &[
                "--ddr-latency",
                "400",
                "--ddr-bandwidth",
                "10",
                "--stall",
                "4",
            ],
        ] {
            let result = both_exact(&out, memory);
            let slow = memory.contains(&"--ddr-bandwidth");
            let waiting = [0, 1].map(|precision| stalls(&result["precisions"][precision]));
            assert!(
                !slow || waiting.iter().all(|&w| w > 200),
                "{ports} {memory:?}: {waiting:?}"
            );
        }
    }
}

#[test]
fn an_inference_reads_its_own_precisions_weights() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    float_support::write(dir);
    write_policies(dir);
    let both = "--precisions eight.toml,four.toml --shape 5x4x4";
    let out = compile(dir, &format!("tiny.onnx {CALIBRATION} {both}"));
    let result = both_exact(&out, &["--stall", "2"]);
    let manifest = read_json(&out.join("manifest.json"));
    let of = |precision: usize, key: &str| {
        let of = &manifest["precisions"][precision];
        of["stream"][key].as_u64().expect("a number")
    };
    assert!(of(1, "bytes") < of(0, "bytes"));
    assert!(of(1, "memory_floor") < of(0, "memory_floor"));
    // the layers' bytes are the precisions', and none is read for both
    let layers = manifest["layers"].as_array().expect("layers").iter();
    let bytes = layers.filter_map(|l| l["stream"]["bytes"].as_u64());
    assert_eq!(bytes.sum::<u64>(), of(0, "bytes") + of(1, "bytes"));
    for (precision, bits) in [(0, 8), (1, 4)] {
        let first = manifest["precisions"][precision]["first_layer"].as_u64();
        let layer = &manifest["layers"][first.expect("a number") as usize];
        assert_eq!(layer["stream"]["weight_bits"], bits);
    }
    let cycles = |p: usize| result["precisions"][p]["cycles_per_inference"].as_u64();
    assert!(cycles(0).is_some() && cycles(1).is_some());
    let report = macforge_in(dir, "report out").passed().stdout;
    assert!(report.contains("weight bytes"), "{report}");
    assert!(report.contains(&of(1, "bytes").to_string()), "{report}");
}

#[test]
fn faults_of_the_memory_name_the_precision_whose_weights_were_read() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = design(dir.path(), "2");
    let manifest = read_json(&out.join("manifest.json"));
    let [first, second] = [0, 1].map(|precision| regions(&manifest, precision));
    let image = out.join("mem/ddr.bin");
    let good = fs::read(&image).expect("the image");
    let crc = "error code 2 (the CRC-32 of a weight block does not match)";
    // a constant of either one, a weight, the end of a region: in the block that fills the last burst
    let end = (0..second[0]).rev().find(|&at| good[at] != 0);
    for (byte, place) in [
        (first[1] + 30, "at block 0 of memory port 1 for precision 0"),
        (
            second[0] + 30,
            "at block 0 of memory port 0 for precision 1",
        ),
        (
            second[1] + 100,
            "at block 1 of memory port 1 for precision 1",
        ),
        (end.expect("a header"), "of memory port 1 for precision 0"),
    ] {
        let mut bad = good.clone();
        bad[byte] ^= 4;
        fs::write(&image, bad).expect("the image");
        stopped(&out, &["--stall", "5"], &[crc, place]);
    }
    // beyond the end of the image the memory answers with an error
    let slave = "error code 1 (the memory answered";
    fs::write(&image, &good[..second[1]]).expect("the image");
    stopped(
        &out,
        &["--stall", "2"],
        &[slave, "at block 0 of memory port 1 for precision 1"],
    );
    fs::write(&image, &good).expect("the image");
    stopped(
        &out,
        &["--ddr-latency", "100000000"],
        &[
            "error code 3 (no weights came for 65536 cycles)",
            "for precision 0",
        ],
    );
    both_exact(&out, &[]);
}

/// Neither weights nor the largest result fit the device: `auto` takes the memory, and each precision has its
/// first layers in strips. The most strips that are looked at would be too many layers in three precisions.
#[test]
fn each_precision_has_strips_of_its_own_where_the_device_is_too_small() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    fs::write(dir.join("one.tflite"), strip_model()).expect("a new file");
    fs::write(dir.join("two.tflite"), strip_variant()).expect("a new file");
    fs::write(dir.join("three.tflite"), strip_model()).expect("a new file");
    let all = "one.tflite --precisions one.tflite,two.tflite,three.tflite";
    let out = compile_for(dir, &format!("{all} --board zybo-z7-10 --shape 3x8x8"));
    let manifest = read_json(&out.join("manifest.json"));
    assert!(manifest["estimate"]["bram36"].as_f64() <= Some(60.0));
    let layers = manifest["layers"].as_array().expect("layers");
    let strips = |precision: usize| {
        let of = &manifest["precisions"][precision];
        let [first, count] = ["first_layer", "layers"].map(|key| of[key].as_u64());
        let [first, count] = [first, count].map(|n| n.expect("a number") as usize);
        let own = layers[first..first + count].iter();
        let names = own.filter_map(|l| l["name"].as_str());
        names.filter(|name| name.contains("_strip")).count()
    };
    assert!(strips(0) > 0 && [strips(1), strips(2)] == [strips(0); 2]);
    let json = dir.join("y.json");
    let options: [&dyn AsRef<OsStr>; 5] = [&"--layers", &"--samples", &"2", &"--json", &json];
    simulate(&out, &options).passed();
    let result = read_json(&json);
    assert_eq!(result["mismatches"], 0);
    assert!(result["precisions"][1]["values_compared"].as_u64() > Some(100_000));
}
