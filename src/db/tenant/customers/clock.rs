//! The clock of a tenant's customers: one line in `jobs`, which is due when there may be something to do, and the shard is told.
//!
//! Whatever may bring work (a customer, a due, a rule) calls [`wake`] in its own transaction. Whoever works has the line by a lease,
//! as any other job; does what is due, and sets it to the next morning. A wake meanwhile is not lost, because it changes the
//! moment that the worker has seen; two workers at once do nothing twice.

use chrono::{DateTime, NaiveDate, Utc};

use crate::db::tenant::query::Query;
use crate::domain::ids::JobId;

/// What it is called in `jobs`, as kind and as key.
pub const KIND: &str = "customers_day";
const MOST_ATTEMPTS: i32 = 1_000_000;

/// Has it looked at now. The moment always changes, also when it is woken twice at one moment: a worker that has seen the one
/// before notices.
pub fn wake(now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        // The line first, then the shard's note: as in [`finish`], so that nobody waits for each other.
        "with line as (insert into jobs (id, kind, payload, state, run_at, max_attempts, dedupe_key, created_at, updated_at) \
         values ($1, $3, '{}', 'queued', $2, $4, $3, $2, $2) \
         on conflict on constraint jobs_dedupe_key_key do update set state = 'queued', updated_at = excluded.updated_at, \
         run_at = case when jobs.run_at = excluded.run_at then excluded.run_at + interval '1 microsecond' \
         else excluded.run_at end returning run_at) \
         select line.run_at from line, helixai.note_due(line.run_at)",
    )
    .bind(JobId::new().as_uuid())
    .bind(now)
    .bind(KIND)
    .bind(MOST_ATTEMPTS)
}

/// Sets the line to `next`, unless somebody has woken it since it was due at `seen`, and lets go of it. When nothing can be due
/// any more it rests until it is woken. Yields when it is due again.
pub fn finish(
    seen: DateTime<Utc>,
    next: DateTime<Utc>,
    today: NaiveDate,
    now: DateTime<Utc>,
) -> Query<Option<DateTime<Utc>>> {
    Query::optional(
        "with done as (update jobs set leased_until = null, leased_by = null, attempts = 0, last_error = null, updated_at = $4, \
         run_at = case when run_at = $2 then $3 else run_at end, \
         state = case when run_at <> $2 or exists (select from customers where status = 'active' and due_day is not null) \
         or exists (select from dues where status = 'open' and due_date > $5 - 93) then 'queued' else 'done' end \
         where dedupe_key = $1 returning run_at, state) \
         select done.run_at from done, helixai.note_due(done.run_at) where done.state = 'queued'",
        |mut row| row.next(),
    )
    .bind(KIND)
    .bind(seen)
    .bind(next)
    .bind(now)
    .bind(today)
}

/// When it is due next, if it ever is.
pub fn next() -> Query<Option<DateTime<Utc>>> {
    Query::optional(
        "select run_at from jobs where dedupe_key = $1 and state = 'queued'",
        |mut row| row.next(),
    )
    .bind(KIND)
}
