//! What a long command shows while it works: a bar on a terminal, a line for each step otherwise. On standard error.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

use super::output;
use crate::tenancy::keeper::OnProgress;

/// The progress of one command.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// What was last being done.
    step: Mutex<String>,
    quiet: bool,
}

impl Progress {
    /// A bar, if somebody watches; a `quiet` one says nothing to anybody else.
    pub fn start(quiet: bool) -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {percent:>3}% {msg:<24}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = std::io::stderr()
            .is_terminal()
            .then(|| ProgressBar::new(0).with_style(style));
        Self {
            bar,
            step: Mutex::default(),
            quiet,
        }
    }

    /// As the platform's own work tells how far it is: with what is being done, how much is done, and of how much.
    pub fn listener(quiet: bool) -> OnProgress {
        let progress = Self::start(quiet);
        Arc::new(move |what, done, of| progress.show(what, done, of))
    }

    /// Shows that `done` of `of` is done, and what is being done now.
    pub fn show(&self, what: &str, done: u64, of: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(done);
            bar.set_message(what.to_owned());
            return;
        }
        if self.quiet || what.is_empty() {
            return;
        }
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        if *step != what {
            what.clone_into(&mut step);
            output::note(what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
