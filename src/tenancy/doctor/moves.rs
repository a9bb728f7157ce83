//! Moves of tenants that do not end, and what moves have left in a database.

use chrono::{DateTime, Utc};

use super::report::{Level, Report};
use crate::db::shard::inspect::moves::{Move, Slot};
use crate::db::shard::moving::{NAMES, name_of};
use crate::db::shard::{ident, literal};

/// A move that is at work for longer is worth a look.
const LONG: chrono::Duration = chrono::Duration::hours(6);
/// More of a server's log than this, kept for a move, is worth a look.
const MUCH: i64 = 4 * 1024 * 1024 * 1024;

/// Judges what the registry says.
pub(super) fn judge(moves: &[Move], now: DateTime<Utc>, report: &mut Report) {
    for one in moves {
        let age = now - one.began;
        let again = format!(
            "a running server settles it; so does `helixai tenant move {} {}`",
            one.key, one.to_name
        );
        if let Some(error) = &one.error {
            report.error(
                "moves",
                format!(
                    "the move of {} to {} stands in phase {} and cannot be settled: {error}",
                    one.key, one.to_name, one.phase
                ),
                format!(
                    "mend the cause; {again}; when a shard is lost for good: `helixai tenant move {} --abandon`",
                    one.key
                ),
            );
        } else if age > LONG {
            report.warning(
                "moves",
                format!(
                    "{} is on its way to {} for {} hours, in phase {}",
                    one.key,
                    one.to_name,
                    age.num_hours(),
                    one.phase
                ),
                again,
            );
        }
    }
}

/// Judges what is in a shard's database.
pub(super) fn judge_shard(
    moves: &[Move],
    slots: &[Slot],
    (publications, subscriptions): (&[String], &[String]),
    report: &mut Report,
) {
    let is_known = |name: &str| moves.iter().any(|one| name_of(one.id) == name);
    for slot in slots {
        let (name, megabytes) = (&slot.name, slot.kept_bytes / (1024 * 1024));
        if !name.starts_with(NAMES) {
            // While something is moved it may be a worker's that is about to come.
            if moves.is_empty() {
                report.warning(
                    "slots",
                    format!(
                        "the replication slot {name} is of a copy that nobody makes any more, and keeps {megabytes} MB of the \
                         server's log, which grows"
                    ),
                    format!(
                        "unless it is of a replication of your own: select pg_drop_replication_slot({})",
                        literal(name)
                    ),
                );
            }
        } else if !is_known(name) {
            report.error(
                "slots",
                format!(
                    "the replication slot {name} belongs to no move and keeps {megabytes} MB of the server's log, which grows"
                ),
                format!("select pg_drop_replication_slot({})", literal(name)),
            );
        } else if slot.kept_bytes > MUCH {
            report.add(
                Level::Warning,
                "slots",
                format!("the replication slot {name} of a move keeps {megabytes} MB of the server's log, which grows"),
                "look whether the move goes on; ended, its command or a running server takes it back",
            );
        }
    }
    for name in publications.iter().filter(|name| !is_known(name)) {
        report.warning(
            "slots",
            format!("the publication {name} belongs to no move"),
            format!("drop publication {}", ident(name)),
        );
    }
    for name in subscriptions.iter().filter(|name| !is_known(name)) {
        let quoted = ident(name);
        report.error(
            "slots",
            format!("the subscription {name} belongs to no move: it writes what another database tells it"),
            format!(
                "alter subscription {quoted} disable; alter subscription {quoted} set (slot_name = none); \
                 drop subscription {quoted}"
            ),
        );
    }
}
