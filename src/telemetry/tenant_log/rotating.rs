//! The tenants' files: the least recently used are closed, full ones are rotated to `<key>.log.1`, `.2`, …
//!
//! Several processes (`serve`, `worker`) may write the same folder: lines are appended in single writes, a file that
//! another process has rotated away is noticed before writing, and only one process rotates at a time (a lock file).
//! A file that somebody deletes is made anew. Symbolic links are not followed.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lru::LruCache;
use nix::fcntl::OFlag;

use crate::config::LoggingSettings;

/// Bytes gathered before a write, at most.
const BUFFER: usize = 64 * 1024;

/// The log files of all tenants.
pub(super) struct TenantFiles {
    dir: PathBuf,
    max_bytes: u64,
    keep: u32,
    open: LruCache<Arc<str>, OpenFile>,
    lost: Vec<Lost>,
}

/// Lines that could not be written.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) tenant: Arc<str>,
    pub(super) lines: u64,
    pub(super) error: io::Error,
}

struct OpenFile {
    file: File,
    device: u64,
    inode: u64,
    /// Bytes in the file.
    size: u64,
    /// Whole lines not yet written.
    waiting: Vec<u8>,
    /// How many.
    lines: u64,
}

impl TenantFiles {
    pub(super) fn new(settings: &LoggingSettings, dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
        let open_files = NonZeroUsize::new(settings.tenant_open_files).unwrap_or(NonZeroUsize::MIN);
        let files = Self {
            dir: dir.to_owned(),
            max_bytes: settings.tenant_max_bytes,
            keep: settings.tenant_keep,
            open: LruCache::new(open_files),
            lost: Vec::new(),
        };
        // Fails now, with a clear message, where the folder cannot be written.
        rotation_lock(&files.dir)?;
        Ok(files)
    }

    /// Adds a line to a tenant's file, in memory or on disk.
    pub(super) fn append(&mut self, tenant: &Arc<str>, line: &[u8]) {
        if let Err(error) = self.make_room(tenant, line.len() as u64) {
            // The next line opens the file again; what waits is still written if it can be.
            self.close(tenant);
            self.lost.push(Lost {
                tenant: tenant.clone(),
                lines: 1,
                error,
            });
            return;
        }
        let Some(file) = self.open.get_mut(tenant) else {
            return;
        };
        file.waiting.extend_from_slice(line);
        file.lines += 1;
        if file.waiting.len() >= BUFFER {
            flush(&self.dir, tenant, file, &mut self.lost);
        }
    }

    /// Writes what waits in memory.
    pub(super) fn flush(&mut self) {
        for (tenant, file) in &mut self.open {
            flush(&self.dir, tenant, file, &mut self.lost);
        }
    }

    /// The lines lost since last asked.
    pub(super) fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// Opens the tenant's file, and rotates it when `length` bytes more are too many.
    fn make_room(&mut self, tenant: &Arc<str>, length: u64) -> io::Result<()> {
        if self.open.get(tenant).is_none() {
            if self.open.len() == self.open.cap().get()
                && let Some((evicted, mut file)) = self.open.pop_lru()
            {
                flush(&self.dir, &evicted, &mut file, &mut self.lost);
            }
            self.open
                .put(tenant.clone(), OpenFile::open(&path(&self.dir, tenant))?);
        }
        let Some(file) = self.open.get_mut(tenant) else {
            return Ok(());
        };
        let filled = file.size + file.waiting.len() as u64;
        if filled == 0 || filled + length <= self.max_bytes {
            return Ok(());
        }
        self.close(tenant);
        let file = self.rotated(tenant, length)?;
        self.open.put(tenant.clone(), file);
        Ok(())
    }

    fn close(&mut self, tenant: &Arc<str>) {
        if let Some(mut file) = self.open.pop(tenant) {
            flush(&self.dir, tenant, &mut file, &mut self.lost);
        }
    }

    /// Moves a full file aside, unless another process just did, and opens the one that is in use then.
    fn rotated(&self, tenant: &str, length: u64) -> io::Result<OpenFile> {
        let _until_done = rotation_lock(&self.dir)?;
        let path = path(&self.dir, tenant);
        let file = OpenFile::open(&path)?;
        if file.size == 0 || file.size + length <= self.max_bytes {
            return Ok(file);
        }
        drop(file);
        self.shift(tenant)?;
        OpenFile::open(&path)
    }

    /// `.log` becomes `.log.1`, `.log.1` becomes `.log.2`; the last ones go.
    fn shift(&self, tenant: &str) -> io::Result<()> {
        let old = |number: u32| self.dir.join(format!("{tenant}.log.{number}"));
        let mut surplus = self.keep.max(1);
        while std::fs::remove_file(old(surplus)).is_ok() {
            surplus += 1;
        }
        let path = path(&self.dir, tenant);
        if self.keep == 0 {
            return std::fs::remove_file(path);
        }
        for number in (1..self.keep).rev() {
            match std::fs::rename(old(number), old(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(path, old(1))
    }
}

impl Drop for TenantFiles {
    fn drop(&mut self) {
        self.flush();
    }
}

impl OpenFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = options().open(path)?;
        let found = file.metadata()?;
        Ok(Self {
            file,
            device: found.dev(),
            inode: found.ino(),
            size: found.len(),
            waiting: Vec::new(),
            lines: 0,
        })
    }

    /// Appends `text` in one write to the file that has the name now.
    fn write(&mut self, path: &Path, text: &[u8]) -> io::Result<()> {
        if !std::fs::symlink_metadata(path).is_ok_and(|found| self.is(&found)) {
            *self = Self::open(path)?;
        }
        let before = self.file.metadata()?.len();
        let outcome = self.file.write_all(text);
        self.size = self.file.metadata()?.len();
        // A full disk may cut a line in two: end it, so that the next one is whole.
        if outcome.is_err() && self.size > before {
            let _disk_still_full = self.file.write_all(b"\n");
        }
        outcome
    }

    fn is(&self, found: &Metadata) -> bool {
        (self.device, self.inode) == (found.dev(), found.ino())
    }
}

/// Writes what waits for a file; what cannot be written is given up and noted.
fn flush(dir: &Path, tenant: &Arc<str>, file: &mut OpenFile, lost: &mut Vec<Lost>) {
    if file.waiting.is_empty() {
        return;
    }
    let mut waiting = std::mem::take(&mut file.waiting);
    let lines = std::mem::take(&mut file.lines);
    if let Err(error) = file.write(&path(dir, tenant), &waiting) {
        lost.push(Lost {
            tenant: tenant.clone(),
            lines,
            error,
        });
    }
    // The memory is used again.
    waiting.clear();
    file.waiting = waiting;
}

/// Keeps other processes from moving files in this folder until it is dropped.
pub(super) fn rotation_lock(dir: &Path) -> io::Result<File> {
    let lock = options().open(dir.join(".rotation.lock"))?;
    lock.lock()?;
    Ok(lock)
}

fn path(dir: &Path, tenant: &str) -> PathBuf {
    dir.join(format!("{tenant}.log"))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    options
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(flags.bits());
    options
}
