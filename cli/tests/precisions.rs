//! Several precisions in one design: a register chooses which one the next inference runs.

mod float_support;
mod support;

use float_support::{CALIBRATION, folder, write_policies};
use std::fs;
use std::path::Path;
use support::{Run, command, read_json, read_npz, run, simulate};

fn macforge(dir: &Path, args: &str) -> Run {
    let mut command = command(args.split_whitespace());
    command.current_dir(dir);
    run(command)
}

const TARGET: &str = "--board pynq-z2 --shape 5x4x4";

#[test]
fn two_policies_run_in_turn_and_each_is_exact() {
    let dir = folder();
    let dir = dir.path();
    write_policies(dir);
    let both = "--precisions eight.toml,four.toml";
    let text = macforge(
        dir,
        &format!("compile tiny.onnx {CALIBRATION} {both} {TARGET} -o out"),
    )
    .passed();
    assert!(text.stdout.contains("eight, four"), "{}", text.stdout);
    let manifest = read_json(&dir.join("out/manifest.json"));
    let precisions = manifest["precisions"].as_array().expect("two precisions");
    assert_eq!(precisions.len(), 2);
    assert_eq!(precisions[1]["name"], "four");
    assert_eq!(precisions[1]["value"], 1);
    assert_ne!(
        precisions[0]["policy_sha256"],
        precisions[1]["policy_sha256"]
    );

    let [json, npz] = ["y.json", "y.npz"].map(|name| dir.join(name));
    let options: [&dyn AsRef<std::ffi::OsStr>; 10] = [
        &"--samples",
        &"5",
        &"--layers",
        &"--stall",
        &"3",
        &"--json",
        &json,
        &"--output",
        &npz,
        &"--ddr-bandwidth=100",
    ];
    let simulated = simulate(&dir.join("out"), &options);
    simulated.passed();
    let result = read_json(&json);
    assert_eq!(result["mismatches"], 0);
    let each = result["precisions"].as_array().expect("two precisions");
    assert_eq!(
        result["cycles_per_inference"],
        each[0]["cycles_per_inference"]
    );
    let compared: u64 = each
        .iter()
        .map(|p| p["values_compared"].as_u64().unwrap())
        .sum();
    assert_eq!(result["values_compared"], compared);
    // two networks, not one twice
    let outputs = ["eight.output0", "four.output0"].map(|name| read_npz::<f32>(&npz, name));
    assert_ne!(outputs[0], outputs[1]);
    assert_eq!(outputs[0], read_npz::<f32>(&npz, "output0"));

    let report = macforge(dir, "report out --json r.json").passed();
    assert!(report.stdout.contains("Precisions"), "{}", report.stdout);
    let report = read_json(&dir.join("r.json"));
    assert_eq!(report["precisions"][1]["weight_bits"], "4");
    assert!(report["precisions"][1]["evaluation"]["quantized_accuracy"].is_f64());
}

#[test]
fn quantized_models_make_the_same_design_as_their_policies() {
    let dir = folder();
    let dir = dir.path();
    write_policies(dir);
    for name in ["eight", "four"] {
        let policy = format!("--policy {name}.toml -o {name}.mfq");
        macforge(dir, &format!("quantize tiny.onnx {CALIBRATION} {policy}")).passed();
    }
    let one = format!("compile tiny.onnx {CALIBRATION} --precisions eight.toml,four.toml");
    macforge(dir, &format!("{one} {TARGET} -o one")).passed();
    let two = "compile four.mfq --precisions eight.mfq,four.mfq";
    macforge(dir, &format!("{two} {TARGET} -o two")).passed();
    let image = |design: &str, name: &str| fs::read(dir.join(design).join(name)).unwrap();
    for name in ["program.mem", "weights.mem", "params.mem"] {
        let name = format!("mem/{name}");
        assert!(image("one", &name) == image("two", &name), "{name}");
    }
    // what a design with one precision has not
    macforge(dir, &format!("compile four.mfq {TARGET} -o single")).passed();
    let text = String::from_utf8(image("single", "rtl/sequencer.v")).unwrap();
    assert!(!text.contains("set_q"), "{text}");
    let manifest = read_json(&dir.join("single/manifest.json"));
    assert!(manifest.get("precisions").is_none());
}

#[test]
fn what_cannot_be_in_one_design_is_refused() {
    let dir = folder();
    let dir = dir.path();
    write_policies(dir);
    fs::create_dir(dir.join("b")).unwrap();
    fs::copy(dir.join("four.toml"), dir.join("b/eight.toml")).unwrap();
    let quantize = "--policy four.toml -o four.mfq";
    macforge(dir, &format!("quantize tiny.onnx {CALIBRATION} {quantize}")).passed();
    let both = "--precisions eight.toml,four.toml";
    let cases: [(&str, &str, &[&str]); 6] = [
        ("tiny.onnx", "--precisions eight.toml", &["2 to 16"]),
        (
            "tiny.onnx",
            "--precisions eight.toml,b/eight.toml",
            &["different names"],
        ),
        (
            "tiny.onnx",
            "--precisions four.mfq,b/other.mfq",
            &["one of them"],
        ),
        ("four.mfq", both, &["quantized already"]),
        (
            "tiny.onnx",
            &format!("{both} --io float"),
            &["another scale", "--io int8"],
        ),
        (
            "tiny.onnx",
            &format!("{both} --policy four.toml"),
            &["cannot be used with"],
        ),
    ];
    for (model, options, parts) in cases {
        let data = if options.contains("toml") {
            CALIBRATION
        } else {
            ""
        };
        macforge(
            dir,
            &format!("compile {model} {data} {options} {TARGET} -o out"),
        )
        .refused(parts);
        assert!(!dir.join("out").exists());
    }
}
