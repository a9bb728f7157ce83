//! `idempotency_keys` of the master plane: a repeated request gets the answer of the first.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::MasterTx;
use crate::db::DbError;

/// What is known of a key.
#[derive(Debug, Clone)]
pub struct IdempotencyRecord {
    /// SHA-256 of the request it belongs to.
    pub request_hash: Vec<u8>,
    /// The answer's status; `None` while there is none.
    pub status_code: Option<i16>,
    /// The answer, sealed.
    pub response_sealed: Option<Vec<u8>>,
    /// What the request made.
    pub resource_id: Option<Uuid>,
}

/// Claims a key for this request, or says what it is already used for. A concurrent claim is waited for.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    tx: &mut MasterTx,
    scope: &str,
    key: &str,
    request_hash: &[u8],
    resource: Uuid,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<IdempotencyRecord>, DbError> {
    sqlx::query!(
        "delete from idempotency_keys where scope = $1 and key = $2 and expires_at <= $3",
        scope,
        key,
        now
    )
    .execute(tx.connection())
    .await?;
    let claimed = sqlx::query!(
        "insert into idempotency_keys (scope, key, request_hash, resource_id, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6) on conflict (scope, key) do nothing",
        scope,
        key,
        request_hash,
        resource,
        now,
        expires_at,
    )
    .execute(tx.connection())
    .await?;
    if claimed.rows_affected() == 1 {
        return Ok(None);
    }
    let row = sqlx::query_as!(
        IdempotencyRecord,
        "select request_hash, status_code, response_sealed, resource_id from idempotency_keys where scope = $1 and key = $2",
        scope,
        key,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Some(row))
}

/// Stores the answer under the key that made `resource`.
///
/// # Errors
/// When the database fails.
pub async fn answer(
    tx: &mut MasterTx,
    resource: Uuid,
    status_code: i16,
    response_sealed: &[u8],
) -> Result<(), DbError> {
    sqlx::query!(
        "update idempotency_keys set status_code = $2, response_sealed = $3 where resource_id = $1",
        resource,
        status_code,
        response_sealed,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Frees the keys of something that never came to be.
///
/// # Errors
/// When the database fails.
pub async fn release(tx: &mut MasterTx, resource: Uuid) -> Result<(), DbError> {
    sqlx::query!("delete from idempotency_keys where resource_id = $1", resource)
        .execute(tx.connection())
        .await?;
    Ok(())
}
