//! Data folders for one run, and the removal of those that a killed run left behind.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::private_postgres;

const PREFIX: &str = "helixai-tmp-";

/// Makes a new folder, after removing those of killed runs.
pub(super) async fn create() -> anyhow::Result<PathBuf> {
    let parent = std::env::temp_dir();
    remove_abandoned_in(&parent).await;
    let dir = parent.join(format!("{PREFIX}{}", uuid::Uuid::new_v4().simple()));
    // Others may pass through, but not look: the user that runs the server is another one for root.
    DirBuilder::new()
        .mode(0o711)
        .create(&dir)
        .with_context(|| format!("{} cannot be made", dir.display()))?;
    Ok(dir)
}

/// Removes a folder; what cannot be removed is left to the next run.
pub(super) fn remove(dir: &Path) {
    let _ = std::fs::remove_dir_all(dir);
}

/// Stops the servers of killed runs of this user and deletes their folders.
async fn remove_abandoned_in(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    let own = nix::unistd::Uid::effective().as_raw();
    for entry in entries.flatten() {
        let ours = entry
            .metadata()
            .is_ok_and(|found| found.is_dir() && found.uid() == own);
        if !ours || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let _ = private_postgres::discard_if_abandoned(&entry.path()).await;
    }
}
