//! `[logging]`: what is logged, how, and the log file of each tenant.

use std::path::PathBuf;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::error::Problems;

/// Logs of the program and of each tenant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggingSettings {
    /// Filter, as `tracing_subscriber::EnvFilter` reads it; checked.
    pub level: String,
    /// Shape of the lines on standard error.
    pub format: LogFormat,
    /// Folder of the log files.
    pub dir: PathBuf,
    /// Whether each tenant has a file.
    pub tenant_files: bool,
    /// Tenant files open at once.
    pub tenant_open_files: usize,
    /// Size at which a tenant's file is rotated.
    pub tenant_max_bytes: u64,
    /// Rotated files kept per tenant.
    pub tenant_keep: u32,
}

/// Shape of the lines on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line per event.
    Text,
    /// One JSON object per event.
    Json,
}

impl LoggingSettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        if let Err(reason) = EnvFilter::builder().parse(&self.level) {
            problems.add(
                "logging.level",
                format!("cannot be read ({reason}): write for example `info,helixai::tenancy=debug`"),
            );
        }
        if self.tenant_files && self.dir.as_os_str().is_empty() {
            problems.add(
                "logging.dir",
                "is empty: name a folder, or set `logging.tenant_files` to false",
            );
        }
        problems.range("logging.tenant_open_files", self.tenant_open_files, 1..=10_000);
        problems.range("logging.tenant_max_bytes", self.tenant_max_bytes, 4096..=1 << 40);
        problems.range("logging.tenant_keep", self.tenant_keep, 0..=100);
    }
}
