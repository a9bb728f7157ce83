//! One log file per tenant: `<dir>/tenants/<tenant key>.log`, a JSON object per line.
//!
//! A request only puts its line into a bounded queue; one thread writes. When the queue is full the line is dropped and
//! counted ([`super::metrics::LOG_LINES_LOST`]): the log never holds up a request. Files are rotated by size, open ones
//! are bounded, and several processes may share the folder ([`rotating`]).
//!
//! The key becomes a file name, so it is checked here once more, whoever vouched for it before.

mod rotating;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::config::LoggingSettings;

use super::line::Line;
use super::metrics;
use rotating::TenantFiles;

/// Where the files are in the log folder.
pub(super) const FOLDER: &str = "tenants";
/// Lines that may wait for the writer.
const WAITING_LINES: usize = 8_192;
/// How long the end of the program waits for the writer.
const LAST_FLUSH: Duration = Duration::from_secs(5);

/// The sink of tenants' lines.
pub(super) struct TenantLog {
    queue: SyncSender<Message>,
}

enum Message {
    Line {
        tenant: Arc<str>,
        text: String,
    },
    /// Only wakes the writer, which then sees that it is to stop.
    Stop,
}

/// Ends the writer after the lines that wait, when dropped.
#[derive(Debug)]
pub(super) struct WriterGuard {
    queue: SyncSender<Message>,
    stopping: Arc<AtomicBool>,
    finished: Receiver<()>,
}

impl TenantLog {
    /// Makes the folder and starts the writer.
    pub(super) fn start(settings: &LoggingSettings, dir: &Path) -> io::Result<(Self, WriterGuard)> {
        let files = TenantFiles::new(settings, dir)?;
        let (queue, lines) = sync_channel(WAITING_LINES);
        let (finish, finished) = sync_channel(1);
        let stopping = Arc::new(AtomicBool::new(false));
        let writer = writer::Writer::new(files, lines, stopping.clone(), finish);
        std::thread::Builder::new()
            .name("log-tenants".to_owned())
            .spawn(move || writer.run())?;
        let guard = WriterGuard {
            queue: queue.clone(),
            stopping,
            finished,
        };
        Ok((Self { queue }, guard))
    }

    /// Queues the line for its tenant's file, if it has a tenant.
    pub(super) fn write(&self, line: &Line) {
        let Some(tenant) = &line.tenant else { return };
        let message = Message::Line {
            tenant: tenant.clone(),
            text: line.to_json(),
        };
        if self.queue.try_send(message).is_err() {
            metrics::count_lost_log_lines("queue_full", 1);
        }
    }
}

impl Drop for WriterGuard {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // A full queue means that the writer is awake, and looks at the flag by itself.
        let _awake = self.queue.try_send(Message::Stop);
        let _finished_or_late = self.finished.recv_timeout(LAST_FLUSH);
    }
}

/// Removes a tenant's files, rotated ones as well, from the log folder `dir`. What is not there is no error.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_tenant_files(dir: &Path, tenant: &str) -> io::Result<()> {
    for (_, path) in files_of(&dir.join(FOLDER), tenant)? {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Lets a tenant's files in the log folder `dir` go on under another key. What there is under that key already is newer.
///
/// # Errors
/// When a file cannot be renamed.
pub fn rename_tenant_files(dir: &Path, from: &str, to: &str) -> io::Result<()> {
    let folder = dir.join(FOLDER);
    if !is_tenant_key(to) || files_of(&folder, from)?.is_empty() {
        return Ok(());
    }
    let _until_done = rotating::rotation_lock(&folder)?;
    let newer = files_of(&folder, to)?.into_iter().map(|(number, _)| number + 1);
    let first = newer.max().unwrap_or(0);
    for (number, path) in files_of(&folder, from)? {
        let name = match first + number {
            0 => format!("{to}.log"),
            number => format!("{to}.log.{number}"),
        };
        std::fs::rename(path, folder.join(name))?;
    }
    Ok(())
}

/// A tenant's files with their numbers; 0 is the one that is written.
fn files_of(folder: &Path, tenant: &str) -> io::Result<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    if !is_tenant_key(tenant) {
        return Ok(found);
    }
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(tenant));
        let number = rest.and_then(|rest| rest.strip_prefix(".log"));
        let number = number.and_then(|number| match number.strip_prefix('.') {
            Some(number) => number.parse().ok(),
            None => number.is_empty().then_some(0),
        });
        found.extend(number.map(|number| (number, entry.path())));
    }
    Ok(found)
}

/// Whether a text has the shape of a tenant key, and so is safe as a file name.
pub(super) fn is_tenant_key(text: &str) -> bool {
    (3..=40).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
