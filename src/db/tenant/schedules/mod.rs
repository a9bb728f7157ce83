//! What is said later: the tables, and the clock of a tenant's schedules, one line in `jobs`, of which the shard is told.
//!
//! Whatever brings something to be said later calls [`wake`] in its own transaction. Whoever works has the line by a lease, as any other
//! job; does what is due, and sets it to the next moment ([`finish`]). Two workers at once do nothing twice: what is decided is decided
//! with its row locked, and moves that row on in the same transaction.

pub mod broadcasts;
pub mod messages;
pub mod recipients;

use chrono::{DateTime, Utc};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::query::Query;
use crate::db::DbError;
use crate::domain::ids::JobId;

/// What it is called in `jobs`, as kind and as key.
pub const KIND: &str = "schedules";
const MOST_ATTEMPTS: i32 = 1_000_000;

/// Has it looked at then, or earlier.
pub fn wake(at: DateTime<Utc>, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        // The line first, then the shard's note: as in [`finish`], so that nobody waits for each other.
        "with line as (insert into jobs (id, kind, payload, state, run_at, max_attempts, dedupe_key, created_at, updated_at) \
         values ($1, $3, '{}', 'queued', $2, $4, $3, $5, $5) \
         on conflict on constraint jobs_dedupe_key_key do update set state = 'queued', updated_at = excluded.updated_at, \
         run_at = case jobs.state when 'queued' then least(jobs.run_at, excluded.run_at) else excluded.run_at end returning run_at) \
         select line.run_at from line, helixai.note_due(line.run_at)",
    )
    .bind(JobId::new().as_uuid())
    .bind(at)
    .bind(KIND)
    .bind(MOST_ATTEMPTS)
    .bind(now)
}

/// Sets the line to the next moment at which something is due, and lets go of it; without one it rests until it is woken. Two
/// statements: one that waits for the line sees what was brought before it waited. Yields when it is due again.
pub fn finish(now: DateTime<Utc>) -> (Query<u64>, Query<Option<DateTime<Utc>>>) {
    let lock = Query::execute("select id from jobs where dedupe_key = $1 for update").bind(KIND);
    let set = Query::optional(
        "with due as (select least((select min(next_at) from scheduled_messages where state = 'scheduled'), \
         (select min(next_at) from broadcasts)) as at), \
         done as (update jobs set leased_until = null, leased_by = null, attempts = 0, last_error = null, updated_at = $2, payload = '{}', \
         run_at = coalesce(due.at, run_at), state = case when due.at is null then 'done' else 'queued' end \
         from due where dedupe_key = $1 returning run_at, state) \
         select done.run_at from done, helixai.note_due(done.run_at) where done.state = 'queued'",
        |mut row| row.next(),
    );
    (lock, set.bind(KIND).bind(now))
}

/// JSON that only this program writes.
fn stored<T: DeserializeOwned>(value: Value) -> Result<T, DbError> {
    serde_json::from_value(value).map_err(|_| DbError::Other {
        code: "driver".to_owned(),
        message: "a stored value is in a form that is not understood".to_owned(),
    })
}
