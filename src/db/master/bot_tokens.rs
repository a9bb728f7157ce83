//! `bot_tokens`: whose a bot's credentials are. One token once on the whole platform.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::MasterDb;
use crate::db::DbError;
use crate::domain::ids::{InstanceId, TenantId};

/// Who has a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The tenant.
    pub tenant: TenantId,
    /// Its bot.
    pub instance: InstanceId,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Takes a token for a bot, instead of the one that it had; answers who has it now. Repeated, it changes nothing.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    db: &MasterDb,
    fingerprint: [u8; 32],
    tenant: TenantId,
    instance: InstanceId,
    now: DateTime<Utc>,
) -> Result<Holder, DbError> {
    let fingerprint = fingerprint.as_slice();
    let mut tx = db.begin().await?;
    sqlx::query!(
        "delete from bot_tokens where instance_id = $1 and tenant_id = $2 and token_hash <> $3
           and not exists (select from bot_tokens where token_hash = $3)",
        instance.as_uuid(),
        tenant.as_uuid(),
        fingerprint,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "insert into bot_tokens (token_hash, tenant_id, instance_id, created_at) values ($1, $2, $3, $4)
         on conflict do nothing",
        fingerprint,
        tenant.as_uuid(),
        instance.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    let row = sqlx::query!(
        "select tenant_id, instance_id, created_at from bot_tokens where token_hash = $1",
        fingerprint,
    )
    .fetch_one(tx.connection())
    .await?;
    tx.commit().await?;
    Ok(Holder {
        tenant: TenantId::from_uuid(row.tenant_id),
        instance: InstanceId::from_uuid(row.instance_id),
        since: row.created_at,
    })
}

/// Lets a token go, if this bot has it.
///
/// # Errors
/// When the database fails.
pub async fn release(
    db: &MasterDb,
    fingerprint: Option<[u8; 32]>,
    instance: InstanceId,
) -> Result<(), DbError> {
    let fingerprint: Option<Vec<u8>> = fingerprint.map(|bytes| bytes.to_vec());
    sqlx::query!(
        "delete from bot_tokens where instance_id = $1 and ($2::bytea is null or token_hash = $2)",
        Uuid::from(instance),
        fingerprint,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}
