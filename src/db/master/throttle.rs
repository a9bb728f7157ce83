//! `login_throttle`: logins of administrators that have not succeeded, counted across processes.

use chrono::{DateTime, Utc};

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::login_attempt::LoginAttempt;

/// Counts an attempt before its password is looked at, so that many at once are no more than many in a row, and says
/// until when it is refused. Refused attempts are not counted: whoever goes on does not lock others out for longer.
///
/// # Errors
/// When the database fails.
pub async fn note_attempt(db: &MasterDb, attempt: &LoginAttempt) -> Result<Option<DateTime<Utc>>, DbError> {
    // The same statement as in `db/tenant/throttle.rs`.
    Ok(sqlx::query_scalar!(
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
        attempt.near,
        attempt.anywhere,
        attempt.near_max,
        attempt.anywhere_max,
        attempt.at,
        attempt.counted_from,
        attempt.blocked_until,
    )
    .fetch_one(db.pool())
    .await?)
}

/// Removes attempts that count no more: addresses that belong to nobody never get in, and would stay for ever. What
/// another login is just counting is left alone.
///
/// # Errors
/// When the database fails.
pub async fn prune(db: &MasterDb, attempt: &LoginAttempt) -> Result<(), DbError> {
    sqlx::query!(
        "delete from login_throttle where key in (
             select key from login_throttle
             where window_started_at <= $1 and (blocked_until is null or blocked_until <= $2)
             limit 1000 for update skip locked)",
        attempt.counted_from,
        attempt.at,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// Forgets the attempts of somebody who got in; how many had failed before.
///
/// # Errors
/// When the database fails.
pub async fn clear(tx: &mut MasterTx, attempt: &LoginAttempt) -> Result<i32, DbError> {
    // The attempt that has succeeded was counted, too.
    Ok(sqlx::query_scalar!(
        r#"with gone as (delete from login_throttle where key in ($1, $2) returning key, failures)
           select coalesce((select failures - 1 from gone where key = $2), 0) as "failures!""#,
        attempt.near,
        attempt.anywhere,
    )
    .fetch_one(tx.connection())
    .await?)
}
