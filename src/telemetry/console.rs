//! The program's own log: lines on standard error, written by a thread of their own so that a slow reader never holds
//! up a request.
//!
//! To add a format: a variant of [`LogFormat`] and its writing in [`super::line`].

use std::io::Write;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use crate::config::LogFormat;

use super::line::Line;

/// Lines that may wait; beyond, they are dropped.
const WAITING_LINES: usize = 16_384;

/// Where every line goes.
pub(super) struct Console {
    format: LogFormat,
    ansi: bool,
    out: NonBlocking,
}

impl Console {
    /// Starts the writing thread; the guard ends it after the last line.
    pub(super) fn start<W>(format: LogFormat, out: W, ansi: bool) -> (Self, WorkerGuard)
    where
        W: Write + Send + 'static,
    {
        let (out, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(WAITING_LINES)
            .thread_name("log-console")
            .finish(out);
        (Self { format, ansi, out }, guard)
    }

    pub(super) fn write(&self, line: &Line) {
        let text = match self.format {
            LogFormat::Json => line.to_json(),
            LogFormat::Text => line.to_text(self.ansi),
        };
        // Nobody could be told that the log cannot be written.
        let _unheard = self.out.clone().write_all(text.as_bytes());
    }
}
