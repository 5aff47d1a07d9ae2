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
            let group = Pid::from_raw(self.child.id().cast_signed());
            // Ends the whole group; an error only means that it is gone already.
            let _ = killpg(group, Signal::SIGKILL);
            let _ = self.child.wait();
            // Grandchildren die a moment later and could still write into the folder that the caller
            // removes next. Bounded, because nobody may reap them.
            for _ in 0..200 {
                if killpg(group, None).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Runs all jobs, at most `parallel` at a time. The first failure or a set `cancel` ends the rest.
pub(crate) fn run_jobs(jobs: &[Job], parallel: usize, cancel: &AtomicBool) -> Result<(), JobError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn shell(folder: &Path, name: &str, script: &str) -> Job {
        Job {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            dir: folder.to_owned(),
            log: folder.join(name),
        }
    }

    #[test]
    fn cancel_ends_the_children_of_children_too() {
        let folder = tempfile::tempdir().unwrap();
        let script = "(sleep 1; touch late) & (sleep 100) & touch started; wait";
        let jobs = [shell(folder.path(), "log", script)];
        let cancel = AtomicBool::new(false);
        let start = Instant::now();
        std::thread::scope(|scope| {
            let run = scope.spawn(|| run_jobs(&jobs, 1, &cancel));
            while !folder.path().join("started").exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            cancel.store(true, Ordering::Relaxed);
            let result = run.join().unwrap();
            assert!(matches!(result, Err(JobError::Other(SimError::Cancelled))));
        });
        assert!(start.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(1200));
        assert!(!folder.path().join("late").exists());
    }

    #[test]
    fn a_failure_ends_the_other_jobs_and_gives_its_output() {
        let folder = tempfile::tempdir().unwrap();
        let jobs = [
            shell(folder.path(), "a", "sleep 100"),
            shell(folder.path(), "b", "seq 100; exit 3"),
        ];
        let start = Instant::now();
        match run_jobs(&jobs, 2, &AtomicBool::new(false)) {
            Err(JobError::Failed(log)) => {
                assert!(log.starts_with("1\n2\n") && log.ends_with("40\n... and 60 more lines"));
            }
            _ => panic!("the failure was not seen"),
        }
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
