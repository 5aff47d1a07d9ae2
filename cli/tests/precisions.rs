//! Several precisions in one design: a register chooses which one the next inference runs.

mod float_support;
mod fp16_lstm_support;
mod lstm_support;
mod support;

use float_support::{CALIBRATION, folder, write_policies};
use fp16_lstm_support::Network;
use lstm_support::Recurrent;
use std::fs;
use std::path::Path;
use support::{macforge_in, read_json, read_npz, simulate};

const TARGET: &str = "--board pynq-z2 --shape 5x4x4";

#[test]
fn two_policies_run_in_turn_and_each_is_exact() {
    let dir = folder();
    let dir = dir.path();
    write_policies(dir);
    let both = "--precisions eight.toml,four.toml";
    let text = macforge_in(
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

    let report = macforge_in(dir, "report out --json r.json").passed();
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
        macforge_in(dir, &format!("quantize tiny.onnx {CALIBRATION} {policy}")).passed();
    }
    let one = format!("compile tiny.onnx {CALIBRATION} --precisions eight.toml,four.toml");
    macforge_in(dir, &format!("{one} {TARGET} -o one")).passed();
    let two = "compile four.mfq --precisions eight.mfq,four.mfq";
    macforge_in(dir, &format!("{two} {TARGET} -o two")).passed();
    let image = |design: &str, name: &str| fs::read(dir.join(design).join(name)).unwrap();
    for name in ["program.mem", "weights.mem", "params.mem"] {
        let name = format!("mem/{name}");
        assert!(image("one", &name) == image("two", &name), "{name}");
    }
    // what a design with one precision has not
    macforge_in(dir, &format!("compile four.mfq {TARGET} -o single")).passed();
    let text = String::from_utf8(image("single", "rtl/sequencer.v")).unwrap();
    assert!(!text.contains("set_q"), "{text}");
    let manifest = read_json(&dir.join("single/manifest.json"));
    assert!(manifest.get("precisions").is_none());
}

/// Policies for the fire network. LSTM, attention and residual layers have other weights in the second one,
/// and other scales of their values in the third one.
const FIRE_POLICIES: [(&str, &str); 3] = [
    ("eight", "[default]\nweights = { bits = 8 }\n"),
    (
        "four",
        "[default]\nweights = { bits = 4, calibrator = \"mse\" }\n\
         [[layer]]\nmatch = \"image.stem\"\nweights = { bits = 8 }\n\
         [[layer]]\nmatch = \"head.*\"\nweights = { bits = 8 }\n",
    ),
    (
        "mixed",
        "[default]\nactivations = { bits = 8, scheme = \"symmetric\", calibrator = \"mse\" }\n\
         [[layer]]\nmatch = \"image.stage*\"\nweights = { bits = 4, calibrator = \"mse\" }\n",
    ),
];

/// Simulates three samples in every precision, one after the other, and compares every stored tensor.
#[track_caller]
fn assert_exact(dir: &Path, precisions: usize) {
    let json = dir.join("y.json");
    let options: [&dyn AsRef<std::ffi::OsStr>; 7] = [
        &"--samples",
        &"3",
        &"--layers",
        &"--stall",
        &"5",
        &"--json",
        &json,
    ];
    simulate(&dir.join("out"), &options).passed();
    let result = read_json(&json);
    assert_eq!(result["mismatches"], 0);
    let each = result["precisions"].as_array().expect("several precisions");
    assert_eq!(each.len(), precisions);
}

#[test]
fn units_run_with_the_constants_of_each_precision() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (name, policy) in FIRE_POLICIES {
        fs::write(dir.join(name).with_extension("toml"), policy).unwrap();
    }
    let three = "--precisions eight.toml,four.toml,mixed.toml --shape 3x8x8";
    let compile = format!("compile firenet-small {three} --board pynq-z2 -o out");
    macforge_in(dir, &compile).passed();
    let text = |name: &str| fs::read_to_string(dir.join("out").join(name)).unwrap();
    // the attention's numbers of the first two are the same, the LSTM's are all different
    let (attention, lstm) = (text("rtl/attention_unit.v"), text("rtl/lstm_unit.v"));
    assert!(attention.contains("[0:0]      constants,"), "{attention}");
    assert!(attention.contains("score_multiplier_q <="), "{attention}");
    assert!(lstm.contains("[1:0]      constants,"), "{lstm}");
    // weights of 8 bits are those of the first and of the third
    let words = |name: &str| text(name).lines().count();
    assert_eq!(words("mem/lstm_weights.mem"), 2 * 160);
    assert_eq!(words("mem/lstm_params.mem"), 3 * 256);
    assert_exact(dir, 3);
}

/// Seven steps of six inputs, five units, four classes.
const RECURRENT: Recurrent = Recurrent {
    size: [7, 6, 5],
    cell_bits: 3,
    cell_clip: 0.0,
    hidden_scale: 1.0 / 128.0,
    classes: 4,
};

#[test]
fn integer_lstms_and_softmaxes_have_their_own_constants() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // other formats of the cell state, clipped and not, other weights and scales
    let other = Recurrent {
        cell_bits: 0,
        cell_clip: 0.3,
        hidden_scale: 0.006,
        ..RECURRENT
    };
    for (name, model) in [("a", RECURRENT.file(1)), ("b", other.file(2))] {
        fs::write(dir.join(name).with_extension("tflite"), model).unwrap();
    }
    let both = "compile a.tflite --precisions a.tflite,b.tflite --board pynq-z2 --shape 3x8x4";
    macforge_in(dir, &format!("{both} -o out")).passed();
    let lstm = fs::read_to_string(dir.join("out/rtl/lstm_unit.v")).unwrap();
    for constant in ["clip_low", "enter_shift", "cell_function", "hidden_zero"] {
        let chosen = lstm.contains(&format!("{constant}_q <="));
        assert_eq!(chosen, constant != "hidden_zero", "{constant}: {lstm}");
    }
    assert_exact(dir, 2);
}

/// The weights come from memory, each precision's from its own regions.
#[test]
fn fp16_lstms_with_streamed_weights_have_their_own_constants() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (name, hidden, seed) in [("a", (0.006, 3), 1), ("b", (0.0079, -40), 2)] {
        let network = Network {
            size: [7, 6, 5],
            hidden,
            classes: 0,
        };
        let model = network.quantized(seed).to_bytes().unwrap();
        fs::write(dir.join(name).with_extension("onnx"), model).unwrap();
    }
    let both = "compile a.onnx --precisions a.onnx,b.onnx --board pynq-z2 --shape 3x8x4";
    macforge_in(dir, &format!("{both} --weights ddr -o out")).passed();
    let lstm = fs::read_to_string(dir.join("out/rtl/lstm_unit.v")).unwrap();
    assert!(lstm.contains("param_first_q <="), "{lstm}");
    assert!(!lstm.contains("weight_first"), "{lstm}");
    assert_exact(dir, 2);
}

#[test]
fn units_of_another_size_or_arithmetic_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let shorter = Recurrent {
        size: [7, 6, 4],
        ..RECURRENT
    };
    let network = Network {
        size: [7, 6, 5],
        hidden: (0.006, 3),
        classes: 0,
    };
    for (name, model) in [
        ("a.tflite", RECURRENT.file(1)),
        ("shorter.tflite", shorter.file(2)),
        ("fp16.onnx", network.quantized(1).to_bytes().unwrap()),
    ] {
        fs::write(dir.join(name), model).unwrap();
    }
    for (other, parts) in [
        (
            "shorter.tflite",
            ["7 steps, 6 inputs and 4 units", "[7, 6, 5]"],
        ),
        // integers are TFLite's, FP16 is onnxruntime's
        (
            "fp16.onnx",
            ["ort-x86 rounding", "tflite-double in the first"],
        ),
    ] {
        let both = format!("compile a.tflite --precisions a.tflite,{other}");
        macforge_in(dir, &format!("{both} --board pynq-z2 --shape 3x8x4 -o out")).refused(&parts);
    }
}

#[test]
fn what_cannot_be_in_one_design_is_refused() {
    let dir = folder();
    let dir = dir.path();
    write_policies(dir);
    fs::create_dir(dir.join("b")).unwrap();
    fs::copy(dir.join("four.toml"), dir.join("b/eight.toml")).unwrap();
    let quantize = "--policy four.toml -o four.mfq";
    macforge_in(dir, &format!("quantize tiny.onnx {CALIBRATION} {quantize}")).passed();
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
        macforge_in(
            dir,
            &format!("compile {model} {data} {options} {TARGET} -o out"),
        )
        .refused(parts);
        assert!(!dir.join("out").exists());
    }
}
