//! The thread that writes tenants' lines: takes what waits, writes it, flushes when nothing waits, and
//! lets the next lines gather ([`GATHER`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use super::Message;
use super::rotating::{Lost, TenantFiles};
use crate::telemetry::console::GATHER;
use crate::telemetry::metrics;

/// Longest time that a written line stays in memory while lines keep coming.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Least time between two complaints about files that cannot be written.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    files: TenantFiles,
    lines: Receiver<Message>,
    stopping: Arc<AtomicBool>,
    finish: SyncSender<()>,
    complained: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        files: TenantFiles,
        lines: Receiver<Message>,
        stopping: Arc<AtomicBool>,
        finish: SyncSender<()>,
    ) -> Self {
        Self {
            files,
            lines,
            stopping,
            finish,
            complained: None,
        }
    }

    /// Writes until the guard is dropped and nothing waits any more.
    pub(super) fn run(mut self) {
        while let Ok(message) = self.lines.recv() {
            self.write(message);
            self.write_waiting();
            if self.stopping.load(Ordering::Acquire) {
                self.write_waiting();
                break;
            }
            std::thread::sleep(GATHER);
        }
        let _nobody_waits = self.finish.try_send(());
    }

    /// Writes all that waits and flushes.
    fn write_waiting(&mut self) {
        let mut flushed = Instant::now();
        while let Ok(message) = self.lines.try_recv() {
            self.write(message);
            if flushed.elapsed() > FLUSH_EVERY {
                self.flush();
                flushed = Instant::now();
            }
        }
        self.flush();
    }

    fn write(&mut self, message: Message) {
        if let Message::Line { tenant, text } = message {
            self.files.append(&tenant, text.as_bytes());
        }
    }

    fn flush(&mut self) {
        self.files.flush();
        for lost in self.files.take_lost() {
            self.complain(&lost);
        }
    }

    /// Counts a failure and tells about it now and then. The event has no span, so it never comes back here.
    fn complain(&mut self, lost: &Lost) {
        metrics::count_lost_log_lines("write_failed", lost.lines);
        if self.complained.is_none_or(|last| last.elapsed() > COMPLAIN_EVERY) {
            self.complained = Some(Instant::now());
            let Lost { tenant, error, .. } = lost;
            tracing::error!(parent: None, key = %tenant, %error, "cannot write the log file of tenant {tenant}");
        }
    }
}
