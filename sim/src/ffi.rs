//! The only unsafe code of the crate: loading a built library and calling its C functions.
#![allow(unsafe_code)] // dlopen and foreign calls cannot be expressed safely

use crate::error::SimError;
use crate::memory::{MemoryModel, RawMemory};
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

type Handle = *mut c_void;

/// Status values of the shim (`MfStatus` in `common.h`).
const PROTOCOL: c_int = -3;
const HANG: c_int = -2;

/// A loaded library and one model instance in it. Declared so that the instance dies first.
struct Instance {
    top: String,
    handle: Handle,
    destroy: unsafe extern "C" fn(Handle),
    error: unsafe extern "C" fn(Handle) -> *const c_char,
    library: Library,
}

// SAFETY: the shim keeps all state in the instance and sets the thread's current model on entry of
// every call that runs model code, so an instance may move between threads. It is not Sync: all use
// from two threads at once is prevented by the lack of a Sync impl.
unsafe impl Send for Instance {}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: `handle` came from mf_create of this library and is destroyed exactly once.
        unsafe { (self.destroy)(self.handle) }
    }
}

impl Instance {
    fn load(top: &str, path: &Path, memory_dir: &Path) -> Result<Self, SimError> {
        let failed = |source| SimError::Load {
            path: path.to_owned(),
            source,
        };
        let folder = std::path::absolute(memory_dir).map_err(SimError::io("use", memory_dir))?;
        let folder = CString::new(folder.as_os_str().as_bytes())
            .map_err(|e| SimError::io("use", memory_dir)(e.into()))?;
        // SAFETY: the library was built by this crate from its own shim; its initialisers only set up
        // C++ statics, and the signatures are those of shim/common.cpp and of both shims.
        unsafe {
            let library = Library::new(path).map_err(failed)?;
            let create: unsafe extern "C" fn(*const c_char) -> Handle =
                *library.get(b"mf_create").map_err(failed)?;
            let destroy = *library.get(b"mf_destroy").map_err(failed)?;
            let error = *library.get(b"mf_error").map_err(failed)?;
            Ok(Self {
                top: top.to_owned(),
                handle: create(folder.as_ptr()),
                destroy,
                error,
                library,
            })
        }
    }

    /// Copies a function out of the library.
    ///
    /// # Safety
    /// `T` must be the function pointer type of the symbol, and the copy must not outlive `self`.
    unsafe fn symbol<T: Copy>(&self, name: &str) -> Result<T, SimError> {
        // SAFETY: passed on to the caller.
        let symbol = unsafe { self.library.get::<T>(name.as_bytes()) };
        symbol.map(|s| *s).map_err(|source| SimError::Load {
            path: name.into(),
            source,
        })
    }

    /// Turns a status into a result; non-negative values come back.
    fn check(&self, status: c_int) -> Result<c_int, SimError> {
        if status >= 0 {
            return Ok(status);
        }
        // SAFETY: mf_error returns a NUL-terminated string owned by the instance, valid until the
        // next call; it is copied here.
        let message = unsafe { CStr::from_ptr((self.error)(self.handle)) };
        let message = message.to_string_lossy().into_owned();
        let top = self.top.clone();
        Err(match status {
            PROTOCOL => SimError::Protocol { top, message },
            HANG => SimError::Hang { top, message },
            _ => SimError::Fatal { top, message },
        })
    }
}

type RunVectors = unsafe extern "C" fn(
    Handle,
    i64,
    u64,
    u64,
    u32,
    *const u32,
    *const *const u64,
    u32,
    *const u32,
    *const *mut u64,
) -> c_int;

/// An instance built with `shim/block.cpp`. Port numbers and value sizes must be those of its port
/// list; [`crate::Block`] guarantees that.
pub(crate) struct BlockModel {
    poke: unsafe extern "C" fn(Handle, u32, *const u64),
    peek: unsafe extern "C" fn(Handle, u32, *mut u64),
    eval: unsafe extern "C" fn(Handle) -> c_int,
    tick: unsafe extern "C" fn(Handle, u32) -> c_int,
    run: RunVectors,
    instance: Instance,
}

impl BlockModel {
    pub fn load(top: &str, path: &Path, memory_dir: &Path) -> Result<Self, SimError> {
        let instance = Instance::load(top, path, memory_dir)?;
        // SAFETY: the types are the signatures in shim/block.cpp; the copies live beside `instance`.
        unsafe {
            Ok(Self {
                poke: instance.symbol("mf_poke")?,
                peek: instance.symbol("mf_peek")?,
                eval: instance.symbol("mf_eval")?,
                tick: instance.symbol("mf_tick")?,
                run: instance.symbol("mf_run")?,
                instance,
            })
        }
    }

    pub fn top(&self) -> &str {
        &self.instance.top
    }

    pub fn poke(&mut self, port: u32, chunks: &[u64]) {
        // SAFETY: `port` indexes the port list and `chunks` has that port's number of chunks.
        unsafe { (self.poke)(self.instance.handle, port, chunks.as_ptr()) }
    }

    pub fn peek(&self, port: u32, chunks: &mut [u64]) {
        // SAFETY: as for poke; the shim writes exactly the port's number of chunks.
        unsafe { (self.peek)(self.instance.handle, port, chunks.as_mut_ptr()) }
    }

    pub fn eval(&mut self) -> Result<(), SimError> {
        // SAFETY: the handle is live.
        let status = unsafe { (self.eval)(self.instance.handle) };
        self.instance.check(status).map(drop)
    }

    pub fn tick(&mut self, clock: u32) -> Result<(), SimError> {
        // SAFETY: `clock` is the index of a one-bit input.
        let status = unsafe { (self.tick)(self.instance.handle, clock) };
        self.instance.check(status).map(drop)
    }

    pub fn run(
        &mut self,
        clock: Option<u32>,
        count: usize,
        latency: usize,
        inputs: &[(u32, &[u64])],
        outputs: &mut [(u32, Vec<u64>)],
    ) -> Result<(), SimError> {
        let (in_ports, in_data): (Vec<u32>, Vec<*const u64>) = inputs
            .iter()
            .map(|(port, data)| (*port, data.as_ptr()))
            .unzip();
        let (out_ports, out_data): (Vec<u32>, Vec<*mut u64>) = outputs
            .iter_mut()
            .map(|(port, data)| (*port, data.as_mut_ptr()))
            .unzip();
        // SAFETY: every array of port i holds count x chunks(i) words, the pointer arrays have the
        // lengths passed, and all outlive the call.
        let status = unsafe {
            (self.run)(
                self.instance.handle,
                clock.map_or(-1, i64::from),
                count as u64,
                latency as u64,
                in_ports.len() as u32,
                in_ports.as_ptr(),
                in_data.as_ptr(),
                out_ports.len() as u32,
                out_ports.as_ptr(),
                out_data.as_ptr(),
            )
        };
        self.instance.check(status).map(drop)
    }
}

/// Counters of the shim, in cycles since the model was created and words of the running inference
/// (`MfCounters` in `shim/system.cpp`).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub cycle: u64,
    pub input_sent: u64,
    pub output_got: u64,
    pub last_input_cycle: u64,
    pub last_output_cycle: u64,
    pub finished_layer: u32,
    pub last_keep: u32,
    pub memory_bytes: u64,
    pub memory_written: u64,
}

/// Why [`SystemModel::run`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunState {
    /// The cycle limit was reached.
    Running,
    /// The last output word was taken.
    Done,
    /// A watched layer finished in the cycle before.
    LayerFinished,
    /// The design stopped for an error.
    Stopped,
}

/// A memory found in the model.
pub(crate) struct ProbeShape {
    pub entry_bytes: usize,
    pub entries: usize,
}

/// An instance built with `shim/system.cpp`, and the buffers that its running inference points to.
pub(crate) struct SystemModel {
    reset: unsafe extern "C" fn(Handle) -> c_int,
    read: unsafe extern "C" fn(Handle, u32, *mut u32) -> c_int,
    write: unsafe extern "C" fn(Handle, u32, u32) -> c_int,
    stall: unsafe extern "C" fn(Handle, c_int, u64),
    memory: unsafe extern "C" fn(Handle, *const RawMemory, *const u8, u64),
    begin:
        unsafe extern "C" fn(Handle, *const u32, *const u64, u64, *mut u32, *const u64, u64, u64),
    run: unsafe extern "C" fn(Handle, u64) -> c_int,
    trace: unsafe extern "C" fn(Handle, *const c_char) -> c_int,
    probe: unsafe extern "C" fn(Handle, *const c_char, *mut u64) -> c_int,
    watch: unsafe extern "C" fn(Handle, *const c_char, *const c_char) -> c_int,
    copy_probe: unsafe extern "C" fn(Handle, u32, *mut u8),
    counters: unsafe extern "C" fn(Handle, *mut Counters),
    instance: Instance,
    input: Vec<u32>,
    output: Vec<u32>,
    /// Words up to the end of each tensor of the two.
    ends: [Vec<u64>; 2],
    probes: Vec<ProbeShape>,
}

/// Running sums.
fn ends(lengths: impl Iterator<Item = usize>) -> Vec<u64> {
    let sum = |total: &mut u64, length: usize| {
        *total += length as u64;
        Some(*total)
    };
    lengths.scan(0, sum).collect()
}

impl SystemModel {
    pub fn load(top: &str, path: &Path, memory_dir: &Path) -> Result<Self, SimError> {
        let instance = Instance::load(top, path, memory_dir)?;
        // SAFETY: the types are the signatures in shim/system.cpp; the copies live beside `instance`.
        unsafe {
            Ok(Self {
                reset: instance.symbol("mf_reset")?,
                read: instance.symbol("mf_read")?,
                write: instance.symbol("mf_write")?,
                stall: instance.symbol("mf_stall")?,
                memory: instance.symbol("mf_memory")?,
                begin: instance.symbol("mf_begin")?,
                run: instance.symbol("mf_run")?,
                trace: instance.symbol("mf_trace")?,
                probe: instance.symbol("mf_probe")?,
                watch: instance.symbol("mf_watch")?,
                copy_probe: instance.symbol("mf_copy_probe")?,
                counters: instance.symbol("mf_counters")?,
                instance,
                input: Vec::new(),
                output: Vec::new(),
                ends: Default::default(),
                probes: Vec::new(),
            })
        }
    }

    pub fn top(&self) -> &str {
        &self.instance.top
    }

    pub fn reset(&mut self) -> Result<(), SimError> {
        // SAFETY: the handle is live; the call ends the inference and with it all use of the buffers.
        let status = unsafe { (self.reset)(self.instance.handle) };
        self.instance.check(status).map(drop)
    }

    pub fn read(&mut self, address: u32) -> Result<u32, SimError> {
        let mut data = 0;
        // SAFETY: the handle is live and `data` outlives the call.
        let status = unsafe { (self.read)(self.instance.handle, address, &raw mut data) };
        self.instance.check(status).map(|_| data)
    }

    pub fn write(&mut self, address: u32, data: u32) -> Result<(), SimError> {
        // SAFETY: the handle is live.
        let status = unsafe { (self.write)(self.instance.handle, address, data) };
        self.instance.check(status).map(drop)
    }

    pub fn stall(&mut self, seed: Option<u64>) {
        let active = c_int::from(seed.is_some());
        // SAFETY: the handle is live.
        unsafe { (self.stall)(self.instance.handle, active, seed.unwrap_or(0)) }
    }

    /// Puts the memory behind the ports.
    pub fn memory(&mut self, memory: &MemoryModel) {
        let (raw, image) = (memory.raw(), &memory.image);
        // SAFETY: the handle is live; the model copies both before it returns.
        unsafe {
            (self.memory)(
                self.instance.handle,
                &raw const raw,
                image.as_ptr(),
                image.len() as u64,
            );
        }
    }

    /// Neither list may be empty, nor any tensor.
    pub fn begin(&mut self, inputs: &[&[u32]], output_words: &[usize], max_idle: u64) {
        self.input = inputs.concat();
        self.output = vec![0; output_words.iter().sum()];
        self.ends = [
            ends(inputs.iter().map(|words| words.len())),
            ends(output_words.iter().copied()),
        ];
        // SAFETY: all buffers belong to self and are only replaced by the next begin, which gives
        // the model new pointers before it runs again.
        unsafe {
            (self.begin)(
                self.instance.handle,
                self.input.as_ptr(),
                self.ends[0].as_ptr(),
                self.input.len() as u64,
                self.output.as_mut_ptr(),
                self.ends[1].as_ptr(),
                self.output.len() as u64,
                max_idle,
            );
        }
    }

    pub fn run(&mut self, cycles: u64) -> Result<RunState, SimError> {
        // SAFETY: the handle is live and the buffers given to begin are still those of self.
        let status = unsafe { (self.run)(self.instance.handle, cycles) };
        Ok(match self.instance.check(status)? {
            0 => RunState::Running,
            1 => RunState::Done,
            2 => RunState::LayerFinished,
            _ => RunState::Stopped,
        })
    }

    /// The output words of the inference; all of them are valid once run said `Done`.
    pub fn output(&self) -> &[u32] {
        &self.output
    }

    pub fn trace(&mut self, path: &Path) -> Result<(), SimError> {
        let text = CString::new(path.as_os_str().as_bytes())
            .map_err(|e| SimError::io("write", path)(e.into()))?;
        // SAFETY: the handle is live and `text` outlives the call.
        let status = unsafe { (self.trace)(self.instance.handle, text.as_ptr()) };
        self.instance.check(status).map(drop)
    }

    pub fn add_probe(&mut self, path: &CStr) -> Result<&ProbeShape, SimError> {
        let mut shape = [0u64; 2];
        // SAFETY: the handle is live; path and shape outlive the call, which fills both elements.
        let status =
            unsafe { (self.probe)(self.instance.handle, path.as_ptr(), shape.as_mut_ptr()) };
        self.instance.check(status)?;
        self.probes.push(ProbeShape {
            entry_bytes: shape[0] as usize,
            entries: shape[1] as usize,
        });
        Ok(&self.probes[self.probes.len() - 1])
    }

    pub fn watch(&mut self, done: &CStr, index: &CStr) -> Result<(), SimError> {
        // SAFETY: the handle is live and both strings outlive the call.
        let status = unsafe { (self.watch)(self.instance.handle, done.as_ptr(), index.as_ptr()) };
        self.instance.check(status).map(drop)
    }

    /// The bytes of probe number `probe`: entries x bytes per entry, little endian.
    pub fn copy_probe(&self, probe: usize) -> Vec<u8> {
        let shape = &self.probes[probe];
        let mut bytes = vec![0; shape.entry_bytes * shape.entries];
        // SAFETY: the probe exists in the model (add_probe pushed both lists), and the buffer has the
        // size that the model gave for it.
        unsafe { (self.copy_probe)(self.instance.handle, probe as u32, bytes.as_mut_ptr()) };
        bytes
    }

    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        // SAFETY: `Counters` has the layout of MfCounters and outlives the call.
        unsafe { (self.counters)(self.instance.handle, &raw mut counters) };
        counters
    }
}
