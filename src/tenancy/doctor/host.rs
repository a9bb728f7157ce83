//! What no table says: the clocks of the machines, and the room on the disks that this one sees.

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::statvfs::statvfs;

use super::report::{Level, Report};

/// Clocks further apart than this make times in answers and in audits contradict each other.
const APART: TimeDelta = TimeDelta::seconds(2);
/// Clocks further apart than this make a lease of one machine look expired to another.
const FAR_APART: TimeDelta = TimeDelta::seconds(30);
/// Less free space than this is soon none.
const LITTLE: u64 = 5 << 30;
/// With less than this, PostgreSQL and photos are about to fail.
const HARDLY_ANY: u64 = 1 << 30;

/// Judges the server's clock, which was read between two readings of this machine's own.
pub fn judge_clock(server: DateTime<Utc>, before: DateTime<Utc>, after: DateTime<Utc>, report: &mut Report) {
    let apart = (before - server).max(server - after);
    if apart <= APART {
        return;
    }
    let level = if apart > FAR_APART {
        Level::Error
    } else {
        Level::Warning
    };
    report.add(
        level,
        "clock",
        format!(
            "the clocks of this machine and of the database's are {} seconds apart",
            apart.num_seconds()
        ),
        "let both machines set their clocks by NTP (chrony, systemd-timesyncd)",
    );
}

/// Judges the room for each folder of this machine; those that are not there or not to be looked into are passed over.
pub fn judge_disks<'a>(folders: impl IntoIterator<Item = &'a PathBuf>, report: &mut Report) {
    for folder in folders {
        if let Some(free) = free_bytes(folder) {
            judge_free(folder, free, report);
        }
    }
}

fn judge_free(folder: &Path, free: u64, report: &mut Report) {
    if free >= LITTLE {
        return;
    }
    let level = if free < HARDLY_ANY {
        Level::Error
    } else {
        Level::Warning
    };
    report.add(
        level,
        "disk",
        format!("{} MB are free for {}", free >> 20, folder.display()),
        "remove what is not needed, or give the folder a larger disk",
    );
}

/// What an ordinary user may still write. Of a folder that is yet to be made, the one that it will be in is asked.
fn free_bytes(folder: &Path) -> Option<u64> {
    let folder = Path::new(".").join(folder);
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let disk = statvfs(there).ok()?;
    Some(disk.blocks_available() * disk.fragment_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(seconds: i64) -> Vec<Level> {
        let now = DateTime::UNIX_EPOCH;
        let mut report = Report::default();
        let asked = now + TimeDelta::milliseconds(100);
        judge_clock(now + TimeDelta::seconds(seconds), now, asked, &mut report);
        levels(report)
    }

    fn levels(report: Report) -> Vec<Level> {
        report
            .into_findings()
            .iter()
            .map(|finding| finding.level)
            .collect()
    }

    #[test]
    fn clocks_may_differ_by_a_moment() {
        assert_eq!(clock(0), []);
        assert_eq!(clock(2), []);
        assert_eq!(clock(-2), []);
        assert_eq!(clock(4), [Level::Warning]);
        assert_eq!(clock(-4), [Level::Warning]);
        assert_eq!(clock(3600), [Level::Error]);
        assert_eq!(clock(-3600), [Level::Error]);
    }

    #[test]
    fn a_disk_is_full_before_it_is_full() {
        let judged = |free| {
            let mut report = Report::default();
            judge_free(Path::new("photos"), free, &mut report);
            levels(report)
        };
        assert_eq!(judged(LITTLE), []);
        assert_eq!(judged(LITTLE - 1), [Level::Warning]);
        assert_eq!(judged(HARDLY_ANY - 1), [Level::Error]);
    }

    #[test]
    fn a_folder_that_is_yet_to_be_made_is_judged_by_where_it_will_be() {
        let here = tempfile::tempdir().unwrap();
        let deep = here.path().join("not/yet");
        assert!(free_bytes(&deep).is_some());
        assert!(free_bytes(Path::new("relative/not/yet")).is_some());
    }
}
