//! `[storage]`: where tenants' files are, and how much of this process photos may use.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::error::Problems;
use super::values;

/// Files of tenants.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSettings {
    /// The folder that holds one of each tenant.
    pub folder: PathBuf,
    /// The largest upload, all its files together.
    pub upload_limit_bytes: usize,
    /// Photos whose pictures are made at once.
    pub photo_workers: usize,
    /// How often files that nothing names are looked for.
    #[serde(rename = "sweep_every_secs", deserialize_with = "values::seconds")]
    pub sweep_every: Duration,
    /// How often it is measured what tenants take.
    #[serde(rename = "measure_every_secs", deserialize_with = "values::seconds")]
    pub measure_every: Duration,
}

impl StorageSettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.folder.as_os_str().is_empty() {
            problems.add("storage.folder", "is empty: name a folder");
        }
        problems.range(
            "storage.upload_limit_bytes",
            self.upload_limit_bytes,
            1024..=1 << 30,
        );
        problems.range("storage.photo_workers", self.photo_workers, 1..=64);
        problems.range(
            "storage.sweep_every_secs",
            self.sweep_every.as_secs(),
            60..=7 * 86_400,
        );
        problems.range(
            "storage.measure_every_secs",
            self.measure_every.as_secs(),
            60..=86_400,
        );
    }
}
