//! `[backup]`: snapshots that the program makes by itself, and how long they are kept.

use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use serde::Deserialize;

use super::error::Problems;
use super::values;
use crate::domain::retention::{Keep, Schedule};

/// Backups by the clock.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupSettings {
    /// The folder that holds one of each tenant; `None`: no backups are made.
    #[serde(deserialize_with = "values::optional")]
    pub folder: Option<PathBuf>,
    /// The time between two snapshots of a tenant.
    #[serde(rename = "every_hours", deserialize_with = "values::hours")]
    pub every: Duration,
    /// How many tenants of this process are backed up at once.
    pub jobs: usize,
    /// Whether snapshots are encrypted with the platform's key.
    pub encrypt: bool,
    /// Of so many snapshots of a tenant one is restored into a scratch schema and compared; 0: none.
    pub verify_every: u32,
    /// Snapshots that are kept whatever their age.
    pub keep_last: usize,
    /// Days of which the newest is kept.
    pub keep_daily: u32,
    /// Weeks of which the newest is kept.
    pub keep_weekly: u32,
    /// Months of which the newest is kept.
    pub keep_monthly: u32,
}

impl BackupSettings {
    /// How snapshots are made; `None` when they are not.
    pub fn schedule(&self) -> Option<Schedule> {
        Some(Schedule {
            folder: self.folder.clone()?,
            every: TimeDelta::from_std(self.every).unwrap_or(TimeDelta::hours(24)),
            keep: Keep {
                last: self.keep_last,
                daily: self.keep_daily,
                weekly: self.keep_weekly,
                monthly: self.keep_monthly,
            },
            encrypt: self.encrypt,
            verify_every: self.verify_every,
            jobs: self.jobs,
        })
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.folder.as_ref().is_some_and(|folder| folder.is_relative()) {
            problems.add(
                "backup.folder",
                "is relative, and so another folder for each process: name it absolutely",
            );
        }
        problems.range("backup.every_hours", self.every.as_secs() / 3600, 1..=24 * 31);
        problems.range("backup.jobs", self.jobs, 1..=16);
        problems.range("backup.verify_every", self.verify_every, 0..=1000);
        problems.range("backup.keep_last", self.keep_last, 1..=1000);
        problems.range("backup.keep_daily", self.keep_daily, 0..=1000);
        problems.range("backup.keep_weekly", self.keep_weekly, 0..=1000);
        problems.range("backup.keep_monthly", self.keep_monthly, 0..=1000);
    }
}
