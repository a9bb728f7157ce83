//! Tenants that could not be put away or brought back, and restores that do not end.

use super::report::Report;
use crate::db::shard::inspect::archives::Unended;

/// A restore that is at work for so many hours is worth a look.
const LONG: i64 = 6;

/// Who could not be put away is served by nobody, and who could not be brought back is wanted: both are errors.
pub(super) fn judge(found: &Unended, report: &mut Report) {
    for failed in &found.failed {
        let (key, error) = (&failed.key, &failed.error);
        let back = format!("`helixai tenant restore-archived {key}`");
        if failed.is_archived {
            report.error(
                "archives",
                format!("{key} could not be brought back: {error}"),
                format!("mend the cause, then {back}"),
            );
        } else {
            let again = match failed.is_deleted {
                true => format!("`helixai tenant delete {key} --yes`"),
                false => format!("`helixai tenant archive {key}`"),
            };
            report.error(
                "archives",
                format!("{key} is not served and cannot be put away: {error}"),
                format!("mend the cause: a running server goes on with it, and so does {again}; {back} serves it again"),
            );
        }
    }
    for (key, hours) in found.restores.iter().filter(|(_, hours)| *hours >= LONG) {
        report.warning(
            "restores",
            format!("{key} has been restored for {hours} hours"),
            "a running server settles what has lost its worker: its log says why it cannot",
        );
    }
}
