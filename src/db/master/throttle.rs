//! `login_throttle` of administrators: failed logins, counted across processes.

use chrono::{DateTime, Duration, Utc};

use super::MasterDb;
use crate::db::DbError;

/// Until when logins under this key are refused.
///
/// # Errors
/// When the database fails.
pub async fn blocked_until(
    db: &MasterDb,
    key: &str,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, DbError> {
    Ok(sqlx::query_scalar!(
        "select blocked_until from login_throttle where key = $1 and blocked_until > $2",
        key,
        now
    )
    .fetch_optional(db.pool())
    .await?
    .flatten())
}

/// Counts a failure; after `max` of them within `window` the key is blocked for another `window`.
///
/// # Errors
/// When the database fails.
pub async fn note_failure(
    db: &MasterDb,
    key: &str,
    max: i32,
    window: Duration,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into login_throttle as t (key, failures, window_started_at) values ($1, 1, $2)
         on conflict (key) do update set
             failures = case when t.window_started_at <= $3 then 1 else t.failures + 1 end,
             window_started_at = case when t.window_started_at <= $3 then $2 else t.window_started_at end,
             blocked_until = case when t.window_started_at > $3 and t.failures + 1 >= $4 then $5::timestamptz end",
        key,
        now,
        now - window,
        max,
        now + window,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// Forgets the failures of somebody who got in.
///
/// # Errors
/// When the database fails.
pub async fn clear(db: &MasterDb, key: &str) -> Result<(), DbError> {
    sqlx::query!("delete from login_throttle where key = $1", key)
        .execute(db.pool())
        .await?;
    Ok(())
}
