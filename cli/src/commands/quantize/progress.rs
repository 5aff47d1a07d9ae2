//! The progress bar of `quantize`, and Ctrl-C.

use indicatif::{ProgressBar, ProgressStyle};
use macforge_ptq::Monitor;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by Ctrl-C.
static CANCEL: AtomicBool = AtomicBool::new(false);

/// One bar per stage, on stderr; nothing where that is no terminal.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// No stage yet.
    pub fn new() -> Self {
        // a second handler in the same process is refused, and the first one serves as well
        let _ = ctrlc::set_handler(|| CANCEL.store(true, Ordering::Relaxed));
        Progress {
            bar: ProgressBar::hidden(),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Monitor for Progress {
    fn stage(&mut self, name: &str, steps: usize) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::new(steps as u64);
        let style = "  [{bar:30}] {pos}/{len} {msg}, {elapsed}";
        let style = ProgressStyle::with_template(style).expect("a constant template");
        self.bar.set_style(style);
        self.bar.set_message(name.to_string());
    }

    fn step(&mut self) -> bool {
        self.bar.inc(1);
        !CANCEL.load(Ordering::Relaxed)
    }
}
