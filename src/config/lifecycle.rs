//! `[lifecycle]`: what becomes of tenants that are renamed, archived or deleted.

use std::path::{Path, PathBuf};

use chrono::Duration;
use serde::Deserialize;

use super::error::Problems;

/// The folder of archives in the folder of files, when none is named.
const ARCHIVES: &str = "archives";
/// Ten years.
const LONGEST_DAYS: u32 = 3650;

/// Graces and the folder of archives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifecycleSettings {
    /// Where archives are, when named; see [`LifecycleSettings::archives`].
    archive_folder: PathBuf,
    delete_grace_days: u32,
    rename_grace_days: u32,
}

impl LifecycleSettings {
    /// Where the snapshots of archived tenants are; `storage` is the folder of tenants' files.
    pub fn archives(&self, storage: &Path) -> PathBuf {
        if self.archive_folder.as_os_str().is_empty() {
            storage.join(ARCHIVES)
        } else {
            self.archive_folder.clone()
        }
    }

    /// How long a deleted tenant can be brought back.
    pub fn delete_grace(&self) -> Duration {
        Duration::days(self.delete_grace_days.into())
    }

    /// How long a former key leads to its tenant.
    pub fn rename_grace(&self) -> Duration {
        Duration::days(self.rename_grace_days.into())
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        problems.range(
            "lifecycle.delete_grace_days",
            self.delete_grace_days,
            1..=LONGEST_DAYS,
        );
        problems.range(
            "lifecycle.rename_grace_days",
            self.rename_grace_days,
            0..=LONGEST_DAYS,
        );
    }
}
