//! Compares the speed of the system bridge with that of a bare C++ main loop around the same design,
//! built by Verilator's own makefile with the same options. Ends with code 1 when the bridge is more
//! than 20 % slower or the outputs differ.
//!
//! `cargo run --release --example bridge_overhead -- DIR INPUT_WORDS OUTPUT_WORDS [INFERENCES]`
//! where `DIR/rtl` and `DIR/mem` are as `macforge compile` writes them.

use macforge_sim::{
    BuildRequest, Builder, COMPILER_OPTIONS, RunOptions, System, VERILATOR_OPTIONS,
};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::AtomicBool;

const TOP: &str = "macforge_top";
const ROUNDS: usize = 5;
const WANTED_RATIO: f64 = 0.8;

/// Cycles per second and a checksum of the outputs.
struct Speed {
    rate: f64,
    checksum: u32,
}

struct Design {
    sources: Vec<PathBuf>,
    memory_dir: PathBuf,
    input_words: u32,
    output_words: usize,
    inferences: u32,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let design = Design::from_args()?;
    let builder = Builder::from_env()?;
    let mut system = System::build(&design.request(), &builder, &AtomicBool::new(false))?;
    let info = system.build_info();
    println!(
        "bridge ready after {:.1} s (cached: {})",
        info.seconds, info.cached
    );
    let folder = tempfile::tempdir()?;
    let program = build_bare(&design, &builder, folder.path())?;

    let (mut bridge, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Alternating, so that other load on the machine hits both.
        let a = run_bare(&design, &program)?;
        let b = run_bridge(&design, &mut system)?;
        println!(
            "round {round}: bare {:.0} cycles/s, bridge {:.0}",
            a.rate, b.rate
        );
        if a.checksum != b.checksum {
            println!("the outputs differ");
            return Ok(ExitCode::FAILURE);
        }
        bare.push(a.rate);
        bridge.push(b.rate);
    }
    let (bare, bridge) = (median(bare), median(bridge));
    let ratio = bridge / bare;
    println!("median: bare {bare:.0} cycles/s, bridge {bridge:.0}, ratio {ratio:.3}");
    Ok(if ratio >= WANTED_RATIO {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Design {
    fn from_args() -> Result<Self, Box<dyn Error>> {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let [folder, input_words, output_words, rest @ ..] = &args[..] else {
            return Err("usage: bridge_overhead DIR INPUT_WORDS OUTPUT_WORDS [INFERENCES]".into());
        };
        let folder = std::fs::canonicalize(folder)?;
        let mut sources = Vec::new();
        for entry in std::fs::read_dir(folder.join("rtl"))? {
            sources.push(entry?.path());
        }
        sources.sort();
        Ok(Self {
            sources,
            memory_dir: folder.join("mem"),
            input_words: input_words.parse()?,
            output_words: output_words.parse()?,
            inferences: rest.first().map_or(Ok(20), |text| text.parse())?,
        })
    }

    fn request(&self) -> BuildRequest {
        BuildRequest {
            top: TOP.to_owned(),
            sources: self.sources.clone(),
            memory_dir: self.memory_dir.clone(),
            layers: None,
            trace: false,
            quick: false,
            memory: None,
        }
    }
}

fn build_bare(
    design: &Design,
    builder: &Builder,
    folder: &Path,
) -> Result<PathBuf, Box<dyn Error>> {
    let main = folder.join("bare.cpp");
    std::fs::write(&main, include_str!("bare.cpp"))?;
    let make = format!(
        "CXX={} LINK={} OPT_FAST='{}'",
        builder.tools().compiler().display(),
        builder.tools().compiler().display(),
        COMPILER_OPTIONS.join(" ")
    );
    let status = Command::new(builder.tools().verilator())
        .args(["--cc", "--exe", "--build", "-j", "2", "-MAKEFLAGS", &make])
        .args(VERILATOR_OPTIONS)
        .args(["--top-module", TOP, "--prefix", "Vdut", "--Mdir"])
        .arg(folder.join("obj"))
        .args(&design.sources)
        .arg(main)
        .stdout(std::process::Stdio::null())
        .status()?;
    if !status.success() {
        return Err("verilator could not build the bare loop".into());
    }
    Ok(folder.join("obj/Vdut"))
}

fn run_bare(design: &Design, program: &Path) -> Result<Speed, Box<dyn Error>> {
    let output = Command::new(program)
        .current_dir(&design.memory_dir)
        .arg(design.input_words.to_string())
        .arg(design.output_words.to_string())
        .arg(design.inferences.to_string())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut fields = text.split_whitespace();
    let mut field = || fields.next().ok_or("the bare loop printed too little");
    let (cycles, seconds): (f64, f64) = (field()?.parse()?, field()?.parse()?);
    Ok(Speed {
        rate: cycles / seconds,
        checksum: field()?.parse()?,
    })
}

fn run_bridge(design: &Design, system: &mut System) -> Result<Speed, Box<dyn Error>> {
    let cancel = AtomicBool::new(false);
    let options = RunOptions::default();
    let (mut cycles, mut seconds, mut checksum) = (0, 0.0, 0u32);
    for n in 0..design.inferences {
        let input: Vec<u32> = (0..design.input_words)
            .map(|i| i.wrapping_add(n).wrapping_mul(0x9E37_79B9))
            .collect();
        let result = system.infer(&input, design.output_words, &options, &cancel, &mut |_| {})?;
        cycles += result.sim_cycles;
        seconds += result.sim_seconds;
        for word in result.output_words {
            checksum = checksum.wrapping_mul(31).wrapping_add(word);
        }
    }
    Ok(Speed {
        rate: cycles as f64 / seconds,
        checksum,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
