//! Child processes: several at once, output in a log file, killed with all their children on cancel.

use crate::error::SimError;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// One command to run; what it prints goes to `log`.
pub(crate) struct Job {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub dir: PathBuf,
    pub log: PathBuf,
}

/// How a set of jobs ended, when not well.
pub(crate) enum JobError {
    /// A command could not be started or waited for, or the caller cancelled.
    Other(SimError),
    /// A command ended with a failure; this is what it printed.
    Failed(String),
}

impl Job {
    fn spawn(&self) -> Result<Running, SimError> {
        let log = File::create(&self.log).map_err(SimError::io("create", &self.log))?;
        let log_too = log
            .try_clone()
            .map_err(SimError::io("write to", &self.log))?;
        let child = Command::new(&self.program)
            .args(&self.args)
            .current_dir(&self.dir)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            // Its own group, so that a cancel reaches the children of wrapper scripts too.
            .process_group(0)
            .spawn()
            .map_err(SimError::io("run", &self.program))?;
        Ok(Running {
            child,
            log: self.log.clone(),
            finished: false,
        })
    }
}

struct Running {
    child: Child,
    log: PathBuf,
    finished: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.finished {
            // Ends the whole group; an error only means that it is gone already.
            let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Runs all jobs, at most `parallel` at a time. The first failure or a set `cancel` ends the rest.
pub(crate) fn run_jobs(
    jobs: &[Job],
    parallel: usize,
    cancel: &AtomicBool,
) -> Result<(), JobError> {
    let mut waiting = jobs.iter();
    let mut running: Vec<Running> = Vec::new();
    loop {
        if cancel.load(Ordering::Relaxed) {
            return Err(JobError::Other(SimError::Cancelled));
        }
        while running.len() < parallel.max(1) {
            let Some(job) = waiting.next() else { break };
            running.push(job.spawn().map_err(JobError::Other)?);
        }
        if running.is_empty() {
            return Ok(());
        }
        for job in &mut running {
            let state = job.child.try_wait();
            if let Some(status) =
                state.map_err(|e| JobError::Other(SimError::io("wait for", &job.log)(e)))?
            {
                job.finished = true;
                if !status.success() {
                    return Err(JobError::Failed(read_log(&job.log)));
                }
            }
        }
        running.retain(|job| !job.finished);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The first lines of a log: enough to see the cause, not the hundreds that follow from it.
fn read_log(path: &Path) -> String {
    const LINES: usize = 40;
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let total = text.lines().count();
    let mut shown: Vec<&str> = text.lines().take(LINES).collect();
    let more = format!("... and {} more lines", total.saturating_sub(LINES));
    if total > LINES {
        shown.push(&more);
    }
    shown.join("\n")
}

/// Runs a short command to its end and returns what it printed on stdout.
pub(crate) fn capture(program: &Path, args: &[&OsStr]) -> Result<String, SimError> {
    let output = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(SimError::io("run", program))?;
    if !output.status.success() {
        return Err(SimError::UnusableTool {
            tool: program.display().to_string(),
            reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
