//! The folder of backups: one folder per tenant, named by its id, and in it one file per snapshot, named by its moment.

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::domain::ids::TenantId;
use crate::storage::aside;

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
    aside(move || {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        for name in names(&folder)? {
            if !known.contains(&name) {
                fs::remove_file(folder.join(name))?;
            }
        }
        Ok(())
    })
    .await
}

/// The tenants that have a folder.
pub(super) async fn tenants(root: PathBuf) -> io::Result<Vec<TenantId>> {
    aside(move || {
        let names = in_folder(&root)?.into_iter();
        Ok(names.filter_map(|name| name.parse().ok()).collect())
    })
    .await
}

/// The names of the snapshots in a tenant's folder, whole or half-written.
pub(super) async fn list(folder: PathBuf) -> io::Result<Vec<String>> {
    aside(move || names(&folder)).await
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = in_folder(folder)?;
    names.retain(|name| name.ends_with(END) || (name.starts_with('.') && name.ends_with(".partial")));
    Ok(names)
}

/// The names of all that is in a folder; of one that is not there, none.
fn in_folder(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

/// Removes files; those that are gone are no error. The folder goes with the last of them.
pub(super) async fn remove(folder: PathBuf, names: Vec<String>) -> io::Result<()> {
    aside(move || {
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
