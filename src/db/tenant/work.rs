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
            " w set leased_by = $1, leased_until = $2, attempts = w.attempts + 1, updated_at = $3 where w.id = any (array(select id from ",
            "(select d.id, d.due, row_number() over (partition by k.kind order by d.due) as place ",
            "from unnest($4::text[]) as k (kind) cross join lateral (select id, ",
            $due,
            " as due from ",
            $table,
            " where kind = k.kind and state = '",
            $waiting,
            "' and ",
            $due,
            " <= $3 and (leased_until is null or leased_until <= $3) order by ",
            $due,
            " limit $5 for update skip locked) d) first order by place, due limit $5))",
            " returning w.id, w.kind, w.payload, w.attempts, w.max_attempts"
        )
    };
}

// What has ended is emptied: it holds addresses and words that are kept nowhere else for longer.
macro_rules! settle {
    ($table:literal, $due:literal, $waiting:literal) => {
        concat!(
            "update ",
            $table,
            " set state = $3, ",
            $due,
            " = coalesce($4, ",
            $due,
            "), payload = case when $3 = '",
            $waiting,
            "' then payload else '{}' end, last_error = $5, leased_by = null, leased_until = null, updated_at = $6 where id = $1 and leased_by = $2"
        )
    };
}

/// Takes rows of these kinds that are due, at most `most`, until `until`: the oldest of each kind first, so that a heap of one kind
/// keeps no other waiting.
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

/// Says what becomes of a row, which is emptied when it has ended, and why; 0 when another worker has it.
pub fn settle(
    queue: Queue,
    id: Uuid,
    worker: Uuid,
    settled: &Settled,
    error: Option<String>,
    now: DateTime<Utc>,
) -> Query<u64> {
    let text = match queue {
        Queue::Outbox => settle!("outbox", "due_at", "pending"),
        Queue::Jobs => settle!("jobs", "run_at", "queued"),
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

// Kind by kind along the index, and of each the first rows: those in front may be leased.
macro_rules! next {
    ($table:literal, $due:literal, $waiting:literal) => {
        concat!(
            "(with recursive kinds (kind) as ((select kind from ",
            $table,
            " where state = '",
            $waiting,
            "' order by kind limit 1) union all select (select w.kind from ",
            $table,
            " w where w.state = '",
            $waiting,
            "' and w.kind > k.kind order by w.kind limit 1) from kinds k where k.kind is not null) ",
            "select min(greatest(d.due, case when k.kind = any ($1) then d.leased_until else $2 end)) ",
            "from kinds k cross join lateral (select ",
            $due,
            " as due, leased_until from ",
            $table,
            " where kind = k.kind and state = '",
            $waiting,
            "' order by ",
            $due,
            " limit 20) d)"
        )
    };
}

/// When there is something to do next: for these kinds, when the first row is due; for all others `later`, as another
/// program may know them.
pub fn next_due(kinds: Vec<&'static str>, later: DateTime<Utc>) -> Query<Option<DateTime<Utc>>> {
    const NEXT: &str = concat!(
        "select least(",
        next!("outbox", "due_at", "pending"),
        ", ",
        next!("jobs", "run_at", "queued"),
        ")"
    );
    Query::one(NEXT, |mut row| row.next()).bind(kinds).bind(later)
}
