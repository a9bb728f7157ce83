//! `login_throttle`: logins of a tenant's users that have not succeeded, counted across processes.

use chrono::{DateTime, Utc};

use super::query::Query;
use crate::domain::login_attempt::LoginAttempt;

/// Counts an attempt before its password is looked at, so that many at once are no more than many in a row, and says
/// until when it is refused. Refused attempts are not counted: whoever goes on does not lock others out for longer.
pub fn note_attempt(attempt: &LoginAttempt) -> Query<Option<DateTime<Utc>>> {
    // The same statement as in `db/master/throttle.rs`.
    Query::one(
        "with near as (
             insert into login_throttle as t (key, failures, window_started_at) values ($1, 1, $5)
             on conflict (key) do update set
                 failures = case when t.blocked_until > $5 then t.failures
                                 when t.window_started_at <= $6 then 1 else t.failures + 1 end,
                 window_started_at = case when t.blocked_until > $5 or t.window_started_at > $6
                                          then t.window_started_at else $5 end,
                 blocked_until = case when t.blocked_until > $5 then t.blocked_until
                                      when t.window_started_at > $6 and t.failures >= $3 then $7 end
             returning blocked_until
         ), anywhere as (
             insert into login_throttle as t (key, failures, window_started_at)
             select $2, 1, $5 from near where blocked_until is null
             on conflict (key) do update set
                 failures = case when t.blocked_until > $5 then t.failures
                                 when t.window_started_at <= $6 then 1 else t.failures + 1 end,
                 window_started_at = case when t.blocked_until > $5 or t.window_started_at > $6
                                          then t.window_started_at else $5 end,
                 blocked_until = case when t.blocked_until > $5 then t.blocked_until
                                      when t.window_started_at > $6 and t.failures >= $4 then $7 end
             returning blocked_until
         )
         select coalesce((select blocked_until from near), (select blocked_until from anywhere))",
        |mut row| row.next(),
    )
    .bind(attempt.near.clone())
    .bind(attempt.anywhere.clone())
    .bind(attempt.near_max)
    .bind(attempt.anywhere_max)
    .bind(attempt.at)
    .bind(attempt.counted_from)
    .bind(attempt.blocked_until)
}

/// Removes attempts that count no more: addresses that belong to nobody never get in, and would stay for ever. What
/// another login is just counting is left alone.
pub fn prune(attempt: &LoginAttempt) -> Query<u64> {
    Query::execute(
        "delete from login_throttle where key in (
             select key from login_throttle
             where window_started_at <= $1 and (blocked_until is null or blocked_until <= $2)
             limit 1000 for update skip locked)",
    )
    .bind(attempt.counted_from)
    .bind(attempt.at)
}

/// Forgets the attempts of somebody who got in.
pub fn clear(attempt: &LoginAttempt) -> Query<u64> {
    Query::execute("delete from login_throttle where key = any ($1)")
        .bind(vec![attempt.near.clone(), attempt.anywhere.clone()])
}
