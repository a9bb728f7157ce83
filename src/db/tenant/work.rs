//! The two queues of a tenant, as their worker sees them: `outbox` (messages to the outside) and `jobs` (anything else).
//!
//! A row is taken by a short lease, for which nobody else has it; a worker that dies leaves it to the next one.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::query::{Columns, Query};
use crate::db::DbError;

/// Which queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Messages to the outside.
    Outbox,
    /// Any other work.
    Jobs,
}

/// A row that this worker has.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its id.
    pub id: Uuid,
    /// Who knows how to do it.
    pub kind: String,
    /// What it is about.
    pub payload: Value,
    /// How often it was taken, this time included.
    pub attempts: i32,
    /// How often it may be.
    pub max_attempts: i32,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is done.
    Done,
    /// It is to be tried again then.
    Again(DateTime<Utc>),
    /// It will not be tried any more.
    Failed,
    /// It is not wanted any more.
    Canceled,
}

impl Settled {
    fn word(&self, queue: Queue) -> &'static str {
        match (queue, self) {
            (Queue::Outbox, Self::Done) => "sent",
            (Queue::Outbox, Self::Again(_)) => "pending",
            (Queue::Outbox, Self::Failed) => "failed",
            (Queue::Outbox, Self::Canceled) => "canceled",
            (Queue::Jobs, Self::Done) => "done",
            (Queue::Jobs, Self::Again(_)) => "queued",
            (Queue::Jobs, Self::Failed | Self::Canceled) => "dead",
        }
    }
}

macro_rules! claim {
    ($table:literal, $due:literal, $waiting:literal) => {
        concat!(
            "update ",
            $table,
            " w set leased_by = $1, leased_until = $2, attempts = w.attempts + 1, updated_at = $3 from (select id from ",
            $table,
            " where state = '",
            $waiting,
            "' and ",
            $due,
            " <= $3 and (leased_until is null or leased_until <= $3) and kind = any ($4) order by ",
            $due,
            " limit $5 for update skip locked) c where w.id = c.id",
            " returning w.id, w.kind, w.payload, w.attempts, w.max_attempts"
        )
    };
}

macro_rules! settle {
    ($table:literal, $due:literal) => {
        concat!(
            "update ",
            $table,
            " set state = $3, ",
            $due,
            " = coalesce($4, ",
            $due,
            "), last_error = $5, leased_by = null, leased_until = null, updated_at = $6 where id = $1 and leased_by = $2"
        )
    };
}

/// Takes rows of these kinds that are due, at most `most`, the oldest first, until `until`.
pub fn claim(
    queue: Queue,
    worker: Uuid,
    kinds: Vec<&'static str>,
    most: i64,
    (now, until): (DateTime<Utc>, DateTime<Utc>),
) -> Query<Vec<Claimed>> {
    let text = match queue {
        Queue::Outbox => claim!("outbox", "due_at", "pending"),
        Queue::Jobs => claim!("jobs", "run_at", "queued"),
    };
    Query::all(text, read)
        .bind(worker)
        .bind(until)
        .bind(now)
        .bind(kinds)
        .bind(most)
}

fn read(mut row: Columns<'_>) -> Result<Claimed, DbError> {
    Ok(Claimed {
        id: row.next()?,
        kind: row.next()?,
        payload: row.next()?,
        attempts: row.next()?,
        max_attempts: row.next()?,
    })
}

/// Says what becomes of a row, and why; 0 when another worker has it.
pub fn settle(
    queue: Queue,
    id: Uuid,
    worker: Uuid,
    settled: &Settled,
    error: Option<String>,
    now: DateTime<Utc>,
) -> Query<u64> {
    let text = match queue {
        Queue::Outbox => settle!("outbox", "due_at"),
        Queue::Jobs => settle!("jobs", "run_at"),
    };
    let again = match settled {
        Settled::Again(at) => Some(*at),
        Settled::Done | Settled::Failed | Settled::Canceled => None,
    };
    Query::execute(text)
        .bind(id)
        .bind(worker)
        .bind(settled.word(queue))
        .bind(again)
        .bind(error)
        .bind(now)
}

/// When there is something to do next: for these kinds, when the first row is due; for all others `later`, as another
/// program may know them.
pub fn next_due(kinds: Vec<&'static str>, later: DateTime<Utc>) -> Query<Option<DateTime<Utc>>> {
    Query::one(
        "select least((select min(case when kind = any ($1) then greatest(due_at, leased_until) else greatest(due_at, $2) end)
                       from outbox where state = 'pending'),
                      (select min(case when kind = any ($1) then greatest(run_at, leased_until) else greatest(run_at, $2) end)
                       from jobs where state = 'queued'))",
        |mut row| row.next(),
    )
    .bind(kinds)
    .bind(later)
}
