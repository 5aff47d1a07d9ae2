//! Deliberate faults, one at a time, in the generated Verilog and the memory images: the
//! co-simulation must notice every one of them. What it would not notice here could be wrong in a
//! design that it calls proved.

mod float_support;
mod fp16_lstm_support;
#[allow(dead_code, reason = "one graph is all that is needed of it")]
mod layers_support;
mod lstm_support;
mod mutants;
mod pairs_support;
mod quad_support;
mod staircase_support;
#[allow(dead_code, reason = "one network is all that is needed of it")]
mod stream_support;
mod support;
mod tensors_support;
mod wide_support;

use fp16_lstm_support::Network;
use layers_support::{Net, Weighted, Weights, k, pool};
use lstm_support::Recurrent;
use macforge_model::tflite::writer::Fused;
use mutants::{Base, Change, MUTANTS, Mutant};
use ndarray::{ArrayD, Axis, Slice, concatenate};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use stream_support::{large_input_model, narrow_model, stream_model};
use support::{Run, compile, read_npz, samples, simulate, tree, write_npz};

/// Small enough to build in seconds; has everything: several pixels, more lanes than input channels
/// (so two segments per word), a layer that must hold, padding, stride 2, residual, pooling.
const SHAPE: &str = "5x8x4";

/// Builds that run at the same time.
const WORKERS: usize = 2;

type Files = BTreeMap<String, Vec<u8>>;

/// Two samples of the built-in model, and one of noise that makes layers saturate.
fn write_samples(path: &Path) {
    let all = read_npz::<i8>(&samples(), "input");
    let two = all.slice_axis(Axis(0), Slice::from(..2));
    let mut state = 1u32;
    let noise =
        ArrayD::from_shape_simple_fn(two.slice_axis(Axis(0), Slice::from(..1)).raw_dim(), || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // extremes are the rule
            if state >> 30 == 0 {
                (state >> 16) as i8
            } else {
                [-128, 127][(state >> 29) as usize & 1]
            }
        });
    let three = concatenate(Axis(0), &[two, noise.view()]).expect("equal shapes");
    write_npz(path, &three);
}

/// Where fields of the program word lie, from the slices of the top module.
fn field_offset(files: &Files, name: &str) -> usize {
    let top = text(files, "rtl/macforge_top.v");
    let start = format!(" f_{name} = layer[");
    let (_, rest) = top
        .split_once(&start)
        .unwrap_or_else(|| panic!("no field {name}"));
    rest.split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("an offset")
}

fn text(files: &Files, name: &str) -> String {
    let content = files.get(name).unwrap_or_else(|| panic!("no file {name}"));
    String::from_utf8(content.clone()).expect("text")
}

/// Flips bit `bit` of line `line` of a memory image.
fn flip(image: &str, line: usize, bit: usize) -> String {
    let mut lines: Vec<String> = image.lines().map(str::to_string).collect();
    let word = &mut lines[line];
    let digit = word.len() - 1 - bit / 4;
    let old = u8::from_str_radix(&word[digit..=digit], 16).expect("a hexadecimal digit");
    word.replace_range(digit..=digit, &format!("{:x}", old ^ (1 << (bit % 4))));
    lines.join("\n") + "\n"
}

/// The file that a mutant changes, and its new content.
fn apply(files: &Files, mutant: &Mutant) -> (String, String) {
    match mutant.change {
        Change::Text {
            file,
            times,
            old,
            new,
        } => {
            let file = format!("rtl/{file}.v");
            let before = text(files, &file);
            let found = before.matches(old).count();
            assert_eq!(
                found, times,
                "{}: `{old}` stands {found} times in {file}",
                mutant.name
            );
            (file, before.replace(old, new))
        }
        Change::Bit { image, line, bit } => {
            let file = format!("mem/{image}.mem");
            let after = flip(&text(files, &file), line, bit);
            (file, after)
        }
        Change::Field { layer, field, bit } => {
            let file = "mem/program.mem".to_string();
            let after = flip(&text(files, &file), layer, field_offset(files, field) + bit);
            (file, after)
        }
    }
}

/// Runs a mutant; what noticed it, or why it counts as not noticed.
fn judge(base: &Original, mutant: &Mutant) -> Result<String, String> {
    let (file, content) = apply(&base.files, mutant);
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, original) in &base.files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a new folder");
        let bytes = if *name == file {
            content.as_bytes()
        } else {
            original
        };
        fs::write(path, bytes).expect("a new file");
    }
    verdict(&base.simulate(dir.path()))
}

fn verdict(run: &Run) -> Result<String, String> {
    match run.code {
        1 => {
            let first = run.stdout.lines().find(|l| l.contains(", wanted "));
            Ok(first
                .ok_or_else(|| format!("exit code 1 without a difference: {}", run.stdout))?
                .trim()
                .to_string())
        }
        2 if ["hangs", "protocol violation", "stopped with error"]
            .iter()
            .any(|by| run.stderr.contains(by)) =>
        {
            Ok(run.stderr.chars().take(150).collect())
        }
        0 => Err("SURVIVED".into()),
        code => Err(format!("not simulated, exit code {code}: {}", run.stderr)),
    }
}

/// A design that is mutated, with the samples that it computes.
struct Original {
    out: PathBuf,
    files: Files,
    options: Vec<String>,
}

impl Original {
    fn new(model: &str, options: &[&str], out: PathBuf, samples: &[&str]) -> Self {
        Original::of_board("pynq-z2", (model, options), out, samples)
    }

    fn of_board(
        board: &str,
        (model, options): (&str, &[&str]),
        out: PathBuf,
        samples: &[&str],
    ) -> Self {
        compile(model, board, options, &out);
        let simulated = ["--layers", "--stall", "1"].iter().chain(samples);
        Original {
            files: tree(&out),
            out,
            options: simulated.map(|s| s.to_string()).collect(),
        }
    }

    fn simulate(&self, dir: &Path) -> Run {
        let options: Vec<&dyn AsRef<OsStr>> = self
            .options
            .iter()
            .map(|option| option as &dyn AsRef<OsStr>)
            .collect();
        simulate(dir, &options)
    }
}

/// Two depthwise layers of more channels than a word has, the second one without neighbours, behind a
/// convolution and in front of pooling.
fn depthwise_model() -> Vec<u8> {
    let (mut net, x) = Net::with_zero_points(7, [9, 8, 3], &[-3, 5, -20]);
    let x = net.conv(x, 37, k(3, 3));
    let x = net.depthwise(x, 1, k(3, 3).stride(2, 2));
    let x = net.depthwise(x, 1, k(2, 1));
    let x = net.average_pool(x, pool(2, 1), Fused::None);
    let y = net.fully_connected(x, 5, Weighted::default());
    net.finish(y)
}

/// The designs that are mutated.
fn bases(dir: &Path) -> BTreeMap<Base, Original> {
    let path = |name: &str| dir.join(name).to_str().expect("a plain name").to_string();
    let input = path("x.npz");
    write_samples(Path::new(&input));
    let pairs_input = path("pairs.npz");
    pairs_support::write_input(Path::new(&pairs_input));
    let fire_risk = |io: &str| {
        let options = ["--shape", SHAPE, "--io", io];
        Original::new("fire-risk", &options, dir.join(io), &["--input", &input])
    };
    // a model of its own, on a small array
    let own = |file: &str, model: Vec<u8>, more: &[&str], samples: &[&str]| {
        fs::write(dir.join(file), model).expect("a new file");
        let options = [&["--shape", "3x8x4"], more].concat();
        let out = dir.join(file).with_extension("");
        Original::new(&path(file), &options, out, samples)
    };
    let recurrent = Recurrent {
        size: [7, 6, 5],
        cell_bits: 3,
        cell_clip: 0.0,
        hidden_scale: 0.0065,
        classes: 0,
    };
    // two precisions, which have only their size in common
    let [classes, other] = [0.0065, 0.02].map(|hidden_scale| Recurrent {
        hidden_scale,
        classes: 4,
        ..recurrent
    });
    fs::write(dir.join("other.tflite"), other.file(4)).expect("a new file");
    let recurrent_policies = path("lstm.tflite") + "," + &path("other.tflite");
    let both = ["--precisions", recurrent_policies.as_str()];
    let network = Network {
        size: [7, 6, 5],
        hidden: (0.006, 3),
        classes: 0,
    };
    let network = network.quantized(3).to_bytes().expect("a plain graph");
    let streamed = ["--weights", "ddr", "--hp-ports", "3"];
    let slow = ["--samples", "3", "--ddr-bandwidth", "20"];
    let lstm_streamed = ["--weights", "ddr", "--hp-ports", "1"];
    let eight = ["--samples", "8"];
    float_support::write(dir);
    float_support::write_policies(dir);
    let [calib, policies] = [
        path("data.npz"),
        path("eight.toml") + "," + &path("four.toml"),
    ];
    let precisions = [
        "--calib",
        &calib,
        "--divide",
        "255",
        "--precisions",
        &policies,
    ];
    let [pairs, staircase] = [pairs_support::model(), staircase_support::model()];
    let wide = own("wide.onnx", wide_support::model(), &[], &["--samples", "4"]);
    let quads = quad_support::model();
    fs::write(dir.join("large.tflite"), large_input_model()).expect("a new file");
    let tensors_model = dir.join("tensors.onnx");
    fs::write(&tensors_model, tensors_support::model()).expect("a new file");
    let tensors = Original::new(
        tensors_model.to_str().expect("a plain name"),
        &["--shape", "3x8x4"],
        dir.join("tensors"),
        &["--samples", "8"],
    );
    BTreeMap::from([
        (Base::Wide, wide),
        (Base::Tensors, tensors),
        (Base::Int8, fire_risk("int8")),
        (Base::Float, fire_risk("float")),
        (
            Base::Depthwise,
            own(
                "depthwise.tflite",
                depthwise_model(),
                &[],
                &["--samples", "4"],
            ),
        ),
        (
            Base::Lstm,
            own("lstm.tflite", classes.file(3), &both, &eight),
        ),
        (
            Base::LstmMemory,
            own("slow_lstm.tflite", recurrent.file(3), &lstm_streamed, &slow),
        ),
        (Base::Fp16Lstm, own("fp16_lstm.onnx", network, &[], &eight)),
        (
            Base::Memory,
            own("stream.tflite", stream_model(), &streamed, &slow),
        ),
        (
            Base::Constants,
            Original::new(
                &path("stream.tflite"),
                &["--shape", "3x40x4", "--weights", "ddr"],
                dir.join("constants"),
                &["--samples", "3"],
            ),
        ),
        (
            Base::Precisions,
            Original::new(
                &path("tiny.onnx"),
                &[&["--shape", "3x8x4"][..], &precisions].concat(),
                dir.join("precisions"),
                &["--samples", "4"],
            ),
        ),
        (
            Base::PrecisionsMemory,
            Original::new(
                &path("tiny.onnx"),
                &[&["--shape", "3x8x4", "--weights", "ddr"][..], &precisions].concat(),
                dir.join("precisions_memory"),
                &["--samples", "4"],
            ),
        ),
        (
            Base::Narrow,
            own(
                "narrow.tflite",
                narrow_model([Weights::FourBits, Weights::Units]),
                &[],
                &["--samples", "4"],
            ),
        ),
        (
            Base::Pairs,
            own("pairs.onnx", pairs, &[], &["--input", &pairs_input]),
        ),
        (
            Base::Spill,
            Original::of_board(
                "zybo-z7-10",
                (&path("large.tflite"), &["--shape", "3x8x4"]),
                dir.join("spill"),
                &["--samples", "2"],
            ),
        ),
        (Base::Quads, own("quads.onnx", quads, &[], &eight)),
        (
            Base::Staircase,
            own("staircase.onnx", staircase, &[], &["--samples", "16"]),
        ),
    ])
}

#[test]
fn every_deliberate_fault_is_noticed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let bases = bases(dir.path());
    // without a fault everything passes
    for original in bases.values() {
        original.simulate(&original.out).passed();
    }
    let next = AtomicUsize::new(0);
    let survivors = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(mutant) = MUTANTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let started = Instant::now();
                    let result = judge(&bases[&mutant.base], mutant);
                    let (Ok(by) | Err(by)) = &result;
                    println!(
                        "{:57} {:4.1} s  {by}",
                        mutant.name,
                        started.elapsed().as_secs_f64()
                    );
                    if result.is_err() {
                        survivors
                            .lock()
                            .expect("no worker panicked")
                            .push(mutant.name);
                    }
                }
            });
        }
    });
    let survivors = survivors.into_inner().expect("no worker panicked");
    println!(
        "{} of {} noticed",
        MUTANTS.len() - survivors.len(),
        MUTANTS.len()
    );
    assert!(survivors.is_empty(), "not noticed: {survivors:?}");
}
