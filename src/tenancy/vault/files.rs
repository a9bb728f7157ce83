//! The folder of backups: one folder per tenant, named by its id, and in it one file per snapshot, named by its moment.

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::domain::ids::TenantId;

const END: &str = ".snapshot";

/// The name of a snapshot of this moment.
pub(super) fn name(at: DateTime<Utc>) -> String {
    format!("{}{END}", at.format("%Y%m%dT%H%M%S%6fZ"))
}

/// The folder of a tenant.
pub(super) fn folder_of(root: &Path, tenant: TenantId) -> PathBuf {
    root.join(tenant.to_string())
}

/// Makes a tenant's folder, and removes what no row names: files of a worker that was killed before it had noted them, or
/// before it had removed what it let go. Only who has the tenant's turn may do so.
pub(super) async fn prepare(folder: PathBuf, known: HashSet<String>) -> io::Result<()> {
    blocking(move || {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let ours = name.ends_with(END) || (name.starts_with('.') && name.ends_with(".partial"));
            if ours && !known.contains(&name) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    })
    .await
}

/// Removes files; those that are gone are no error. The folder goes with the last of them.
pub(super) async fn remove(folder: PathBuf, names: Vec<String>) -> io::Result<()> {
    blocking(move || {
        for name in names {
            match fs::remove_file(folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            crate::kill_point!("vault.removed");
        }
        // Not while there is anything in it.
        let _ = fs::remove_dir(&folder);
        Ok(())
    })
    .await
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
