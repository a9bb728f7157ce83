//! The program's own log: lines on standard error, written by a thread of their own so that a slow reader never holds
//! up a request.
//!
//! To add a format: a variant of [`LogFormat`] and its writing in [`super::line`].

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use crate::config::LogFormat;

use super::line::Line;

/// Lines that may wait; beyond, they are dropped.
const WAITING_LINES: usize = 16_384;

/// After what waited has been written, the next lines are left to gather for so long: waking the writing thread for
/// each one of a busy server costs more than the line itself.
pub(super) const GATHER: Duration = Duration::from_millis(20);

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
            .finish(Gathering(BufWriter::new(out)));
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

/// The worker flushes when nothing waits any more: then is the time to gather.
struct Gathering<W: Write>(BufWriter<W>);

impl<W: Write> Write for Gathering<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(GATHER);
        Ok(())
    }
}
