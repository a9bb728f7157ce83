//! `login_throttle`: failed logins of a tenant's users, counted across processes.

use chrono::{DateTime, Duration, Utc};

use super::query::Query;

/// Until when logins under any of these keys are refused.
pub fn blocked_until(keys: Vec<String>, now: DateTime<Utc>) -> Query<Option<DateTime<Utc>>> {
    Query::one(
        "select max(blocked_until) from login_throttle where key = any ($1) and blocked_until > $2",
        |mut row| row.next(),
    )
    .bind(keys)
    .bind(now)
}

/// Counts a failure; after `max` of them within `window` the key is blocked for another `window`.
pub fn note_failure(key: String, max: i32, window: Duration, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "insert into login_throttle as t (key, failures, window_started_at) values ($1, 1, $2)
         on conflict (key) do update set
             failures = case when t.window_started_at <= $3 then 1 else t.failures + 1 end,
             window_started_at = case when t.window_started_at <= $3 then $2 else t.window_started_at end,
             blocked_until = case when t.window_started_at > $3 and t.failures + 1 >= $4 then $5 end",
    )
    .bind(key)
    .bind(now)
    .bind(now - window)
    .bind(max)
    .bind(now + window)
}

/// Forgets the failures of somebody who got in.
pub fn clear(keys: Vec<String>) -> Query<u64> {
    Query::execute("delete from login_throttle where key = any ($1)").bind(keys)
}
