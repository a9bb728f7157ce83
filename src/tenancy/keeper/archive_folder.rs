//! The folder of archives: `<tenant id>.<attempt>.snapshot`, readable by the program's user alone. Each attempt has a name
//! of its own, so that a slow worker never writes over what another has noted.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use uuid::Uuid;

use crate::domain::ids::TenantId;
use crate::storage::aside;

/// Where the snapshots of archived tenants are.
#[derive(Debug, Clone)]
pub struct ArchiveFolder(PathBuf);

impl ArchiveFolder {
    /// In this folder, which is made when the first one is kept.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The file of this name.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A name for a new file, in a folder that exists.
    pub(super) async fn new_name(&self, tenant: TenantId) -> io::Result<String> {
        let folder = self.0.clone();
        aside(move || DirBuilder::new().recursive(true).mode(0o700).create(folder)).await?;
        Ok(format!("{tenant}.{}.snapshot", Uuid::now_v7().simple()))
    }

    /// Whether there is this file.
    pub(super) async fn has(&self, name: &str) -> io::Result<bool> {
        let path = self.path(name);
        aside(move || path.try_exists()).await
    }

    /// Removes this file. One that is not there is no error.
    pub(super) async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        aside(move || gone(fs::remove_file(path))).await
    }

    /// Removes all files of a tenant but this one, also those that an attempt has left half-written.
    pub(super) async fn remove_others(&self, tenant: TenantId, but: Option<&str>) -> io::Result<()> {
        let (folder, but) = (self.0.clone(), but.map(str::to_owned));
        let (whole, partial) = (format!("{tenant}."), format!(".{tenant}."));
        aside(move || {
            let entries = match fs::read_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let is_its = name.starts_with(&whole) || name.starts_with(&partial);
                if is_its && but.as_deref() != Some(name) {
                    gone(fs::remove_file(entry.path()))?;
                }
            }
            Ok(())
        })
        .await
    }
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
