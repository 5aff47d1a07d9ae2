//! Verilog text -> shared library: verilator, C++ compiler, linker, all inside one cache entry.

use crate::builder::Builder;
use crate::cache::Key;
use crate::compile;
use crate::contract;
use crate::error::SimError;
use crate::ports::{self, Port};
use crate::process::{Job, JobError, run_jobs};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Options of every Verilator run, chosen by measurement (see `examples/bridge_overhead.rs`).
pub const VERILATOR_OPTIONS: [&str; 10] = [
    "-O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--noassert",
    "--timescale-override",
    "1ns/1ns",
    "--output-split",
    "5000",
];

/// One Verilog file: name (without folders) and text.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    pub name: String,
    pub text: String,
}

impl SourceFile {
    pub fn read(path: &Path) -> Result<Self, SimError> {
        let text = fs::read_to_string(path).map_err(SimError::io("read", path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            name: name.into_owned(),
            text,
        })
    }
}

/// The C++ half of a bridge.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shim {
    Block,
    System,
}

impl Shim {
    fn text(self) -> &'static str {
        match self {
            Self::Block => include_str!("shim/block.cpp"),
            Self::System => include_str!("shim/system.cpp"),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::System => "system",
        }
    }
}

pub(crate) const COMMON_H: &str = include_str!("shim/common.h");
/// Headers of the shims, by file name.
const HEADERS: [(&str, &str); 3] = [
    ("common.h", COMMON_H),
    ("stall.h", include_str!("shim/stall.h")),
    ("memory.h", include_str!("shim/memory.h")),
];
pub(crate) const COMMON_CPP: &str = include_str!("shim/common.cpp");
const LIBRARY: &str = "model.so";
const PORTS: &str = "ports.txt";

/// Everything that decides what is built. Memory images are not in here: `$readmemh` reads them when
/// the model starts, so new weights need no new build.
pub(crate) struct BuildSpec {
    pub top: String,
    pub sources: Vec<SourceFile>,
    pub parameters: Vec<(String, String)>,
    /// Text of a Verilator control file, empty for none.
    pub control: String,
    pub shim: Shim,
    pub trace: bool,
    pub quick: bool,
}

/// How a build came about.
#[derive(Debug, Clone)]
pub struct BuildInfo {
    /// True when the finished library was in the cache.
    pub cached: bool,
    /// Wall-clock time of the build or look-up.
    pub seconds: f64,
    /// The shared library.
    pub library: PathBuf,
}

/// A finished build.
pub(crate) struct Built {
    pub info: BuildInfo,
    pub ports: Vec<Port>,
}

/// Builds `spec`, or finds it in the cache. `check` sees the ports before the C++ compiler runs.
pub(crate) fn build(
    spec: &BuildSpec,
    builder: &Builder,
    cancel: &AtomicBool,
    check: impl Fn(&[Port]) -> Result<(), SimError>,
) -> Result<Built, SimError> {
    let start = Instant::now();
    check_names(spec)?;
    let (folder, cached) = builder.cache.entry(&key(spec, builder), |entry| {
        let work = entry.with_file_name("work");
        fs::create_dir(&work).map_err(SimError::io("create", &work))?;
        let ports = verilate(spec, builder, &work, cancel)?;
        check(&ports)?;
        let library = entry.join(LIBRARY);
        compile::library(spec, builder, &work, &library, cancel)?;
        write(&entry.join(PORTS), &ports::to_text(&ports))
    })?;
    let list = folder.join(PORTS);
    let text = fs::read_to_string(&list).map_err(SimError::io("read", &list))?;
    let ports = ports::from_text(&text).ok_or_else(|| {
        let reason = std::io::Error::other("not a port list; delete the folder and run again");
        SimError::io("use", &list)(reason)
    })?;
    let info = BuildInfo {
        cached,
        seconds: start.elapsed().as_secs_f64(),
        library: folder.join(LIBRARY),
    };
    Ok(Built { info, ports })
}

/// Runs `verilator --lint-only -Wall` on Verilog files; any message is an error.
///
/// # Errors
/// [`SimError::Verilator`] with what Verilator printed; [`SimError::Io`] for unreadable files.
pub fn lint(top: &str, sources: &[PathBuf], builder: &Builder) -> Result<(), SimError> {
    let folder = tempfile::tempdir().map_err(SimError::io("create", std::env::temp_dir()))?;
    let mut args = vec!["--lint-only".into(), "-Wall".into()];
    args.extend(["--top-module".into(), OsString::from(top)]);
    for source in sources {
        let path = fs::canonicalize(source).map_err(SimError::io("read", source))?;
        args.push(path.into());
    }
    run_verilator(top, builder, args, folder.path(), &AtomicBool::new(false))
}

fn check_names(spec: &BuildSpec) -> Result<(), SimError> {
    let bad = |reason: String| {
        Err(SimError::Request {
            top: spec.top.clone(),
            reason,
        })
    };
    if spec.sources.is_empty() {
        return bad("no Verilog source given".to_owned());
    }
    let mut names: Vec<&str> = spec.sources.iter().map(|s| s.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return bad(format!("two source files are named `{}`", pair[0]));
    }
    match names
        .iter()
        .find(|name| name.is_empty() || name.contains('/'))
    {
        Some(name) => bad(format!("`{name}` is not a file name")),
        None => Ok(()),
    }
}

fn key(spec: &BuildSpec, builder: &Builder) -> Key {
    let mut key = Key::new(spec.shim.kind());
    compile::add_to_key(&mut key, builder);
    for option in VERILATOR_OPTIONS {
        key.add(option);
    }
    for text in HEADERS.iter().map(|(_, text)| *text) {
        key.add(text);
    }
    key.add(COMMON_CPP).add(spec.shim.text());
    key.add(&spec.top)
        .add(&spec.control)
        .add([u8::from(spec.trace), u8::from(spec.quick)]);
    for (name, value) in &spec.parameters {
        key.add("parameter").add(name).add(value);
    }
    for source in &spec.sources {
        key.add("source").add(&source.name).add(&source.text);
    }
    key
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), SimError> {
    fs::write(path, text).map_err(SimError::io("write", path))
}

/// Verilog -> C++ in `work/obj`, shim texts included; returns the ports.
fn verilate(
    spec: &BuildSpec,
    builder: &Builder,
    work: &Path,
    cancel: &AtomicBool,
) -> Result<Vec<Port>, SimError> {
    let (src, obj) = (work.join("src"), work.join("obj"));
    fs::create_dir(&src).map_err(SimError::io("create", &src))?;
    let mut args: Vec<OsString> = vec!["--cc".into()];
    args.extend(VERILATOR_OPTIONS.map(OsString::from));
    if spec.trace {
        args.push("--trace-fst".into());
    }
    args.extend(["--top-module", &spec.top, "--prefix", "Vdut", "--Mdir"].map(OsString::from));
    args.push("../obj".into());
    for (name, value) in &spec.parameters {
        args.push(format!("-G{name}={value}").into());
    }
    if !spec.control.is_empty() {
        write(&src.join("macforge_probes.vlt"), &spec.control)?;
        args.push("macforge_probes.vlt".into());
    }
    for source in &spec.sources {
        write(&src.join(&source.name), &source.text)?;
        args.push(source.name.clone().into());
    }
    // Run where the sources are, so that messages name files as the caller did.
    run_verilator(&spec.top, builder, args, &src, cancel)?;
    let header = obj.join("Vdut.h");
    let header = fs::read_to_string(&header).map_err(SimError::io("read", &header))?;
    let ports = ports::parse_header(&header);
    let table: String = ports
        .iter()
        .map(|port| format!("MF_PORT({})\n", port.name))
        .collect();
    write(&obj.join("mf_ports.inc"), &table)?;
    write(&obj.join("mf_top.h"), &top_header(&spec.top, &ports))?;
    for (name, text) in HEADERS {
        write(&obj.join(name), text)?;
    }
    write(&obj.join("mf_shim.cpp"), spec.shim.text())?;
    Ok(ports)
}

/// What the system shim has to know of the top module: its name and its memory ports.
fn top_header(top: &str, ports: &[Port]) -> String {
    let memory = contract::memory_ports(ports);
    let pins: String = (0..memory.count)
        .map(|i| format!("        {},\n", port_pins(i, memory.writes[i])))
        .collect();
    format!(
        "#define MF_TOP \"{top}\"\n#define MF_HP_PORTS {}\n#define MF_HP_BITS {}\n\
         #ifdef MF_HP_MEMORY\n\
         inline std::vector<HpPort> mf_hp_ports(Vdut& d) {{\n    (void)d;\n    return {{\n{pins}    }};\n}}\n#endif\n",
        memory.count, memory.bits
    )
}

/// Initialiser of an `HpPort` in `shim/memory.h`.
fn port_pins(port: usize, writes: bool) -> String {
    let pins = |signals: &[&str]| {
        let pin = |signal: &&str| format!("d.m_axi_hp{port}_{signal}");
        signals.iter().map(pin).collect::<Vec<_>>().join(", ")
    };
    let address = |c: &str| {
        let signals = [
            "addr", "len", "size", "burst", "cache", "prot", "valid", "ready",
        ];
        let signals = signals.map(|signal| format!("{c}{signal}"));
        pins(&signals.each_ref().map(String::as_str))
    };
    let write = match writes {
        true => format!(
            "WritePins{{{{{}}}, &{}, {}}}",
            address("aw"),
            pins(&["wdata"]),
            pins(&[
                "wstrb", "wlast", "wvalid", "wready", "bresp", "bvalid", "bready"
            ])
        ),
        false => "std::nullopt".to_owned(),
    };
    format!(
        "{{{{{}}}, &{}, {}, {write}}}",
        address("ar"),
        pins(&["rdata"]),
        pins(&["rresp", "rlast", "rvalid", "rready"])
    )
}

fn run_verilator(
    top: &str,
    builder: &Builder,
    args: Vec<OsString>,
    dir: &Path,
    cancel: &AtomicBool,
) -> Result<(), SimError> {
    let job = Job {
        program: builder.tools.verilator.clone(),
        args,
        dir: dir.to_owned(),
        log: dir.join("verilator.log"),
    };
    run_jobs(&[job], 1, cancel).map_err(|error| match error {
        JobError::Other(error) => error,
        JobError::Failed(log) => SimError::Verilator {
            top: top.to_owned(),
            log,
        },
    })
}
