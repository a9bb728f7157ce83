//! Where a snapshot is kept: a file that only its owner may read, and that is whole whenever it has its name.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::SnapshotError;

/// A file that gets its name when it is complete. Dropped before, it is removed.
#[derive(Debug)]
pub struct TargetFile {
    target: PathBuf,
    partial: Option<PathBuf>,
}

impl TargetFile {
    /// Makes the file beside its target, under another name.
    ///
    /// # Errors
    /// When the folder cannot be written to or the target is a folder.
    pub fn create(target: &Path) -> Result<(Self, BufWriter<File>), SnapshotError> {
        if target.is_dir() {
            return Err(SnapshotError::Io(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let mut name = OsString::from(".");
        name.push(
            target
                .file_name()
                .ok_or(io::Error::from(io::ErrorKind::InvalidInput))?,
        );
        name.push(format!(".{}.partial", Uuid::now_v7().simple()));
        let partial = target.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)?;
        let created = Self {
            target: target.to_owned(),
            partial: Some(partial),
        };
        Ok((created, BufWriter::new(file)))
    }

    /// Brings what was written to the disk, then gives it its name: in place of what had it before, at once.
    ///
    /// # Errors
    /// When the disk is full or fails; what had the name still has it then.
    pub fn complete(mut self, written: BufWriter<File>) -> Result<(), SnapshotError> {
        let file = written.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        if let Some(partial) = self.partial.take() {
            crate::kill_point!("backup.written");
            fs::rename(&partial, &self.target).inspect_err(|_| self.partial = Some(partial))?;
            crate::kill_point!("backup.named");
        }
        let folder = self.target.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(())
    }
}

impl Drop for TargetFile {
    fn drop(&mut self) {
        if let Some(partial) = self.partial.take() {
            // It has no name that anybody looks for.
            let _ = fs::remove_file(partial);
        }
    }
}

/// Opens a snapshot for reading.
///
/// # Errors
/// When there is no such file, or it is not an ordinary one.
pub fn open_source(path: &Path) -> Result<File, SnapshotError> {
    let file = File::open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(SnapshotError::NotASnapshot)
    }
}
