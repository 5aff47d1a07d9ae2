//! Generated C++ -> shared library. The files are grouped into a few translation units of equal size, never
//! more than there are cores. Parsing Verilator's header takes half a second, so clang does it once for
//! all models.

use crate::builder::Builder;
use crate::cache::Key;
use crate::error::SimError;
use crate::process::{Job, JobError, run_jobs};
use crate::verilate::{BuildSpec, COMMON_CPP, COMMON_H, write};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Options for code that runs in every cycle, chosen by measurement.
pub const COMPILER_OPTIONS: [&str; 2] = ["-O3", "-march=native"];

/// The same where there are few cycles.
const QUICK_OPTIONS: [&str; 1] = ["-O0"];

const LANGUAGE_OPTIONS: [&str; 7] = [
    "-std=gnu++17",
    "-fPIC",
    "-fvisibility=hidden",
    "-faligned-new",
    "-fcf-protection=none",
    "-w",
    "-c",
];
/// `--wrap=fopen`: see `shim/common.cpp`. `-Bsymbolic` keeps two loaded models apart; `defs` makes a
/// missing symbol an error here and not when the library runs.
const LINK_OPTIONS: [&str; 4] = [
    "-shared",
    "-Wl,-Bsymbolic",
    "-Wl,--wrap=fopen",
    "-Wl,-z,defs",
];
/// Name of the parsed header.
const HEADER: &str = "verilated";
/// Generated text per translation unit, bytes: below this, parsing the headers again costs more than
/// a second core gains.
const UNIT_BYTES: u64 = 200_000;
/// What follows in a translation unit runs only when the model is made, which is not worth the optimiser.
const NOT_OPTIMISED: &str = "#ifdef __clang__
#pragma clang optimize off
#else
#pragma GCC optimize(\"O0\")
#endif
";

/// Adds what decides the machine code besides the sources.
pub(crate) fn add_to_key(key: &mut Key, builder: &Builder) {
    key.add(&builder.tools.verilator_version)
        .add(&builder.tools.compiler_version)
        .add(cpu());
    for option in COMPILER_OPTIONS
        .iter()
        .chain(&QUICK_OPTIONS)
        .chain(&LANGUAGE_OPTIONS)
        .chain(&LINK_OPTIONS)
    {
        key.add(option);
    }
}

/// What `-march=native` looks at: model and feature flags of the first core.
fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let wanted = |line: &&str| line.starts_with("model name") || line.starts_with("flags");
    info.lines().filter(wanted).take(2).collect()
}

struct Compile<'a> {
    top: &'a str,
    builder: &'a Builder,
    trace: bool,
    quick: bool,
    cancel: &'a AtomicBool,
}

/// Compiles `work/obj` and links it to `library`.
pub(crate) fn library(
    spec: &BuildSpec,
    builder: &Builder,
    work: &Path,
    library: &Path,
    cancel: &AtomicBool,
) -> Result<(), SimError> {
    let compile = Compile {
        top: &spec.top,
        builder,
        trace: spec.trace,
        quick: spec.quick,
        cancel,
    };
    let obj = work.join("obj");
    let list = obj.join("Vdut_classes.mk");
    let list = fs::read_to_string(&list).map_err(SimError::io("read", &list))?;
    let runtime = compile.runtime(&runtime_files(&list))?;
    let jobs = compile.units(&obj, &list)?;
    compile.run(&jobs)?;

    let mut args: Vec<OsString> = LINK_OPTIONS.map(OsString::from).into();
    args.push("-o".into());
    args.push(library.into());
    args.extend(jobs.iter().map(|job| job.log.with_extension("o").into()));
    args.extend(runtime.into_iter().map(OsString::from));
    args.extend(["-pthread", "-latomic"].map(OsString::from));
    if spec.trace {
        args.push("-lz".into());
    }
    compile.run(&[Job {
        program: builder.tools.compiler.clone(),
        args,
        dir: obj.clone(),
        log: obj.join("link.log"),
    }])
}

impl Compile<'_> {
    fn run(&self, jobs: &[Job]) -> Result<(), SimError> {
        run_jobs(jobs, cores(), self.cancel).map_err(|error| match error {
            JobError::Other(error) => error,
            JobError::Failed(mut log) => {
                if log.contains("zlib.h") {
                    log.push_str("\n(traces need zlib: `apt-get install zlib1g-dev`)");
                }
                SimError::Compiler {
                    top: self.top.to_owned(),
                    log,
                }
            }
        })
    }

    /// One compiler run, `dir/name.cpp` (or `source`) to `dir/name.o`, log in `dir/name.log`.
    fn job(&self, dir: &Path, name: &str, source: OsString, optimise: &[&str]) -> Job {
        let tools = &self.builder.tools;
        let mut args: Vec<OsString> = Vec::new();
        let program = match &tools.ccache {
            Some(ccache) => {
                args.push(tools.compiler.clone().into());
                ccache.clone()
            }
            None => tools.compiler.clone(),
        };
        args.extend(LANGUAGE_OPTIONS.iter().chain(optimise).map(OsString::from));
        let include = tools.verilator_root.join("include");
        for folder in [Path::new("."), &include, &include.join("vltstd")] {
            args.push("-I".into());
            args.push(folder.into());
        }
        let traced = u8::from(self.trace);
        for define in ["VM_COVERAGE=0", "VM_SC=0", "VM_TRACE_VCD=0"] {
            args.push(format!("-D{define}").into());
        }
        // Never read; keeps ccache from giving out code made with -march=native for another CPU.
        let mut cpu_key = Key::new("cpu");
        cpu_key.add(cpu());
        args.push(format!("-DMF_CPU={}", cpu_key.name()).into());
        args.push(format!("-DVM_TRACE={traced}").into());
        args.push(format!("-DVM_TRACE_FST={traced}").into());
        args.extend([source, "-o".into(), format!("{name}.o").into()]);
        Job {
            program,
            args,
            dir: dir.to_owned(),
            log: dir.join(format!("{name}.log")),
        }
    }

    /// Objects of Verilator's runtime and of our hooks: the same for every model, so built once.
    fn runtime(&self, files: &[String]) -> Result<Vec<PathBuf>, SimError> {
        const HOOKS: [&str; 4] = ["FINISH", "STOP", "FATAL", "WARN"];
        let mut key = Key::new("runtime");
        add_to_key(&mut key, self.builder);
        key.add([u8::from(self.trace)])
            .add(COMMON_H)
            .add(COMMON_CPP);
        files.iter().for_each(|file| {
            key.add(file);
        });
        let (folder, _) = self.builder.cache.entry(&key, |entry| {
            let include = self.builder.tools.verilator_root.join("include");
            let defines = HOOKS.map(|hook| format!("-DVL_USER_{hook}"));
            let mut options: Vec<&str> = defines.iter().map(String::as_str).collect();
            options.push("-O2");
            let jobs: Vec<Job> = files
                .iter()
                .map(|file| {
                    let source = include.join(format!("{file}.cpp"));
                    self.job(entry, file, source.into(), &options)
                })
                .collect();
            self.run(&jobs)
        })?;
        let object = |file: &String| folder.join(format!("{file}.o"));
        Ok(files.iter().map(object).collect())
    }

    /// Verilator's header as clang has parsed it; `None` for other compilers, and with ccache, which does not look
    /// into it.
    fn header(&self, options: &[&str]) -> Result<Option<PathBuf>, SimError> {
        let tools = &self.builder.tools;
        if tools.ccache.is_some() || !tools.compiler_version.contains("clang") {
            return Ok(None);
        }
        let header = tools.verilator_root.join("include/verilated.h");
        // clang compares sizes: a changed header is another entry
        let text = fs::read(&header).map_err(SimError::io("read", &header))?;
        let mut key = Key::new("header");
        add_to_key(&mut key, self.builder);
        key.add([u8::from(self.trace), u8::from(self.quick)])
            .add(header.as_os_str().as_encoded_bytes())
            .add(text);
        let (folder, _) = self.builder.cache.entry(&key, |entry| {
            let as_header = ["-Xclang", "-fno-pch-timestamp", "-x", "c++-header"];
            let options = [options, &as_header[..]].concat();
            self.run(&[self.job(entry, HEADER, header.clone().into(), &options)])
        })?;
        Ok(Some(folder.join(format!("{HEADER}.o"))))
    }

    /// Writes the translation units of the model and returns the jobs that compile them.
    fn units(&self, obj: &Path, list: &str) -> Result<Vec<Job>, SimError> {
        let sized = |name: String| {
            let path = obj.join(&name);
            let size = fs::metadata(&path)
                .map_err(SimError::io("read", &path))?
                .len();
            Ok((size, name))
        };
        let cpp = |name: String| format!("{name}.cpp");
        let mut fast: Vec<(u64, String)> = files_in(list, &["VM_CLASSES_FAST", "VM_SUPPORT_FAST"])
            .map(cpp)
            .map(sized)
            .collect::<Result<_, SimError>>()?;
        let total: u64 = fast.iter().map(|(size, _)| size).sum();
        let count = (total.div_ceil(UNIT_BYTES) as usize).clamp(1, cores());
        // Largest first, each into the unit that is smallest so far.
        fast.sort_unstable_by(|a, b| b.cmp(a));
        let mut units: Vec<(u64, Vec<String>)> = vec![(0, Vec::new()); count];
        units[0].1.push("mf_shim.cpp".to_owned());
        for (size, name) in fast {
            let smallest = (0..count).min_by_key(|&i| units[i].0).unwrap_or(0);
            units[smallest].0 += size;
            units[smallest].1.push(name);
        }
        let hooks = "mf_hooks.cpp".to_owned();
        write(&obj.join(&hooks), COMMON_CPP)?;
        let slow: Vec<String> = files_in(list, &["VM_CLASSES_SLOW", "VM_SUPPORT_SLOW"])
            .map(cpp)
            .chain([hooks])
            .collect();
        let slow = NOT_OPTIMISED.to_owned() + &includes(&slow);
        let mut texts: Vec<String> = units.iter().map(|(_, files)| includes(files)).collect();
        match texts.as_mut_slice() {
            [only] => only.push_str(&slow),
            _ => texts.push(slow),
        }
        let options: &[&str] = match self.quick {
            true => &QUICK_OPTIONS,
            false => &COMPILER_OPTIONS,
        };
        let header = self.header(options)?;
        let unit = |(i, text): (usize, &String)| {
            let name = format!("unit_{i}");
            let source = format!("{name}.cpp");
            write(&obj.join(&source), text)?;
            let mut job = self.job(obj, &name, source.into(), options);
            if let Some(header) = &header {
                job.args.extend(["-include-pch".into(), header.into()]);
            }
            Ok(job)
        };
        texts.iter().enumerate().map(unit).collect()
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn includes(files: &[String]) -> String {
    let line = |file| format!("#include \"{file}\"\n");
    files.iter().map(line).collect()
}

/// Runtime files that the model needs, from Verilator's own list.
fn runtime_files(list: &str) -> Vec<String> {
    files_in(list, &["VM_GLOBAL_FAST", "VM_GLOBAL_SLOW"]).collect()
}

/// File names listed under the given variables of `V<top>_classes.mk`.
fn files_in(list: &str, variables: &[&str]) -> impl Iterator<Item = String> {
    let mut wanted = false;
    let mut files = Vec::new();
    for line in list.lines() {
        if let Some((variable, _)) = line.split_once("+=") {
            wanted = variables.contains(&variable.trim());
        } else if wanted && line.starts_with('\t') {
            let name = line.trim().trim_end_matches('\\').trim();
            files.extend((!name.is_empty()).then(|| name.to_owned()));
        } else {
            wanted = false;
        }
    }
    files.into_iter()
}
