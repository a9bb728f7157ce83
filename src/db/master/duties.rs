//! `duties`: work that comes up again and again, and that one process does for all.
//!
//! A turn is named by the moment that it was due. Whoever takes it has a lease; when it is not done within that, by a crash or a
//! failure, the next to ask has it, each time with twice the lease of the one before.

use chrono::{DateTime, TimeDelta, Utc};

use super::MasterDb;
use crate::db::DbError;

/// The longest that a failed turn is left alone, in leases.
const LONGEST: i32 = 64;

/// What a process is to do about a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Its own to do, and to report with [`finish`].
    Mine,
    /// Another's, or one whose failure is fresh.
    Elsewhere,
    /// Done; what came of it.
    Done(i64),
}

/// Takes a turn, unless somebody has it.
///
/// # Errors
/// When the database fails.
pub async fn take(
    db: &MasterDb,
    name: &'static str,
    turn: DateTime<Utc>,
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Turn, DbError> {
    let taken = sqlx::query_scalar!(
        "insert into duties as d (name, leased_until, attempts, updated_at)
         values ($1, $3::timestamptz + make_interval(secs => $4), 1, $3)
         on conflict on constraint duties_pkey do update
         set leased_until = $3 + make_interval(secs => $4 * least($5::int4, 2 ^ least(d.attempts, 30))),
             attempts = d.attempts + 1, updated_at = $3
         where (d.done_turn is null or d.done_turn < $2) and d.leased_until <= $3
         returning attempts",
        name,
        turn,
        now,
        seconds(lease),
        LONGEST,
    )
    .fetch_optional(db.pool())
    .await?;
    if taken.is_some() {
        return Ok(Turn::Mine);
    }
    let done = sqlx::query_scalar!(
        r#"select coalesce(result, 0) as "result!" from duties where name = $1 and done_turn >= $2"#,
        name,
        turn,
    )
    .fetch_optional(db.pool())
    .await?;
    Ok(done.map_or(Turn::Elsewhere, Turn::Done))
}

/// Notes that a turn was done, and what came of it.
///
/// # Errors
/// When the database fails: the turn is then done again.
pub async fn finish(
    db: &MasterDb,
    name: &'static str,
    turn: DateTime<Utc>,
    result: i64,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update duties set done_turn = greatest(done_turn, $2), result = $3, attempts = 0, leased_until = $4, updated_at = $4
         where name = $1",
        name,
        turn,
        result,
        now,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "minutes to hours")]
fn seconds(lease: TimeDelta) -> f64 {
    lease.num_seconds() as f64
}
