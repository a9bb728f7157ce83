//! The snapshots that the program makes by itself: young enough, and to be trusted.

use std::time::Duration;

use super::report::Report;
use crate::db::shard::inspect::backups::Backups;

/// How many tenants a finding names.
const NAMED: usize = 5;

/// A snapshot that is not to be trusted is an error each; the others are told together.
pub(super) fn judge(found: &Backups, oldest: Duration, report: &mut Report) {
    for (key, why) in &found.distrusted {
        report.error(
            "backup_distrusted",
            format!("the last snapshot of {key} cannot be restored: {why}"),
            format!("`helixai tenant backups {key}` names the file: try `helixai tenant verify` on it and on the one before"),
        );
    }
    if let Some((key, why)) = found.failed.first() {
        let keys: Vec<&str> = found.failed.iter().map(|(key, _)| key.as_str()).collect();
        report.warning(
            "backup_failed",
            format!(
                "the last backup of {} came to nothing; of {key}: {why}",
                named(&keys)
            ),
            "mend the cause, then `helixai backup run`",
        );
    }
    if !found.overdue.is_empty() {
        let keys: Vec<&str> = found.overdue.iter().map(String::as_str).collect();
        report.warning(
            "backup_age",
            format!("{} has no good snapshot younger than {} hours", named(&keys), oldest.as_secs() / 3600),
            "see that `serve` runs with the same `backup.folder`, or run `helixai backup run` by cron; its log says what fails",
        );
    }
}

fn named(keys: &[&str]) -> String {
    let some: Vec<&str> = keys.iter().take(NAMED).copied().collect();
    let more = keys.len().saturating_sub(NAMED);
    if more > 0 {
        format!("{} and {more} more", some.join(", "))
    } else {
        some.join(", ")
    }
}
