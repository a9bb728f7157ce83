//! Scheduled messages. Of what was missed while nobody worked the last moment is said, once: late, but not again and again.

use super::Turn;
use crate::db::DbError;
use crate::db::tenant::schedules::messages::{self, Decided, Due};
use crate::domain::message_variables::Addressed;
use crate::domain::scheduled_message::{SkipReason, message_of};
use crate::domain::settings::TimeZone;

/// Messages that are decided in one transaction.
const PAGE: i64 = 200;
/// Pages of a turn; what is left is due still.
const PAGES: usize = 10;

/// Says what is to come as planned, after a restore.
pub(super) async fn keep_to_come(turn: &Turn<'_>) -> Result<(), DbError> {
    let keep = messages::keep_to_come(turn.now);
    turn.db.run(&turn.access, keep).await.map(|_| ())
}

/// Says what is due.
pub(super) async fn say(turn: &Turn<'_>) -> Result<(), DbError> {
    for _ in 0..PAGES {
        let lock = messages::lock_due(turn.now, PAGE);
        let (tx, reply) = turn.db.begin(&turn.access, lock).await?;
        if reply.output.is_empty() {
            return tx.rollback().await;
        }
        let decided = reply.output.into_iter().map(|due| decide(turn, due)).collect();
        crate::kill_point!("schedules.locked");
        tx.commit(messages::decide(decided, turn.now)).await?;
        crate::kill_point!("schedules.committed");
    }
    Ok(())
}

fn decide(turn: &Turn<'_>, due: Due) -> Decided {
    let tz = TimeZone::parse(&due.time_zone).map_or(crate::domain::month::BOOKS_TZ, |zone| zone.tz());
    let at = match &due.recurrence {
        None => due.at,
        Some(recurrence) => recurrence.last_until(due.at, turn.now, tz),
    };
    let to = Addressed {
        name: due.name,
        company: turn.company.clone(),
    };
    let said = if due.restored {
        Err(SkipReason::Restored)
    } else if !turn.speaks {
        Err(SkipReason::SubscriptionInactive)
    } else if !due.has_bot {
        Err(SkipReason::NoBot)
    } else {
        let words = due.variables.fill(&due.body, &to).ok_or(SkipReason::Empty);
        words.map(|words| (message_of(due.id, at), words))
    };
    let told = due.told + i32::from(said.is_ok());
    let next_at = due.recurrence.and_then(|recurrence| {
        let more = recurrence.count.is_none_or(|count| told < count);
        more.then(|| recurrence.next_after(at, tz)).flatten()
    });
    Decided {
        id: due.id,
        at,
        said,
        next_at,
    }
}
